"""Delivered files -> typed rows, on Spark executors, one task a file, in batches: no process holds a file whole.

A row comes out as a row of its table (rule is null), as a refusal (rule, reason, row_key, row), or, where a text was cut, as both.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from reelhouse.sections import SourceSettings
from reelhouse.sources.columns import KINDS, VIDEOS, FileKind
from reelhouse.sources.deliveries import BARE_BATCH, DeliveredFile, Delivery
from reelhouse.sources.media import hash_media, inside
from reelhouse.sources.records import BATCH_ROWS, Record, records
from reelhouse.sources.values import RowError, convert, cut
from reelhouse.tables import REFUSED_CHARACTERS_MAX

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

TEXT_TOO_LONG = "text_too_long"
_REFUSAL = ("rule", "reason", "row_key", "row")
_HASH_TASKS_PER_CORE = 2
_ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://|file:")


def read_schema(kind: FileKind) -> StructType:
    """Columns of the kind's table without data_date and ingested_at, and of a refusal; all nullable."""
    fields = [StructField(f.name, f.dataType) for f in kind.table.spark_schema("data_date", "ingested_at")]
    return StructType([*fields, *(StructField(name, StringType()) for name in _REFUSAL)])


def read_rows(spark: SparkSession, delivery: Delivery, kind: FileKind, settings: SourceSettings) -> DataFrame:
    """Every row of the delivery's files of a kind, with the media hashed: columns as in `read_schema`."""
    schema = read_schema(kind)
    files = delivery.of(kind.name)
    rows = spark.createDataFrame([], schema)
    if files:
        listed = spark.createDataFrame([(f.path, f.folder, f.batch) for f in files], "path string, folder string, batch string")
        reader = partial(_read_files, kind_name=kind.name, text_bytes_max=settings.text_bytes_max, roots=tuple(settings.roots))
        rows = listed.repartition(len(files), "path").mapInArrow(reader, schema)
    if kind is not VIDEOS:
        return rows
    if delivery.videos:
        bare = _bare_rows(spark, delivery)
        rows = rows.unionByName(bare) if files else bare
    if delivery.videos or any("file" in f.columns for f in files):
        tasks = _HASH_TASKS_PER_CORE * spark.sparkContext.defaultParallelism
        rows = rows.repartition(tasks, "batch", "source_row").mapInArrow(partial(hash_media, bytes_max=settings.file_bytes_max), schema)
    return rows


def count_rows(rows: DataFrame) -> int:
    """How many rows `read_rows` read: one whose text was cut is told twice."""
    return rows.where(F.col("rule").isNull() | (F.col("rule") != TEXT_TOO_LONG)).count()


def _bare_rows(spark: SparkSession, delivery: Delivery) -> DataFrame:
    """Rows of the bare folders' files: a path and nothing else. A link out of its folder, or a name that is no text, is refused."""
    listed, refused = [], []
    for number, (path, folder) in enumerate(delivery.videos, 1):
        name = os.fsencode(os.path.relpath(path, folder)).decode(errors="backslashreplace")
        key = f"{BARE_BATCH}:{name}"
        if name != os.path.relpath(path, folder):
            refused.append((None, number, key, "bad_file_name", "the file's name is not UTF-8: rename it", name))
        elif inside(folder, path) is None:
            refused.append((None, number, key, "path_outside", f"{path} is a link out of {folder}: copy the file into it", path))
        else:
            listed.append((path, number, key, None, None, None))
    columns = "uri string, source_row bigint, row_key string, rule string, reason string, row string"
    named = {"uri", "source_row", "row_key", "rule", "reason", "row"}
    frame = spark.createDataFrame(listed + refused, columns).withColumns({"batch": F.lit(BARE_BATCH), "source_file": F.col("uri")})
    empty = {"hashtags": F.array().cast("array<string>"), "item_ids": F.array().cast("array<string>")}
    for field in read_schema(VIDEOS):
        if field.name not in named | {"batch", "source_file"}:
            frame = frame.withColumn(field.name, empty.get(field.name, F.lit(None).cast(field.dataType)))
    return frame.select(*read_schema(VIDEOS).names)


def _read_files(
    batches: Iterator[pa.RecordBatch], *, kind_name: str, text_bytes_max: int, roots: tuple[str, ...] = ()
) -> Iterator[pa.RecordBatch]:
    kind = KINDS[kind_name]
    schema = _arrow_schema(kind)
    for batch in batches:
        for listed in batch.to_pylist():
            file = DeliveredFile(kind_name, listed["path"], listed["folder"], listed["batch"], ())
            yield from _in_batches(_file_rows(file, kind, text_bytes_max, roots), schema)


