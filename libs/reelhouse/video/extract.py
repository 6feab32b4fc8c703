"""From arrivals to probes, frames, vectors and text, on Spark executors; each video is opened once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reelhouse import tables
from reelhouse.sections import VideoSettings
from reelhouse.video.encoders import encoder_file
from reelhouse.video.isolation import IsolatedReader
from reelhouse.video.reading import Extracted

if TYPE_CHECKING:
    import pyarrow
    from onnxruntime import InferenceSession
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

ARRIVAL = ["video_id", "uri", "content_sha256"]
GROUP = 8  # videos whose frames are encoded together


def extract_videos(arrivals: DataFrame, settings: VideoSettings, cache_folder: Path) -> DataFrame:
    """One row a video with everything that can be said of it; `videos_of` and the others select the tables from it.

    arrivals: one row per video_id, with uri (null = text-only) and content_sha256. A video that can't be used has `rule`
    and `reason` and nothing else. cache_folder: where the encoder's ONNX file is kept. The frame is lazy and costly:
    persist it. NotFoundError if video.encoder is no encoder.
    """
    encoder = encoder_file(settings.encoder, cache_folder)
    context = arrivals.sparkSession.sparkContext
    model = context.broadcast(encoder.path.read_bytes())
    rows = arrivals.where("uri is not null").select(*ARRIVAL)
    count = rows.count()
    tasks = max(-(-count // settings.partition_videos), min(count, context.defaultParallelism), 1)
    extract = _extractor(settings, encoder.encoder_id, lambda: model.value)
    return rows.repartition(tasks).mapInArrow(extract, wide_schema()).unionByName(_text_only(arrivals.where("uri is null")))


def _text_only(arrivals: DataFrame) -> DataFrame:
    """The wide rows of videos without a file; no Python worker needs to see them."""
    from pyspark.sql import functions as F

    known = {name: F.col(name) for name in ARRIVAL} | {"status": F.lit("text_only"), "has_audio": F.lit(False)}
    return arrivals.select(*[known.get(f.name, F.lit(None).cast(f.dataType)).alias(f.name) for f in wide_schema()])


def wide_schema() -> StructType:
    """One row a video: the columns of silver.videos, frames, features and lines of text as lists, rule and reason if refused."""
    from pyspark.sql.types import ArrayType, StringType, StructField, StructType

    def nested(table: tables.Table) -> ArrayType:
        return ArrayType(StructType([StructField(f.name, f.dataType) for f in table.spark_schema("video_id", "data_date")]))

    plain = [StructField(f.name, f.dataType) for f in tables.VIDEOS.spark_schema("data_date")]
    return StructType(
        [
            *plain,
            StructField("rule", StringType()),
            StructField("reason", StringType()),
            StructField("damage", StringType()),
            StructField("frames", nested(tables.FRAMES)),
            StructField("features", nested(tables.FEATURES)),
            StructField("ocr", nested(tables.OCR)),
        ]
    )


def _extractor(
    settings: VideoSettings, encoder_id: str, model: Callable[[], bytes]
) -> Callable[[Iterable[pyarrow.RecordBatch]], Iterable[pyarrow.RecordBatch]]:
    def extract(batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        from pyspark.sql.pandas.types import to_arrow_schema

        schema = to_arrow_schema(wide_schema())
        reader = _reader(settings)
        group: list[Extracted] = []
        for batch in batches:
            for arrival in batch.to_pylist():
                group.append(reader.read(arrival["video_id"], arrival["uri"], arrival["content_sha256"]))
                if len(group) == GROUP:
                    yield _to_batch(group, encoder_id, model, schema)
                    group = []
        if group:
            yield _to_batch(group, encoder_id, model, schema)

    return extract


def _to_batch(group: list[Extracted], encoder_id: str, model: Callable[[], bytes], schema: pyarrow.Schema) -> pyarrow.RecordBatch:
    """Encode the frames of a group of videos in one go and lay everything out as the wide frame's columns."""
    import pyarrow

    from reelhouse.video.encoders import encode

    pictures = [picture for one in group for picture in one.pictures]
    vectors = encode(_session(encoder_id, model), np.stack(pictures)) if pictures else np.zeros((0, 0), np.float32)
    rows, taken = [], 0
    for one in group:
        mine = vectors[taken : taken + len(one.pictures)]
        taken += len(mine)
        if len(mine):
            one.add_features("visual", encoder_id, mine)
        rows.append(one.row())
    return pyarrow.RecordBatch.from_pylist(rows, schema=schema)


@functools.lru_cache(1)
def _reader(settings: VideoSettings) -> IsolatedReader:
    """Kept in this worker: Spark uses a Python worker for many tasks, and the reader's process takes a second to start."""
    return IsolatedReader(settings)


_sessions: dict[str, InferenceSession] = {}


def _session(encoder_id: str, model: Callable[[], bytes]) -> InferenceSession:
    """The encoder's session, made once per Python worker."""
    from reelhouse.video.encoders import session_of

    if encoder_id not in _sessions:
        _sessions.clear()
        _sessions[encoder_id] = session_of(model())
    return _sessions[encoder_id]


def videos_of(wide: DataFrame) -> DataFrame:
    """silver.videos of the videos that were not refused."""
    return wide.where("rule is null").select(*tables.VIDEOS.undated)


def frames_of(wide: DataFrame) -> DataFrame:
    return _exploded(wide, "frames", tables.FRAMES)


def features_of(wide: DataFrame) -> DataFrame:
    return _exploded(wide, "features", tables.FEATURES)


def ocr_of(wide: DataFrame) -> DataFrame:
    return _exploded(wide, "ocr", tables.OCR)


def refused_of(wide: DataFrame) -> DataFrame:
    """The refused videos as rows for ops.quarantine: rule, row_key, reason, row, video_id."""
    from pyspark.sql import functions as F

    row = F.to_json(F.struct(*ARRIVAL)).alias("row")
    return wide.where("rule is not null").select("rule", F.col("video_id").alias("row_key"), "reason", row, "video_id")


def _exploded(wide: DataFrame, column: str, table: tables.Table) -> DataFrame:
    from pyspark.sql import functions as F

    one = wide.where("rule is null").select("video_id", F.explode(column).alias("one"))
    return one.select("video_id", *[f"one.{n}" for n in table.undated if n != "video_id"])
