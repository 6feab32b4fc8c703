"""Taking damaged entries out of the tables' logs, and marking the runs whose rows went with them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reelhouse import tables
from reelhouse.errors import DamagedTableError
from reelhouse.lake import Lake, Ledger, Slice
from reelhouse.lake.fingerprint import fingerprint
from reelhouse.lake.repair import DamagedEntry, damaged_entries, void
from reelhouse.pipeline import Job, marker
from reelhouse.tables import Table
from reelhouse.training.champion import GATES

# Of what people said no job can make the rows again. They only ever add to it, so that every file ever written still holds true.
SAID_BY_PEOPLE = {tables.DELETIONS: "true", tables.PROMOTIONS: f"decided_by != '{GATES}'"}


@dataclass(frozen=True)
class Mended:
    """A damaged entry that was taken out. kept: where it lies now. again: days that the table's job must run again. restored: rows of
    what people said that were brought back from the files of lost commits."""

    table: str
    kept: Path
    again: tuple[dt.date, ...]
    restored: int = 0


def repair(lake: Lake, jobs: Sequence[Job]) -> Iterator[Mended]:
    """Void every damaged log entry of a lake on local folders, and mark the runs that it was of: the next `daily` repeats them.

    Where an entry does not say whose it was, each slice of the table is compared with what the ledger has of it. DamagedTableError
    where a log's first entry is damaged: without it nothing tells the table's columns.
    """
    order = sorted(tables.ALL.values(), key=lambda t: t is not tables.RUNS)  # the ledger is needed for the others
    for table in order if lake.is_local else ():
        found = damaged_entries(Path(lake.path(table)) / "_delta_log")
        if found and int(found[0].path.stem) == 0:
            raise DamagedTableError(
                f"{table.name}: the first entry of its log, {found[0].path}, is damaged. Bring it back from a copy, or remove the folder "
                f"{lake.path(table)} and run the days of its job again, with --force", table.name,
            )  # fmt: skip
        kept = [void(entry) for entry in found]
        writer = next((job for job in jobs if table.name in job.writes), None)
        restored = _restore(lake, table, SAID_BY_PEOPLE[table]) if found and table in SAID_BY_PEOPLE else 0
        for entry, place in zip(found, kept, strict=True):
            again = _days_of(entry) or _days_unlike(lake, table)
            if writer is not None:
                for day in again:
                    lake.mark(marker(writer.name, day))
            yield Mended(table.name, place, tuple(again) if writer else (), restored)
            restored = 0


def _restore(lake: Lake, table: Table, condition: str) -> int:
    """Bring back rows of the condition that lie in a file of the table's folder and in none of its commits; returns how many."""
    files = [str(path) for path in Path(lake.path(table)).glob("data_date=*/**/*.parquet")]
    if not files:
        return 0
    written = lake.spark.read.option("basePath", lake.path(table)).schema(table.spark_schema()).parquet(*files).where(condition)
    known = Lake(lake.spark, lake.root).read(table)
    lost = written.dropDuplicates(table.key).join(known, on=table.key, how="left_anti").select(*table.names).localCheckpoint()
    if count := lost.count():
        lake.append(table, lost, metadata={"job": "repair"})
    return count


def _days_of(entry: DamagedEntry) -> list[dt.date]:
    return [dt.date.fromisoformat(entry.run["date"])] if "date" in entry.run else []


def _days_unlike(lake: Lake, table: Table) -> list[dt.date]:
    """Days of which the table holds other rows than the ledger says."""
    if table is tables.RUNS:
        return []
    fresh = Lake(lake.spark, lake.root)
    written = Ledger(fresh).slices_of(table.name)
    return sorted({day for day, part in written if _mark(fresh, table, day, part) != (part.rows, part.fingerprint)})


def _mark(lake: Lake, table: Table, day: dt.date, part: Slice) -> tuple[int, str]:
    from pyspark.sql import functions as F

    rows = lake.read(table, f"data_date = date'{day}'")
    for name, _, value in (pair.partition("=") for pair in part.slice.split(",") if pair):
        rows = rows.where(F.col(name) == value)
    count, mark = fingerprint(table, rows, inexact=True)
    return count, mark if count else part.fingerprint
