"""A lake of as many made-up videos as wanted, written by Spark: the inputs of the steps that scale.py measures.

Every 10,000 videos are drawn from a seed of their own, so that the rows don't depend on how Spark cuts the work.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import to_arrow_schema

from reelhouse import tables
from reelhouse.features import Layout, Part
from reelhouse.lake import ROWS_TO_COMPILE, Lake, RunRecord, Slice, compile_queries
from reelhouse.lake.lake import PROPERTIES
from reelhouse.models import ModelConfig
from reelhouse.models.network import MultimodalNetwork, dump
from reelhouse.pipeline import Pipeline
from reelhouse.tables import Table

DAY = dt.date(2026, 1, 2)
MODEL = "5ca1e0000000"
SEED = 11
BLOCK = 10_000
FILE_BLOCKS = 25  # blocks a file
DIMENSION = 64
KINDS = 400  # kinds of video; the k-th is on a share of about 1 / k
TASK = "category"
LAYOUT = Layout((Part("visual", "bench-visual", DIMENSION), Part("text", "bench-text", DIMENSION)))
VOCABULARY = """
猫咪 视频 今天 小狗 家常菜 火锅 教程 分享 好吃 旅行 北京 上海 街舞 吉他 钢琴 翻唱 篮球 足球 瑜伽 跑步 早餐 咖啡 烘焙 面条 搞笑 日常
vlog cat dog cooking travel guitar piano dance street coffee morning run how to make best funny day in the life of a baker city walk
"""
WORDS = VOCABULARY.split()
Arrays = dict[str, object]


class Block:
    """10,000 videos: ids, and the kind of each."""

    def __init__(self, number: int, table: str) -> None:
        kinds = np.random.default_rng([SEED, number])
        share = 1 / np.arange(1, KINDS + 1)
        self.kind = kinds.choice(KINDS, BLOCK, p=share / share.sum())
        self.numbers = np.arange(number * BLOCK, (number + 1) * BLOCK)
        self.ids = np.array([hashlib.sha256(str(n).encode()).hexdigest() for n in self.numbers.tolist()], dtype=object)
        # a stream of its own a table: more columns of one change nothing in another
        self.draw = np.random.default_rng([SEED, number, *table.encode()])

    def texts(self, words: int) -> list[str]:
        """Half of the words are of the video's kind, the others of any."""
        own = (self.kind[:, None] * 3 + self.draw.integers(0, 3, (BLOCK, words))) % len(WORDS)
        picked = np.where(self.draw.random((BLOCK, words)) < 0.5, own, self.draw.integers(0, len(WORDS), (BLOCK, words)))
        return [" ".join([WORDS[i] for i in row]) for row in picked.tolist()]


def arrivals(block: Block) -> Arrays:
    return {
        "video_id": block.ids, "title": block.texts(6), "caption": block.texts(12), "hashtags": [t.split() for t in block.texts(2)],
        "item_ids": [[]] * BLOCK, "batch": ["bench"] * BLOCK, "ingested_at": [dt.datetime(2026, 1, 2)] * BLOCK,
        "source_file": ["bench.csv"] * BLOCK,
    }  # fmt: skip


def probes(block: Block) -> Arrays:
    return {"video_id": block.ids, "status": ["ok"] * BLOCK, "has_audio": [False] * BLOCK}


def read_texts(block: Block) -> Arrays:
    """One line on every tenth video."""
    some = slice(None, None, 10)
    count = len(block.ids[some])
    lines = block.texts(4)[some]
    return {"video_id": block.ids[some], "frame_index": [0] * count, "line_index": [0] * count, "text": lines, "confidence": [0.9] * count}


def features_of(modality: str) -> Callable[[Block], Arrays]:
    def features(block: Block) -> Arrays:
        centres = np.random.default_rng([SEED, *modality.encode()]).standard_normal((KINDS, DIMENSION))
        values = centres[block.kind] + 0.5 * block.draw.standard_normal((BLOCK, DIMENSION))
        return {
            "video_id": block.ids, "modality": [modality] * BLOCK, "encoder_id": [f"bench-{modality}"] * BLOCK,
            "source_sha256": block.ids, "steps": [1] * BLOCK, "dimension": [DIMENSION] * BLOCK, "values": values.astype(np.float32),
        }  # fmt: skip

    return features


def cleaned(block: Block) -> Arrays:
    """Stands in for what clean_text writes, where that did not end in its time."""
    texts = block.texts(6)
    return {
        "video_id": block.ids, "title": texts, "hashtags": [[]] * BLOCK, "text": texts, "tokens": [t.split() for t in texts],
        "language": ["mixed"] * BLOCK, "is_meaningful": [True] * BLOCK,
    }  # fmt: skip


def copies(block: Block) -> Arrays:
    """Every hundredth video is a copy of the one before it."""
    of = block.ids.copy()
    of[1::100] = block.ids[0::100]
    return {"video_id": block.ids, "copy_group": of, "frame_hashes": [[]] * BLOCK}


