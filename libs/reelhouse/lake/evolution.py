"""A lake that an earlier version of Reelhouse wrote: columns that its tables lack are added, empty for the rows that are there."""

from __future__ import annotations

import hashlib

from reelhouse import tables
from reelhouse.lake.catalog import quoted
from reelhouse.lake.lake import Lake
from reelhouse.lake.trouble import storage_errors


def add_missing_columns(lake: Lake) -> list[str]:
    """Add to every table the columns that libs/reelhouse/tables states and it lacks; returns them as table.column.

    One look at a marker where nothing changed since the last time. Files are not touched: a commit of metadata a table.
    StorageError where the lake can't be written.
    """
    marker = f"schema-{_schema_hash()}"
    if not lake.holds_tables() or lake.is_marked(marker):
        return []
    added = []
    for table in tables.ALL.values():
        if not lake.exists(table):
            continue
        with lake.lock(table.name), storage_errors(f"adding columns to {table.name} at {lake.path(table)}"):
            missing = lake.missing_columns(table)
            if missing:
                columns = ", ".join(f"`{c.name}` {c.type} COMMENT {quoted(c.comment)}" for c in missing)
                lake.spark.sql(f"ALTER TABLE delta.`{lake.path(table).replace('`', '``')}` ADD COLUMNS ({columns})")
            added += [f"{table.name}.{column.name}" for column in missing]
    lake.mark(marker)
    return added


def _schema_hash() -> str:
    schema = [(t.name, [(c.name, c.type) for c in t.columns]) for t in tables.ALL.values()]
    return hashlib.sha256(repr(schema).encode()).hexdigest()[:12]
