"""Delivered lines and categories as rows of bronze.label_events, label_exports and tag_reviews, on Spark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from reelhouse.labels.delivered import INBOX, Chunk, read_chunk
from reelhouse.labels.fold import MANIFEST
from reelhouse.labels.lines import DEFAULT_TASK, LineKind, parse_line, resolve_label
from reelhouse.labels.taxonomy import Taxonomy
from reelhouse.sources.values import RowError
from reelhouse.tables import REFUSED, REFUSED_CHARACTERS_MAX

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

CHUNK_SCHEMA = "batch string, path string, start bigint, end bigint, first_line bigint, checksum bigint"


def parse_chunks(chunks: DataFrame, kind: LineKind, trees: Mapping[str, Taxonomy]) -> DataFrame:
    """Every line of the chunks, blank ones left out: the event's columns, or rule, reason and row where it can't be taken.

    chunks: rows of CHUNK_SCHEMA. Returns the columns of the kind's table that come from a line, batch, source_file,
    source_row, rule, reason, row (the line as text). Files must be readable where Spark runs.
    """
    names = _event_columns(kind)
    types = {c.name: c.type for c in kind.table.columns}
    schema = ", ".join(f"{name} {types[name]}" for name in names) + ", rule string, reason string, row string"

    def parse(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for chunk in batch.to_pylist():
                yield _parsed_chunk(Chunk(**chunk), kind, trees, schema)

    return chunks.mapInArrow(parse, schema)


def _event_columns(kind: LineKind) -> list[str]:
    return [c.name for c in kind.table.columns if c.name not in ("ingested_at", "data_date", "taxonomy_version")]


def _parsed_chunk(chunk: Chunk, kind: LineKind, trees: Mapping[str, Taxonomy], schema: str) -> pa.RecordBatch:
    import pyarrow as pa

    types = {"string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "timestamp": pa.timestamp("us", tz="UTC")}
    arrow = pa.schema([(name, types[kind_]) for name, kind_ in (part.split() for part in schema.split(", "))])
    rows: list[dict[str, Any]] = []
    for number, line in read_chunk(chunk):
        if not line.strip():
            continue
        place = {"batch": chunk.batch, "source_file": chunk.path, "source_row": number}
        try:
            rows.append({**parse_line(kind, line, trees), **place})
        except RowError as error:
            text = line[: 4 * REFUSED_CHARACTERS_MAX].decode(errors="replace")[:REFUSED_CHARACTERS_MAX]
            rows.append({**place, "rule": error.rule, "reason": str(error), "row": text})
    return pa.RecordBatch.from_pylist(rows, schema=arrow)


def is_later(kind: LineKind, date: dt.date) -> Column:
    """Lines of the inbox that were said after the end of the date (UTC): they belong to a later day. A line without a time does not."""
    from pyspark.sql import functions as F

    end = F.lit(f"{date + dt.timedelta(days=1)}T00:00:00Z").cast("timestamp")
    return F.col("batch").startswith(INBOX) & F.coalesce(F.col(kind.time) >= end, F.lit(False))


def staying_events(day: DataFrame, before: DataFrame, parsed: DataFrame, replaced: Collection[str]) -> DataFrame:
    """Events of the table's day whose line is no longer there: those of a file that is gone, or that an inbox file held once.

    replaced: batches that are delivered now and replace what they brought. What the manifest says is told anew from the videos.
    before: the table before the day; what an earlier day has taken over does not stay.
    """
    from pyspark.sql import functions as F

    stays = day.where(~F.col("batch").isin(*replaced))
    if "annotator_id" in day.columns:
        stays = stays.where(F.col("annotator_id") != MANIFEST)
    there = parsed.where("rule IS NULL").select("batch", "event_id").distinct()
    stays = stays.join(there, on=["batch", "event_id"], how="left_anti").join(before.select("event_id"), on="event_id", how="left_anti")
    return stays.select(*day.columns)


def split_new(parsed: DataFrame, earlier: DataFrame, kind: LineKind) -> tuple[DataFrame, DataFrame]:
    """(events that are new, rows to refuse) of parsed lines.

    An event is new when no event of `earlier` (the table before the day, and what stays of the day) has its event_id; of several
    lines with one event_id the first by batch and line is taken. A repeat with the same content adds nothing; one with other
    content is refused as duplicate_event_id. The second frame has the columns REFUSED and batch.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    content = F.xxhash64(*[part for name in kind.content for part in (F.col(name).isNull(), F.col(name))])
    known = earlier.select("event_id", content.alias("known")).groupBy("event_id").agg(F.min("known").alias("known"))
    order = Window.partitionBy("event_id").orderBy("batch", "source_row")
    judged = (
        parsed.where("rule IS NULL")
        .withColumn("content", content)
        .join(known, on="event_id", how="left")
        .withColumn("place", F.row_number().over(order))
        .withColumn("first", F.coalesce("known", F.first("content").over(order)))
    )
    new = judged.where("known IS NULL AND place = 1").select(*_event_columns(kind))
    taken = F.lit(" is taken by an event with other content: give a changed answer an id of its own")
    other = judged.where("content <> first").select(
        "batch",
        "source_row",
        F.lit("duplicate_event_id").alias("rule"),
        F.concat(F.lit("event_id "), "event_id", taken).alias("reason"),
        F.to_json(F.struct(*kind.content)).alias("row"),
        _video_id(kind).alias("video_id"),
    )
    broken = parsed.where("rule IS NOT NULL").select("batch", "source_row", "rule", "reason", "row", _video_id(kind).alias("video_id"))
    key = F.concat_ws(":", "batch", "source_row")
    return new, broken.unionByName(other).select("rule", key.alias("row_key"), "reason", "row", "video_id", "batch")