def labels_of(label_ids: tuple[str, ...]) -> Callable[[Block], Arrays]:
    """Every fiftieth video has a label, that of its kind: a long tail of classes."""

    def labels(block: Block) -> Arrays:
        some = block.ids[::50]
        one = {"task": TASK, "answer": 1, "agreement": 1.0, "annotators": 1, "source": "people", "taxonomy_version": "bench"}
        named = [label_ids[kind % len(label_ids)] for kind in block.kind[::50].tolist()]
        return {"video_id": some, "label_id": named} | {name: [value] * len(some) for name, value in one.items()}

    return labels


def vectors(block: Block) -> Arrays:
    """Stands in for what predict writes, where that did not end in its time."""
    drawn = block.draw.standard_normal((BLOCK, 2 * DIMENSION))
    unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return {"video_id": block.ids, "model_version": [MODEL] * BLOCK, "vector": unit.astype(np.float32)}


def hashes(block: Block) -> Arrays:
    return {"video_id": block.ids, "model_version": [MODEL] * BLOCK, "hash": [i.encode()[:16] for i in block.ids.tolist()]}


STAND_INS = {tables.VIDEO_TEXT: cleaned, tables.EMBEDDINGS: vectors, tables.HASHES: hashes}


def plant(pipeline: Pipeline, videos: int, wanted: Collection[str] | None) -> None:
    """Write the inputs of all steps, or those wanted, by name; `videos` is rounded up to whole blocks. A model with weights by chance is
    the champion."""
    if videos >= ROWS_TO_COMPILE:
        compile_queries(pipeline.lake.spark, pipeline.settings.spark)
    label_ids = tuple(sorted(pipeline.services.taxonomy(TASK).ids))
    makers = {
        tables.VIDEO_ARRIVALS: arrivals, tables.VIDEOS: probes, tables.OCR: read_texts, tables.FEATURES: features_of("visual"),
        tables.TEXT_FEATURES: features_of("text"), tables.COPIES: copies, tables.LABELS: labels_of(label_ids),
        tables.VIDEO_TEXT: cleaned,
    }  # fmt: skip
    for table, make in makers.items():
        if wanted is None or table.name in wanted:
            write(pipeline, table, make, videos)
    if pipeline.lake.exists(tables.PROMOTIONS):
        return
    torch.manual_seed(SEED)
    network = MultimodalNetwork(ModelConfig(TASK, label_ids, LAYOUT.with_steps(visual_steps=1, audio_steps=1), 2 * DIMENSION))
    registry = pipeline.services.registry
    registry.register(registry.start(MODEL, {}).run_id, MODEL, dump(network), {})
    decided = (MODEL, "bench", "promoted", "bench", dt.datetime.combine(DAY, dt.time()), None, "a model to measure with", DAY)
    promotions = pipeline.lake.spark.createDataFrame([decided], tables.PROMOTIONS.spark_schema())
    save(pipeline.lake, tables.PROMOTIONS, promotions)


def write(pipeline: Pipeline, table: Table, make: Callable[[Block], Arrays], videos: int) -> None:
    """Write a table unless it is there, and say so in the ledger as the job would that owns it."""
    lake = pipeline.lake
    if lake.exists(table):
        return
    blocks = -(-videos // BLOCK)
    numbers = lake.spark.range(0, blocks, 1, -(-blocks // FILE_BLOCKS))
    wanted = to_arrow_schema(table.spark_schema())

    def over(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield _filled(make(Block(number, table.name)), wanted)

    save(lake, table, lake.spark.range(0) if not blocks else numbers.mapInArrow(over, table.spark_schema()))
    rows = lake.read(table).count()
    owner = next(job.name for job in pipeline.jobs if table.name in job.writes)
    record = RunRecord(f"planted-{table.name}", owner, DAY, dt.datetime(2026, 1, 2), "succeeded", rows_out=rows)
    record.writes = [Slice(table.name, "", rows, "planted")]
    pipeline.ledger.append(record, pipeline.ledger.row(record))


def write_manifest(path: Path, videos: int) -> None:
    """What was delivered, as a file."""
    with path.open("w", encoding="utf-8") as file:
        file.write("video_id,title\n")
        for number in range(-(-videos // BLOCK)):
            block = Block(number, "manifest")
            file.writelines(f"{video_id},{title}\n" for video_id, title in zip(block.ids, block.texts(6), strict=True))


def save(lake: Lake, table: Table, rows: DataFrame) -> None:
    properties = {**PROPERTIES, **table.properties}  # as the lake writes
    rows.write.format("delta").mode("append").partitionBy(*table.partition_by).options(**properties).save(lake.path(table))


def _filled(given: Arrays, schema: pa.Schema) -> pa.RecordBatch:
    """All columns of the table; those that are not given are null."""
    count = len(given["video_id"])  # type: ignore[arg-type]
    columns = []
    for field in schema:
        if field.name == "data_date":
            columns.append(pa.array([DAY] * count, field.type))
        elif field.name not in given:
            columns.append(pa.nulls(count, field.type))
        elif isinstance(given[field.name], np.ndarray) and given[field.name].ndim == 2:  # type: ignore[attr-defined]
            matrix: np.ndarray = given[field.name]  # type: ignore[assignment]
            ends = np.arange(0, matrix.size + 1, matrix.shape[1], dtype=np.int32)
            columns.append(pa.ListArray.from_arrays(ends, pa.array(matrix.ravel())).cast(field.type))
        else:
            columns.append(pa.array(given[field.name], field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
