"""Delivered files as a stream of records, row by row, in bounded memory: CSV, JSON lines, Parquet.

A row that can't be read is a Record with a rule and a reason; the rows after it are still read.
"""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from reelhouse.errors import ManifestError
from reelhouse.tables import REFUSED_CHARACTERS_MAX

FIELD_BYTES_MAX = 16 * 2**20  # a quote that is never closed swallows at most so much before it is given up
BATCH_ROWS = 4096
FORMATS = (".csv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class Record:
    """One row as delivered. `number` counts from 1 (CSV: records after the header; JSON lines: lines)."""

    number: int
    values: dict[str, Any] = field(default_factory=dict)
    rule: str | None = None
    reason: str | None = None
    raw: str | None = None


def records(path: str) -> Iterator[Record]:
    """All rows of a file. Raises OSError, or ValueError (with the reason) where the file as a whole is not what its name says."""
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        return _csv_records(path)
    return _json_records(path) if suffix == ".jsonl" else _parquet_records(path)


def header(path: str) -> list[str] | None:
    """Names of the columns; None for JSON lines, where each row has its own."""
    suffix = Path(path).suffix.lower()
    if suffix == ".jsonl":
        return None
    if suffix == ".parquet":
        return list(_parquet_file(path).schema_arrow.names)
    with _open_csv(path) as handle:
        return _header(_reader(_Lines(handle)))


def category_paths(path: Path) -> list[str]:
    """The column `category` of a manifest, each value once, sorted. ManifestError where the file or the column is not there."""
    try:
        names = header(str(path))
        if names is not None and "category" not in names:
            raise ManifestError(f"{path} has no column `category`, but {', '.join(names)}")
        found = {record.values.get("category") for record in records(str(path))}
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path} can't be read: {error}") from error
    texts = (value.decode(errors="replace") if isinstance(value, bytes) else value for value in found)
    return sorted(text for text in texts if isinstance(text, str) and text.strip())


class _Lines:
    """Lines for csv.reader that remembers what the record at hand took, so that a broken record costs one line only."""

    def __init__(self, handle: TextIO) -> None:
        self.handle, self.again = handle, deque[str]()
        self.taken: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self.again.popleft() if self.again else next(self.handle)
        self.taken.append(line)
        return line

    def give_back_all_but_first(self) -> str:
        first = self.taken[0]
        self.again.extendleft(reversed(self.taken[1:]))
        self.taken.clear()
        return first


def _open_csv(path: str) -> TextIO:
    with open(path, "rb") as handle:
        if handle.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise ValueError("it is UTF-16: save it as UTF-8")
    # bytes that are not UTF-8 become lone surrogates, which values.convert refuses row by row
    return open(path, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _reader(lines: _Lines) -> Iterator[list[str]]:
    csv.field_size_limit(FIELD_BYTES_MAX)
    return csv.reader(lines, strict=True)


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        names = next(reader)
    except StopIteration:
        raise ValueError("it is empty: wanted a first line with the names of the columns") from None
    except csv.Error as error:
        raise ValueError(f"its first line can't be read: {error}") from None
    return [name.strip() for name in names]


def _csv_records(path: str) -> Iterator[Record]:
    with _open_csv(path) as handle:
        lines = _Lines(handle)
        reader = _reader(lines)
        names = _header(reader)
        lines.taken.clear()
        number = 0
        while True:
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                number += 1
                raw = lines.give_back_all_but_first()
                reader = _reader(lines)
                yield Record(number, rule="bad_quotes", reason=f"the row can't be split into fields ({error}): close its quotes", raw=raw)
                continue
            raw = "".join(lines.taken)
            lines.taken.clear()
            if not fields:
                continue
            number += 1
            if len(fields) != len(names):
                reason = f"the row has {len(fields)} fields, the header has {len(names)}: quote texts that hold commas"
                yield Record(number, rule="wrong_field_count", reason=reason, raw=raw)
            else:
                yield Record(number, dict(zip(names, fields, strict=True)))


def _json_records(path: str) -> Iterator[Record]:
    with open(path, "rb") as handle:
        for number, line in enumerate(handle, 1):
            if number == 1:
                if line[:2] in (b"\xff\xfe", b"\xfe\xff"):
                    raise ValueError("it is UTF-16: save it as UTF-8")
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield _json_record(number, line)


def _json_record(number: int, line: bytes) -> Record:
    shown = line[:REFUSED_CHARACTERS_MAX].decode(errors="backslashreplace")
    try:
        values = json.loads(line.decode())
    except UnicodeDecodeError as error:
        return Record(number, rule="bad_encoding", reason=f"the line is not UTF-8 (byte {error.start}): save it as UTF-8", raw=shown)
    except (ValueError, RecursionError) as error:
        return Record(number, rule="bad_json", reason=f"the line is not JSON: {error}", raw=shown)
    if not isinstance(values, dict):
        return Record(number, rule="bad_json", reason=f"the line must be an object {{...}}, got a {type(values).__name__}", raw=shown)
    return Record(number, values)


def _parquet_file(path: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, ValueError) as error:
        raise ValueError(f"it is not a Parquet file: {error}") from None


def _parquet_records(path: str) -> Iterator[Record]:
    import pyarrow as pa

    file, number = _parquet_file(path), 0
    for group in range(file.num_row_groups):
        start, number = number, number + file.metadata.row_group(group).num_rows
        done = start
        try:
            for batch in file.iter_batches(BATCH_ROWS, row_groups=[group]):
                columns = {name: _as_bytes(column).to_pylist() for name, column in zip(batch.schema.names, batch.columns, strict=True)}
                for values in zip(*columns.values(), strict=True):
                    done += 1
                    yield Record(done, dict(zip(columns, values, strict=True)))
        except (pa.ArrowException, OSError) as error:
            reason = f"rows {done + 1} to {number} can't be read: {error}: write the file again"
            yield Record(done + 1, rule="unreadable_rows", reason=reason, raw=f"rows {done + 1} to {number}")


def _as_bytes(column: Any) -> Any:
    """Strings as bytes, so that one that is not UTF-8 costs its row and not its batch."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type):
        return column.cast(pa.binary())
    if pa.types.is_large_string(column.type):
        return column.cast(pa.large_binary())
    if pa.types.is_list(column.type) and pa.types.is_string(column.type.value_type):
        return column.cast(pa.list_(pa.binary()))
    return column
