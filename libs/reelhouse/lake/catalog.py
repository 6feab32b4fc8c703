"""Names for analysts: every table, `<table>_current` and view, registered by location in the session's own catalog."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reelhouse import tables
from reelhouse.errors import StorageError
from reelhouse.lake.lake import Lake
from reelhouse.tables import Table

_NAME = re.compile(r"\b(bronze|silver|gold|ops)\s*\.\s*`?(\w+)`?", re.IGNORECASE)


def names() -> dict[str, str]:
    """Every name that SQL may use, with its comment: tables, their current views, and the other views."""
    known = {t.name: t.comment for t in tables.ALL.values()}
    known |= {f"{t.name}_current": _current_comment(t) for t in tables.ALL.values() if has_current(t)}
    return known | {v.name: v.comment for v in tables.VIEWS}


def view_of(name: str) -> tuple[str, str, dict[str, str]] | None:
    """Comment and SQL of a view, and what its columns, and those of the tables that it asks, are; None if there is no such view."""
    definitions = _view_definitions()
    if name not in definitions:
        return None
    comment, sql, own = definitions[name]
    parts = [tables.ALL[part] for part in sorted(_with_parts(_used(sql), definitions)) if part in tables.ALL]
    return comment, sql, {column.name: column.comment for part in parts for column in part.columns} | own


def has_current(table: Table) -> bool:
    """Events (label answers, clicks, runs) are never replaced by newer ones; everything else has a current state."""
    return not {"event_id", "run_id"} & set(table.key) and table.name != "ops.quarantine"


def register(lake: Lake, statement: str | None = None) -> None:
    """Make the names that a statement uses (all names if it is None) known to the session.

    A table that was never written is an empty view, so that a question about it is answered by no rows, not an error. One of an earlier
    version of Reelhouse is a view too, in which the columns that it lacks are null.
    """
    definitions = _view_definitions()
    wanted = _with_parts(_used(statement), definitions) if statement is not None else set(names())
    spark = lake.spark
    for database in sorted({name.split(".")[0] for name in wanted}):
        spark.sql(f"CREATE DATABASE IF NOT EXISTS {database}")
    for table in tables.ALL.values():
        if table.name in wanted:
            _register_table(lake, table)
    # `definitions` is in an order in which each view's parts come before it.
    for name, (comment, sql, own) in definitions.items():
        if name in wanted:
            columns = ", ".join(f"`{column}` COMMENT {quoted(said)}" for column, said in own.items())
            spark.sql(f"CREATE OR REPLACE VIEW {name} {f'({columns})' if own else ''} COMMENT {quoted(comment)} AS {sql}")


def _register_table(lake: Lake, table: Table) -> None:
    """A name may stand for what it was before the table's first write, or for another lake's table: it is made anew then."""
    spark, exists = lake.spark, lake.exists(table)
    if spark.catalog.tableExists(table.name):
        held = {r.col_name: r.data_type for r in spark.sql(f"DESCRIBE TABLE EXTENDED {table.name}").collect()}
        if exists and held.get("Location", "").removeprefix("file:") == lake.path(table):
            return
        if held.get("Type") == "MANAGED":  # its files would go with its name
            raise StorageError(f"the catalog's own table {table.name} is not Reelhouse's: rename it, or use another spark.metastore")
        spark.sql(f"DROP {'VIEW' if held.get('Type') == 'VIEW' else 'TABLE'} {table.name}")  # the files are not the catalog's: they stay
    missing = lake.missing_columns(table) if exists else table.columns
    stored = table.name if not missing else f"{table.name}__stored"
    if exists:
        spark.sql(f"DROP TABLE IF EXISTS {stored}")
        spark.sql(f"CREATE TABLE {stored} USING DELTA COMMENT {quoted(table.comment)} LOCATION {quoted(lake.path(table))}")
    if not missing:
        return
    named = ", ".join(f"`{c.name}` COMMENT {quoted(c.comment)}" for c in table.columns)
    columns = ", ".join(f"CAST(NULL AS {c.type}) AS `{c.name}`" if c in missing else f"`{c.name}`" for c in table.columns)
    rows = f"FROM {stored}" if exists else "WHERE false"
    spark.sql(f"CREATE VIEW {table.name} ({named}) COMMENT {quoted(table.comment)} AS SELECT {columns} {rows}")


def _view_definitions() -> dict[str, tuple[str, str, dict[str, str]]]:
    """Comment, SQL and columns (View.columns) by name."""
    current: dict[str, tuple[str, str, dict[str, str]]] = {
        f"{t.name}_current": (_current_comment(t), _current_sql(t), {c.name: c.comment for c in t.columns if _other_videos(t)})
        for t in tables.ALL.values()
        if has_current(t)
    }
    return current | {v.name: (v.comment, v.sql, v.columns) for v in tables.VIEWS}


def _current_comment(table: Table) -> str:
    without = "" if table.name == "bronze.deletions" else ", without videos taken down"
    return f"Newest state of {table.name}{without}."


def _current_sql(table: Table) -> str:
    """The same fold as Lake.current, as SQL over everything written so far; columns of other videos' ids hold none that was taken down.

    The key of a group (a cluster, copies) may be made of such an id too, and stays: it is a name, by which tables are joined.
    """
    shown, joins = {c.name: f"t.`{c.name}`" for c in table.columns}, ""
    for name in _other_videos(table):
        if name.endswith("s"):  # of a few rows; the other side is one row, also where nothing was taken down
            shown[name] = f"array_except(t.`{name}`, no_{name}.ids) AS `{name}`"
            joins += f" CROSS JOIN (SELECT collect_set(video_id) AS ids FROM bronze.deletions) no_{name}"
        else:
            shown[name] = f"IF(no_{name}.id IS NULL, t.`{name}`, NULL) AS `{name}`"
            joins += f" LEFT JOIN (SELECT DISTINCT video_id AS id FROM bronze.deletions) no_{name} ON t.`{name}` = no_{name}.id"
    sql = f"SELECT {', '.join(shown.values()) if joins else 't.*'} FROM {table.name} t{joins}"
    if table.follows:
        sql += _newest_sql(tables.ALL[table.follows], "leader", ">=")
    if not table.follows or table.newest_by is not None:
        sql += _newest_sql(table, "newest", "=")
    if table.has_video and table.name != "bronze.deletions":
        sql += " LEFT ANTI JOIN bronze.deletions d ON t.video_id = d.video_id"
    return sql


def _other_videos(table: Table) -> list[str]:
    """Columns that hold ids of other videos than the row's own."""
    return [name for name in table.names if name.endswith(("_video_id", "_video_ids"))]


def _newest_sql(table: Table, name: str, how: str) -> str:
    unit = table.unit
    grouped = ", ".join([*unit, "max(data_date) AS data_date"])
    newest = f"SELECT {grouped} FROM {table.name}" + (f" GROUP BY {', '.join(unit)}" if unit else "")
    # <=>: a part of a unit that came with a later version is null in older rows
    matches = " AND ".join([*(f"t.{c} <=> {name}.{c}" for c in unit), f"t.data_date {how} {name}.data_date"])
    return f" LEFT SEMI JOIN ({newest}) {name} ON {matches}"


def _used(statement: str) -> set[str]:
    known = names()
    return {name for name in (f"{a}.{b}".lower() for a, b in _NAME.findall(statement)) if name in known}


def _with_parts(wanted: Iterable[str], definitions: dict[str, tuple[str, str, dict[str, str]]]) -> set[str]:
    found, queue = set(), list(wanted)
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += _used(definitions[name][1]) if name in definitions else ()
    return found


def quoted(text: str) -> str:
    """A text as a literal of Spark SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
