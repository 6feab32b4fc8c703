"""Taking damaged entries out of the tables' logs, and marking the runs whose rows went with them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reelhouse import tables
from reelhouse.errors import DamagedTableError
from reelhouse.lake import Lake, Ledger, Slice
from reelhouse.lake.fingerprint import fingerprint
from reelhouse.lake.repair import DamagedEntry, added_files, damaged_entries, void
from reelhouse.pipeline import Job, marker
from reelhouse.tables import Table
from reelhouse.training.champion import GATES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Of what people said no job can make the rows again. They only ever add to it, so that every file ever written still holds true.
SAID_BY_PEOPLE = {tables.DELETIONS: "true", tables.PROMOTIONS: f"decided_by != '{GATES}'"}


@dataclass(frozen=True)
class Mended:
    """A damaged entry that was taken out. kept: where it lies now. again: days that the table's job must run again. restored: rows
    that were brought back from the files of lost commits. delivered: what the job makes its rows from, files that may be archived."""

    table: str
    kept: Path
    again: tuple[dt.date, ...]
    restored: int = 0
    delivered: bool = False


def repair(lake: Lake, jobs: Sequence[Job]) -> Iterator[Mended]:
    """Void every damaged log entry of a lake on local folders, and mark the runs that it was of: the next `daily` repeats them.

    What came from files, which may be archived by now, is brought back where the lost commit's own files are whole. Where an entry
    does not say whose it was, each slice of the table is compared with what the ledger has of it. DamagedTableError where a log's
    first entry is damaged: without it nothing tells the table's columns.
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
            delivered = "batch" in table.partition_by
            back = {day: _bring_back(lake, table, day) for day in again} if delivered else {}
            again = [day for day in again if back.get(day) is None]
            restored += sum(filter(None, back.values()))
            if writer is not None:
                for day in again:
                    lake.mark(marker(writer.name, day))
            yield Mended(table.name, place, tuple(again) if writer else (), restored, delivered)
            restored = 0


def _restore(lake: Lake, table: Table, condition: str) -> int:
    """Bring back rows of the condition that lie in a file of the table's folder and in none of its commits; returns how many."""
    written = _written(lake, table, Path(lake.path(table)).glob("data_date=*/**/*.parquet")).where(condition)
    known = Lake(lake.spark, lake.root).read(table)
    lost = written.dropDuplicates(table.key).join(known, on=table.key, how="left_anti").select(*table.names).localCheckpoint()
    if count := lost.count():
        lake.append(table, lost, metadata={"job": "repair"})
    return count


def _bring_back(lake: Lake, table: Table, day: dt.date) -> int | None:
    """Write a day once more from the files of its lost commit, where they hold what the ledger says that the day held; the rows of it.

    None where nothing was done: the table holds that without it, or the files don't.
    """
    fresh = Lake(lake.spark, lake.root)
    part = next((part for date, part in Ledger(fresh).slices_of(table.name) if (date, part.slice) == (day, "")), None)
    if part is None or _mark(fresh, table, day, part) == (part.rows, part.fingerprint):
        return None
    folder = Path(lake.path(table))
    named = added_files(folder / "_delta_log") | {Path(file).name for file in fresh.files(table, {"data_date": day})}
    lost = _written(lake, table, [path for path in folder.glob(f"data_date={day}/**/*.parquet") if path.name not in named])
    count, mark = fingerprint(table, lost, inexact=True)
    if count != part.rows or (count and mark != part.fingerprint):
        return None
    rows = fresh.without_taken_down(table, lost).localCheckpoint()
    fresh.replace(table, rows, {"data_date": day}, count=rows.count(), metadata={"job": "repair", "date": str(day)})
    return count


def _written(lake: Lake, table: Table, files: Iterable[Path]) -> DataFrame:
    """Rows of files of the table's folder, as far as they are whole."""
    paths = [str(path) for path in files]
    if not paths:
        return lake.spark.createDataFrame([], table.spark_schema())
    reader = lake.spark.read.option("basePath", lake.path(table)).option("ignoreCorruptFiles", "true")
    return reader.schema(table.spark_schema()).parquet(*paths).select(*table.names)


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
