"""Look at the beginning of a delivered file: are its columns known, complete and of the right type? On the driver, before any job."""

from __future__ import annotations

import difflib
from itertools import islice
from typing import Any

from reelhouse.errors import ManifestError
from reelhouse.sources.columns import KINDS, FileKind, ManifestColumn
from reelhouse.sources.records import Record, header, records
from reelhouse.sources.values import RowError, convert, is_missing

HEAD_ROWS = 1000
ALL_NAMES = {name for kind in KINDS.values() for name in kind.names}
_WANTED_BY_PARQUET = {
    "id": "a string or an integer", "text": "a string", "path": "a string", "choice": "a string", "list": "a list of strings or a string",
    "timestamp": "a timestamp, date, string or integer", "number": "a number or a string",
}  # fmt: skip


def check_head(path: str, kind: FileKind) -> list[str]:
    """Names of the file's columns. Raises ManifestError: unreadable file, unknown or missing column, a column of another type."""
    try:
        names = header(path)
        head = list(islice(records(path), HEAD_ROWS))
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path} can't be read: {error}") from error
    names = _json_names(head) if names is None else names
    if not names and not head:
        return []
    _check_names(path, kind, names)
    if path.lower().endswith(".parquet"):
        _check_parquet(path, kind)
    for column in kind.columns:
        if column.name in names:
            _check_values(path, column, head)
    return names


def _json_names(head: list[Record]) -> list[str]:
    """Keys that are in more than half of the rows, or known anywhere: a stray key of single rows costs these rows only."""
    rows = [r.values for r in head if r.rule is None]
    counts: dict[str, int] = {}
    for row in rows:
        for name in row:
            counts[name] = counts.get(name, 0) + 1
    return [name for name, count in counts.items() if 2 * count > len(rows) or name in ALL_NAMES]


def _check_names(path: str, kind: FileKind, names: list[str]) -> None:
    problems = []
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            problems.append(f"column {name!r} is there {names.count(name)} times")
        if name not in kind.names:
            near = difflib.get_close_matches(name.strip().lower().replace(" ", "_"), kind.names, n=1)
            problems.append(f"unknown column {name!r}" + (f": did you mean {near[0]!r}?" if near else ""))
    for column in kind.columns:
        if column.needed and column.name not in names:
            problems.append(f"column {column.name!r} is missing ({column.comment})")
    if kind.any_of and not set(kind.any_of) & set(names):
        problems.append(f"none of the columns {', '.join(kind.any_of)} is there: at least one is needed")
    if problems:
        raise ManifestError(
            f"{path}: {'; '.join(problems)}. Got the columns {', '.join(map(repr, names)) or '(none)'}. "
            f"Known: {', '.join(kind.names)}. `reelhouse manifest` explains them."
        )


def _check_parquet(path: str, kind: FileKind) -> None:
    import pyarrow.parquet as pq

    types = {f.name: f.type for f in pq.ParquetFile(path).schema_arrow}
    for column in kind.columns:
        if column.name in types and not _fits(column, types[column.name]):
            raise ManifestError(
                f"{path}: column {column.name!r} must be {_WANTED_BY_PARQUET[column.kind]}, got {types[column.name]}. "
                f"`reelhouse manifest` explains every column."
            )


def _fits(column: ManifestColumn, kind: Any) -> bool:
    import pyarrow.types as t

    kind = kind.value_type if t.is_dictionary(kind) else kind
    texts = t.is_string(kind) or t.is_large_string(kind) or t.is_binary(kind) or t.is_large_binary(kind) or t.is_null(kind)
    if column.kind in ("id", "text"):
        return texts or t.is_integer(kind)
    if column.kind == "list":
        return texts or (
            (t.is_list(kind) or t.is_large_list(kind)) and not t.is_nested(kind.value_type) and not t.is_floating(kind.value_type)
        )
    if column.kind == "timestamp":
        return texts or t.is_timestamp(kind) or t.is_date(kind) or t.is_integer(kind)
    if column.kind == "number":
        return texts or t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind)
    return texts


def _check_values(path: str, column: ManifestColumn, head: list[Record]) -> None:
    """A column none of whose values fits is the wrong column; one bad value is a bad row. A single value can't tell."""
    tried, first = 0, None
    for record in head:
        raw = record.values.get(column.name)
        if record.rule is not None or is_missing(raw):
            continue
        tried += 1
        try:
            convert(column, raw)
        except RowError as error:
            if error.rule in ("bad_encoding", "bad_utf8", "path_outside"):
                return
            first = first or (record.number, str(error))
        else:
            return
    if first is not None and tried > 1:
        raise ManifestError(
            f"{path}: no value of column {column.name!r} fits ({tried} looked at). Row {first[0]}: {first[1]}. "
            f"`reelhouse manifest` explains every column."
        )