def _in_batches(rows: Iterator[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    held: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        held.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(held) == BATCH_ROWS or size > 16 * 2**20:
            yield pa.RecordBatch.from_pylist(held, schema=schema)
            held, size = [], 0
    if held:
        yield pa.RecordBatch.from_pylist(held, schema=schema)


def _arrow_schema(kind: FileKind) -> pa.Schema:
    import pyarrow as pa

    types = {
        "string": pa.string(), "bigint": pa.int64(), "double": pa.float64(),
        "timestamp": pa.timestamp("us", tz="UTC"), "array<string>": pa.list_(pa.string()),
    }  # fmt: skip
    return pa.schema([(f.name, types[f.dataType.simpleString()]) for f in read_schema(kind)])


def _file_rows(file: DeliveredFile, kind: FileKind, text_bytes_max: int, roots: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for record in records(file.path):
        where = {"batch": file.batch, "source_file": file.path, "source_row": record.number, "row_key": f"{file.batch}:{record.number}"}
        try:
            row, notes = _typed(record, kind, file.folder, text_bytes_max, roots)
        except RowError as error:
            yield {**where, "video_id": _video_of(record), "rule": error.rule, "reason": str(error), "row": _shown(record)}
            continue
        yield {**row, **where}
        if notes:
            yield {**where, "video_id": row["video_id"], "rule": TEXT_TOO_LONG, "reason": "; ".join(notes), "row": _shown(record)}


def _typed(record: Record, kind: FileKind, folder: str, text_bytes_max: int, roots: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """The typed row and notes on texts that were cut. Raises RowError with the rule that the row broke."""
    if record.rule is not None:
        raise RowError(record.rule, record.reason or "")
    unknown = record.values.keys() - set(kind.names)
    if unknown:
        raise RowError("unknown_column", f"unknown {', '.join(map(repr, sorted(unknown)))}: `reelhouse manifest` lists the known columns")
    row, notes = {}, []
    for column in kind.columns:
        value = convert(column, record.values.get(column.name))
        if column.needed and value is None:
            raise RowError("missing_value", f"{column.name} is needed ({column.comment}) and is empty")
        if column.kind in ("text", "list") and value:
            short = cut(value, text_bytes_max) if column.kind == "text" else _cut_list(value, text_bytes_max)
            if short != value:
                notes.append(f"{column.name} was cut to {text_bytes_max} bytes (sources.text_bytes_max); the row was kept")
            value = short
        row[column.name] = value
    if kind.any_of and not any(row[name] for name in kind.any_of):
        raise RowError("empty_row", f"all of {', '.join(kind.any_of)} are empty: give at least one of them")
    if kind is VIDEOS:
        row["uri"] = _located(row.pop("file"), folder, roots)
    if row[kind.key] is None and row.get("uri") is None:
        row[kind.key] = content_id(row)
    return row, notes


def _cut_list(values: list[str], bytes_max: int) -> list[str]:
    kept: list[str] = []
    room = bytes_max
    for value in values:
        room -= len(value.encode())
        if room < 0:
            return kept
        kept.append(value)
    return kept


def _located(path: str | None, folder: str, roots: tuple[str, ...]) -> str | None:
    """Where a row's file lies: below the manifest's folder, or by an absolute path below one of the roots. No address is followed."""
    if path is None:
        return None
    if _ADDRESS.match(path):
        raise RowError("path_outside", f"{path} is an address: fetch the file, and give its path from the manifest's folder {folder}")
    places = (folder, *roots) if os.path.isabs(path) else (folder,)
    found = next((place for root in places if (place := inside(root, path)) is not None), None)
    if found is None:
        raise RowError(
            "path_outside",
            f"{path} leads out of the manifest's folder {folder}: put the file below that folder, or name its folder in sources.roots",
        )
    return found


def content_id(row: dict[str, Any]) -> str:
    """SHA-256 of a row's own values, names sorted, missing ones left out: the id of a row that has none."""
    values = {name: value if isinstance(value, str | float | list) else value.isoformat() for name, value in row.items() if value}
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _video_of(record: Record) -> str | None:
    raw = record.values.get("video_id")
    if isinstance(raw, bytes):
        raw = raw.decode(errors="replace")
    try:
        return raw.encode().decode() or None if isinstance(raw, str) else None
    except UnicodeEncodeError:
        return None


def _shown(record: Record) -> str:
    """The row as JSON, readable even where it does not decode."""
    text = record.raw if record.raw is not None else json.dumps(record.values, ensure_ascii=False, default=_plain)
    return text[:REFUSED_CHARACTERS_MAX].encode(errors="backslashreplace").decode()


def _plain(value: Any) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
