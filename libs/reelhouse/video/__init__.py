"""Videos: probing, frame choice, frame and sound features, text in frames, on Spark executors.

`extract_videos` is the entry; the modules behind it take plain arrays and files and can be used from a notebook.
"""

from reelhouse.video.extract import extract_videos, features_of, frames_of, ocr_of, refused_of, videos_of

__all__ = ["extract_videos", "features_of", "frames_of", "ocr_of", "refused_of", "videos_of"]
