"""Everything that is known about one video, with the run that wrote each row and the chain behind the model's values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reelhouse import tables
from reelhouse.errors import NotFoundError
from reelhouse.lake import Lake, Ledger
from reelhouse.pipeline import Job
from reelhouse.tables import Table

_CHAIN = (tables.PROMOTIONS, tables.EVALUATIONS, tables.SNAPSHOTS)


@dataclass(frozen=True)
class Fact:
    """One row about the video: where it stands and which run wrote it."""

    table: Table
    row: dict[str, Any]
    run_id: str


def facts(lake: Lake, ledger: Ledger, jobs: list[Job], video_id: str) -> Iterator[Fact]:
    """Rows about a video from every table, bronze first, then the models and snapshots that they name.

    Raises NotFoundError if no table knows the video, or it was taken down.
    """
    if video_id in lake.taken_down:
        raise NotFoundError(f'the video {video_id} was taken down; see `reelhouse sql "select * from bronze.deletions"`')
    from pyspark.sql import functions as F

    found: dict[str, set[str]] = {"model_version": set(), "snapshot_id": set()}
    any_row = False
    for table in tables.ALL.values():
        if not table.has_video or not lake.exists(table):
            continue
        for row in lake.read(table).where(F.col("video_id") == video_id).orderBy(*table.key).collect():
            any_row = True
            values = row.asDict(recursive=True)
            for column, seen in found.items():
                seen.update([values[column]] if column in values else [])
            yield Fact(table, values, _writer(ledger, jobs, table, values))
    if not any_row:
        raise NotFoundError(f'no table knows a video {video_id!r}; `reelhouse sql "select video_id from silver.videos"` lists them')
    for table in _CHAIN:
        column = "snapshot_id" if table is tables.SNAPSHOTS else "model_version"
        wanted = sorted(found[column])
        if not wanted or not lake.exists(table):
            continue
        for row in lake.read(table).where(F.col(column).isin(wanted)).orderBy(*table.key).collect():
            values = row.asDict(recursive=True)
            found["snapshot_id"].update([values["snapshot_id"]] if "snapshot_id" in values else [])
            yield Fact(table, values, _writer(ledger, jobs, table, values))


def _writer(ledger: Ledger, jobs: list[Job], table: Table, row: dict[str, Any]) -> str:
    names = [job.name for job in jobs if table.name in job.writes] or ([row["job"]] if "job" in row else [])
    records = [ledger.latest(name, row["data_date"]) for name in names]
    return next((record.run_id for record in records if record), "")
