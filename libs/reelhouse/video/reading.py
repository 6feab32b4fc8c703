"""Reading one video whole: probe, frames, sound and text from one opening of its file."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from reelhouse.errors import VideoError
from reelhouse.sections import VideoSettings
from reelhouse.video import audio, images
from reelhouse.video.choice import changes_of, choose_frames
from reelhouse.video.decode import Sight, Sights, look_at
from reelhouse.video.hashing import perceptual_hash
from reelhouse.video.opening import Deadline, local_file, opened
from reelhouse.video.probe import picture_stream, pixel_aspect, probe, sound_stream

if TYPE_CHECKING:
    from av.container import InputContainer


@dataclass
class Extracted:
    """What is known of one video. pictures: chosen frames (224, 224, 3) uint8 RGB that the encoder still has to see."""

    video_id: str
    uri: str
    content_sha256: str | None
    columns: dict[str, Any] = field(default_factory=dict)
    pictures: list[np.ndarray] = field(default_factory=list)
    features: list[dict[str, Any]] = field(default_factory=list)

    def add_features(self, modality: str, encoder_id: str, vectors: np.ndarray) -> None:
        """vectors: (steps, dimension) float32, of the chosen frames or of the sound."""
        steps, dimension = vectors.shape
        source = {"modality": modality, "encoder_id": encoder_id, "source_sha256": self._source(modality)}
        self.features.append(source | {"steps": steps, "dimension": dimension, "values": vectors.ravel()})

    def _source(self, modality: str) -> str | None:
        """Of the picture it is the file's content and which frames were chosen: other settings choose others."""
        if modality != "visual" or self.content_sha256 is None:
            return self.content_sha256
        times = [f"{frame['timestamp_seconds']:.3f}" for frame in self.columns["frames"]]
        return hashlib.sha256(" ".join([self.content_sha256, *times]).encode()).hexdigest()

    def refused(self, rule: str, reason: str) -> Extracted:
        """The same video with nothing but that."""
        return Extracted(self.video_id, self.uri, self.content_sha256, {"rule": rule, "reason": reason})

    def row(self) -> dict[str, Any]:
        identity = {"video_id": self.video_id, "uri": self.uri, "content_sha256": self.content_sha256}
        return identity | self.columns | {"features": self.features}


class Reader:
    """Reads videos one after the other; keeps what can be used again between them."""

    def __init__(self, settings: VideoSettings) -> None:
        from av.video.reformatter import VideoReformatter

        self.settings = settings
        self.thumbnail, self.square, self.readable = VideoReformatter(), VideoReformatter(), VideoReformatter()

    def read(self, video_id: str, uri: str, content_sha256: str | None) -> Extracted:
        """Everything of one video. A video that can't be used comes back with `rule` and `reason`; no video raises an error."""
        import av

        video = Extracted(video_id, uri, content_sha256)
        deadline = Deadline(self.settings.file_timeout_seconds)
        try:
            with local_file(uri) as path, opened(path, deadline) as container:
                self._fill(video, container, deadline)
        except VideoError as error:
            return video.refused(error.rule, str(error))
        except (av.FFmpegError, OSError, ValueError, ArithmeticError, LookupError, MemoryError) as error:
            return video.refused(
                "unreadable_video", f"{uri} can't be read: {type(error).__name__}: {error}. Re-encode it and deliver it again"
            )
        return video

    def _fill(self, video: Extracted, container: InputContainer, deadline: Deadline) -> None:
        settings = self.settings
        picture, sound = picture_stream(container), sound_stream(container)
        seen = Sights([], None)
        if picture is not None:
            seen = look_at(
                container,
                picture,
                count=settings.candidates,
                seconds_max=settings.seconds_max,
                reformatter=self.thumbnail,
                deadline=deadline,
            )
        damage = [seen.damage]
        if settings.audio and sound is not None:
            until = seen.seconds if seen.damage and seen.seconds else settings.seconds_max
            limit = min(until, settings.seconds_max)
            vectors, wrong = audio.sound_vectors(container, sound, count=settings.audio_patches, seconds_max=limit, deadline=deadline)
            damage.append(wrong)
            if len(vectors):
                video.add_features("audio", audio.ENCODER_ID, vectors)
        if not seen.sights and (sound is None or (settings.audio and not video.features)):
            raise VideoError(
                "no_frames", f"{video.uri} holds no picture and no sound that can be decoded; re-encode it, or deliver it again whole"
            )
        turned = (-90 * seen.sights[0].quarters) % 360 if seen.sights else 0
        found = probe(container, rotation=turned, seconds=seen.seconds, frames_per_second=None)
        video.columns = {
            "status": "ok" if seen.sights else "audio_only",
            "damage": "; ".join(d for d in damage if d) or None,
            **asdict(found),
        }
        if picture is not None and seen.sights:
            self._keep(video, seen.sights, pixel_aspect(picture))

    def _keep(self, video: Extracted, sights: list[Sight], aspect: float) -> None:
        settings = self.settings
        times, greys = [s.time_seconds for s in sights], [s.grey for s in sights]
        chosen = [sights[i] for i in choose_frames(greys, times, frames=settings.frames, threshold=settings.scene_threshold)]
        video.pictures = [images.square(s.picture, s.quarters, aspect, self.square) for s in chosen]
        changes = changes_of([s.grey for s in chosen])
        video.columns["frames"] = [
            {
                "frame_index": i,
                "timestamp_seconds": sight.time_seconds,
                "scene_change": change,
                "jpeg": images.jpeg(rgb),
                "perceptual_hash": perceptual_hash(sight.grey),
            }
            for i, (sight, change, rgb) in enumerate(zip(chosen, changes, video.pictures, strict=True))
        ]
        if settings.ocr_frames:
            video.columns["ocr"] = self._text(chosen, aspect)

    def _text(self, chosen: list[Sight], aspect: float) -> list[dict[str, Any]]:
        from reelhouse.video.ocr import SIDE_MAX, most_likely, read_lines

        views = [images.readable(s.picture, s.quarters, aspect, SIDE_MAX, self.readable) for s in chosen]
        return [
            {"frame_index": i, "line_index": n, "text": line.text, "confidence": line.confidence, "box": list(line.box)}
            for i in most_likely(views, self.settings.ocr_frames)
            for n, line in enumerate(read_lines(views[i], self.settings.ocr_confidence_min))
        ]
