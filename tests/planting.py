"""Rows put into a table as they are, by delta-rs: it takes milliseconds where Spark takes a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import ArrayType, DataType, StructType

from reelhouse.lake import Lake
from reelhouse.tables import Table


def write_rows(lake: Lake, table: Table, records: Sequence[Mapping[str, Any]], place: Mapping[str, Any]) -> None:
    """Replace a slice of a table. What a record leaves out is null, or an empty list or map where null is not allowed."""
    schema = table.spark_schema()
    empty = {f.name: None if f.nullable else [] for f in schema} | dict(place)
    rows = [{f.name: _plain(r.get(f.name, empty[f.name]), f.dataType) for f in schema} for r in records]
    arrow = pa.Table.from_pylist(rows, schema=to_arrow_schema(schema))
    whole = " AND ".join(f"{name} = '{value}'" for name, value in place.items())
    known = {"mode": "overwrite", "predicate": whole} if lake.exists(table) else {"mode": "append"}
    Path(lake.path(table)).mkdir(parents=True, exist_ok=True)
    write_deltalake(lake.path(table), arrow, partition_by=list(table.partition_by), **known)


def _plain(value: Any, kind: DataType) -> Any:
    """A value as Arrow takes it: structs as dicts, not as tuples."""
    if value is None:
        return None
    if isinstance(kind, ArrayType):
        return [_plain(one, kind.elementType) for one in value]
    if isinstance(kind, StructType) and isinstance(value, tuple):
        return {f.name: _plain(one, f.dataType) for f, one in zip(kind, value, strict=True)}
    return value
