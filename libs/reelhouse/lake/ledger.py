"""The ledger: what each run read and wrote, and so what is up to date. The only reader and writer of ops.runs."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from reelhouse import tables
from reelhouse.lake.fingerprint import combined
from reelhouse.lake.lake import Lake, conform

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ReadKind = Literal["day", "upto", "before"]
DONE = ("succeeded", "stepped_aside")


@dataclass(frozen=True)
class Slice:
    """A slice as it was read or written. slice: for a write `key=value` of the partition (empty: the whole day), for a read its kind."""

    table: str
    slice: str
    rows: int
    fingerprint: str


@dataclass
class RunRecord:
    """One row of ops.runs."""

    run_id: str
    job: str
    data_date: dt.date
    started_at: dt.datetime
    status: str = "failed"
    seconds: float = 0.0
    reads: list[Slice] = field(default_factory=list)
    writes: list[Slice] = field(default_factory=list)
    rows_in: int = 0
    rows_out: int = 0
    quarantined: int = 0
    settings_hash: str = ""
    code_version: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    note: str | None = None
    checks: list[dict[str, Any]] = field(default_factory=list)


class Ledger:
    """All runs so far, held in memory: one small record a job and day."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._latest: dict[tuple[str, dt.date], RunRecord] = {}
        self._slices: dict[str, dict[tuple[dt.date, str], Slice]] = {}
        columns = [c for c in tables.RUNS.names if c not in ("checks", "metrics")]
        for row in lake.read(tables.RUNS).select(*columns).orderBy("started_at", "run_id").toLocalIterator():
            values = row.asDict(recursive=True)
            values["reads"] = [Slice(**s) for s in values["reads"]]
            values["writes"] = [Slice(**s) for s in values["writes"]]
            self._remember(RunRecord(**values))

    def latest(self, job: str, date: dt.date) -> RunRecord | None:
        return self._latest.get((job, date))

    def latest_of(self, job: str) -> list[RunRecord]:
        """The latest run of the job for each date, in order of dates."""
        return sorted((r for (name, _), r in self._latest.items() if name == job), key=lambda r: r.data_date)

    def time_of_next(self, job: str, date: dt.date) -> dt.datetime:
        """When a run that begins now started (UTC): after the latest of its job and date, also where the clock was set back since.

        Runs are told apart by age, here and by whoever asks ops.runs: one that came later must never look older.
        """
        now, last = dt.datetime.now(dt.UTC).replace(tzinfo=None), self.latest(job, date)
        return now if last is None else max(now, last.started_at + dt.timedelta(microseconds=1))

    def written(self, table: str, kind: ReadKind, date: dt.date) -> tuple[int, str]:
        """Rows and fingerprint of what has been written to a table for the day, up to it, or before it."""
        fits = {"day": lambda d: d == date, "upto": lambda d: d <= date, "before": lambda d: d < date}[kind]
        parts = [(day, name, s) for (day, name), s in self._slices.get(table, {}).items() if fits(day) and s.rows]
        return sum(s.rows for _, _, s in parts), combined((str(day), name, s.fingerprint) for day, name, s in parts)

    def slices_of(self, table: str) -> list[tuple[dt.date, Slice]]:
        """What the table holds as the ledger has it: day and slice."""
        return [(day, s) for (day, _), s in self._slices.get(table, {}).items()]

    def row(self, record: RunRecord) -> DataFrame:
        """The record as ops.runs holds it: one row."""
        values = {**record.__dict__, "reads": [s.__dict__ for s in record.reads], "writes": [s.__dict__ for s in record.writes]}
        rows = self._lake.spark.createDataFrame([values], tables.RUNS.spark_schema())
        return conform(tables.RUNS, rows, {"data_date": record.data_date, "job": record.job})

    def append(self, record: RunRecord, row: DataFrame) -> None:
        """Commit one run and its row. A retry that appends the same run twice is told apart by its run_id."""
        metadata = {"run_id": record.run_id, "job": record.job, "date": str(record.data_date)}
        self._lake.append(tables.RUNS, row, metadata=metadata)
        self._remember(record)

    def _remember(self, record: RunRecord) -> None:
        self._latest[record.job, record.data_date] = record
        for s in record.writes:
            known = self._slices.setdefault(s.table, {})
            if s.slice == "":  # the whole day was replaced, whatever slices it had
                for key in [k for k in known if k[0] == record.data_date]:
                    del known[key]
            known[record.data_date, s.slice] = s
