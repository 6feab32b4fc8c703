"""Bar 2: `extract` on Spark against a bare loop that decodes and encodes the same frames with PyAV and ONNX Runtime.

Both work on the clips of shared/data with two processes, warm, in turns within one run; the median round of each counts.
The bare loop is told which frames are wanted and is given the same economies: one thread a process, no decoding of
pictures that nothing refers to, seeking to the last keyframe before a wanted picture where that saves decoding.
It makes no JPEG, no hash, no choice, no probe and no rows.
"""

from __future__ import annotations

import bisect
import functools
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import onnxruntime

from reelhouse import settings as settings_module
from reelhouse.lake import start_session
from reelhouse.scratch import cache_folder
from reelhouse.video import extract_videos, frames_of
from reelhouse.video.encoders import DEFAULT, encoder_file

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "clips"
ROUNDS = 5
PROCESSES = 2


@functools.cache
def session(model: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def wanted_pictures(path: str, times: list[float]) -> list[np.ndarray]:
    """Decode the pictures at `times` (seconds from the start), ascending, as (224, 224, 3) RGB."""
    pictures = []
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.skip_frame = "NONREF"
        start = float((stream.start_time or 0) * stream.time_base)
        container.seek(stream.start_time or 0, stream=stream)  # Matroska reads its index now
        keys = [float(e.timestamp * stream.time_base) - start for e in stream.index_entries if e.is_keyframe]
        frames, position = container.decode(stream), 0.0
        for wanted in times:
            before = keys[: bisect.bisect_right(keys, wanted + 1e-3)]
            if before and before[-1] > position + 1e-3:
                container.seek(round((wanted + start) / float(stream.time_base)), stream=stream)
                frames = container.decode(stream)
            for frame in frames:
                position = frame.time - start
                if position >= wanted - 1e-3:
                    scale = 224 / min(frame.width, frame.height)
                    size = (max(round(frame.width * scale), 224), max(round(frame.height * scale), 224))
                    rgb = frame.reformat(*size, "rgb24", interpolation="AREA").to_ndarray()
                    left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
                    pictures.append(rgb[top : top + 224, left : left + 224])
                    break
    return pictures


def bare_loop(model: str, work: tuple[str, list[float]]) -> int:
    pictures = wanted_pictures(*work)
    batch = (np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32) - 127) / 128
    return len(session(model).run(None, {"pictures": batch})[0])


def seconds_of(action: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def extract(arrivals: DataFrame, wanted: Any, cache: Path) -> None:
    extract_videos(arrivals, wanted, cache).write.format("noop").mode("overwrite").save()


def run() -> list[dict[str, Any]]:
    cache = cache_folder() / "encoders"
    model = str(encoder_file(DEFAULT, cache).path)
    files = sorted(str(p) for p in CLIPS.rglob("*") if p.suffix in (".mp4", ".mov", ".avi", ".mkv", ".webm"))
    loaded = settings_module.load(values={"spark.master": f"local[{PROCESSES}]", "spark.driver_memory": "1g"})
    plain = loaded.video.model_copy(update={"ocr_frames": 0, "audio": False})
    with tempfile.TemporaryDirectory() as scratch, multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        spark = start_session(loaded.spark, scratch=Path(scratch))
        try:
            arrivals = spark.createDataFrame([(f, f, "") for f in files], "video_id string, uri string, content_sha256 string").cache()
            chosen = frames_of(extract_videos(arrivals, plain, cache)).select("video_id", "timestamp_seconds").collect()  # warms up, too
            times: dict[str, list[float]] = {}
            for row in sorted(chosen):
                times.setdefault(row.video_id, []).append(row.timestamp_seconds)
            work = list(times.items())
            encoded = sum(pool.map(functools.partial(bare_loop, model), work, chunksize=1))
            if encoded != len(chosen):
                raise RuntimeError(f"the bare loop found {encoded} of {len(chosen)} frames: the comparison would not be fair")
            ways = {"frames": plain, "sound": plain.model_copy(update={"audio": True}), "text": plain.model_copy(update={"ocr_frames": 1})}
            extract(arrivals.limit(4), ways["text"], cache)  # loads the OCR models
            seconds: dict[str, list[float]] = {way: [] for way in ("bare", *ways)}
            for _ in range(ROUNDS):
                seconds["bare"].append(seconds_of(lambda: pool.map(functools.partial(bare_loop, model), work, chunksize=1)))
                for way, wanted in ways.items():
                    seconds[way].append(seconds_of(functools.partial(extract, arrivals, wanted, cache)))
        finally:
            spark.stop()
    return _figures(len(files), len(chosen), {way: statistics.median(found) for way, found in seconds.items()})


def _figures(videos: int, frames: int, seconds: dict[str, float]) -> list[dict[str, Any]]:
    loop, job = seconds["bare"], seconds["frames"]
    note = f"{frames} frames of {videos} clips, two processes, warm, median of {ROUNDS}; OCR and sound off"
    more = {what: round(1000 * (seconds[way] - job) / videos) for way, what in (("sound", "sound"), ("text", "OCR of one frame"))}
    return [
        {"name": "extract, share of the bare loop's frames/s", "value": round(loop / job, 2), "bar": ">= 0.7", "unit": "", "note": note},
        {"name": "extract", "value": round(frames / job, 1), "bar": None, "unit": "frames/s", "note": f"{job:.2f} s"},
        {"name": "bare loop", "value": round(frames / loop, 1), "bar": None, "unit": "frames/s", "note": f"{loop:.2f} s"},
        *({"name": what, "value": ms, "bar": None, "unit": "ms a video more", "note": "two workers"} for what, ms in more.items()),
    ]


if __name__ == "__main__":
    for figure in run():
        print(figure)