def without_told(refused: DataFrame, told: DataFrame) -> DataFrame:
    """The rows to refuse, less those of the inbox that were refused on an earlier day already: its files are read every day.

    told: ops.quarantine before the day, this job's rows of the same table. Returns the columns REFUSED.
    """
    from pyspark.sql import functions as F

    before = told.where(F.col("row_key").startswith(INBOX)).select("rule", "row_key", "row").distinct()
    return refused.join(before, on=["rule", "row_key", "row"], how="left_anti").select(*REFUSED)


def manifest_events(arrivals: DataFrame, earlier: DataFrame, tree: Taxonomy) -> tuple[DataFrame, DataFrame]:
    """(label events, rows to refuse) from the categories that came with the day's videos.

    arrivals: bronze.video_arrivals of the day. earlier: bronze.label_events before it. Of a video that came in several batches
    the last batch counts. A category that says what the manifest said before adds nothing; one that returns to an older value
    is a new event, so event_id is a hash of video, task, label, `manifest` and the day.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    last = Window.partitionBy("video_id").orderBy(F.desc("batch"), F.desc("source_row"))
    given = arrivals.where("trim(category) <> ''").withColumn("place", F.row_number().over(last)).where("place = 1")
    resolved = given.withColumn("found", _resolver(tree)("category"))
    newest = Window.partitionBy("video_id").orderBy(F.desc("data_date"), F.desc("batch"), F.desc("source_row"), F.desc("event_id"))
    before = (
        earlier.where((F.col("annotator_id") == MANIFEST) & (F.col("task") == DEFAULT_TASK))
        .withColumn("place", F.row_number().over(newest))
        .where("place = 1")
        .select("video_id", F.col("label_id").alias("said"))
    )
    label = F.col("found.label_id")
    identity = F.concat_ws("\u001f", "video_id", F.lit(DEFAULT_TASK), label, F.lit(MANIFEST), F.col("data_date").cast("string"))
    events = (
        resolved.where(label.isNotNull())
        .join(before, on="video_id", how="left")
        .where(F.col("said").isNull() | (F.col("said") != label))
        .select(
            F.substring(F.sha2(identity, 256), 1, 32).alias("event_id"),
            "video_id",
            F.lit(DEFAULT_TASK).alias("task"),
            label.alias("label_id"),
            F.lit(1).alias("answer"),
            F.lit(MANIFEST).alias("annotator_id"),
            F.lit(None).cast("timestamp").alias("answered_at"),
            "batch",
            "source_file",
            "source_row",
        )
    )
    refused = resolved.where(label.isNull()).select(
        F.lit("unknown_label").alias("rule"),
        F.concat_ws(":", "batch", "video_id").alias("row_key"),
        F.col("found.reason").alias("reason"),
        F.to_json(F.struct("video_id", "category")).alias("row"),
        "video_id",
    )
    return events, refused


def _video_id(kind: LineKind) -> Any:
    from pyspark.sql import functions as F

    return F.col("video_id") if "video_id" in kind.table.names else F.lit(None).cast("string")


def _resolver(tree: Taxonomy) -> Any:
    """Spark function: category -> struct(label_id, reason)."""
    from pyspark.sql import functions as F

    def resolve(texts: pd.Series) -> pd.DataFrame:
        found = {text: _found(tree, text) for text in texts.unique()}
        return pd.DataFrame([found[text] for text in texts], columns=["label_id", "reason"], dtype=object)

    return F.pandas_udf(resolve, "label_id string, reason string")  # type: ignore[call-overload]


def _found(tree: Taxonomy, text: str) -> tuple[str | None, str | None]:
    try:
        return resolve_label(tree, text), None
    except RowError as error:
        return None, str(error)
