"""How the lakehouse stands: the last day and what is wrong with it, how fresh each table is, what is served, what was refused.

All of it is read from Delta, so that it can be asked while a run is at work.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from reelhouse import tables
from reelhouse.errors import NotFoundError
from reelhouse.lake import Lake
from reelhouse.oncall import Trouble, again, next_step
from reelhouse.pipeline import begun
from reelhouse.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

RULES_SHOWN = 3


@dataclass(frozen=True)
class Freshness:
    """Rows of a table, and its newest day; None while nothing was written."""

    table: str
    day: dt.date | None
    rows: int


@dataclass(frozen=True)
class Status:
    """outcomes: how many jobs of the day ended how; `not run` for those that the ledger does not know. seconds: their sum.
    started_at: None where no job of the day ended.
    """

    day: dt.date
    started_at: dt.datetime | None
    seconds: float
    outcomes: dict[str, int]
    troubles: list[Trouble]
    freshness: list[Freshness]
    failed_checks: list[tuple[str, str, str, int, str]]
    served: Row | None
    served_since: dt.date | None
    decided: Row | None
    collections: list[Row]
    refused: list[Row]
    refused_rules: int
    refused_rows: int


def status_of(lake: Lake, jobs: Sequence[str], day: dt.date | None = None) -> Status:
    """The state as of a day: the newest that was begun, if none is given. jobs: names of the pipeline's, in order.

    failed_checks: (job, table, check in words, rows at fault, their columns) of the day's last runs. served, decided: rows of
    ops.serving and ops.promotions. served_since: the first of the days on which that model was served without a break. collections:
    the newest row of ops.vector_loads for each, newest first. refused: rows of the day by job, table and rule with an example, most
    first, at most RULES_SHOWN of refused_rules, which hold refused_rows.
    NotFoundError if nothing was run (on that day).
    """
    from pyspark.sql import functions as F

    runs, at_work = lake.read(tables.RUNS), begun(lake.marks())
    newest = day or max([*at_work, *(r[0] for r in runs.agg(F.max("data_date")).collect() if r[0])], default=None)
    last = {r.job: r for r in runs.where(F.col("data_date") == F.lit(newest)).orderBy("started_at", "run_id").collect()}
    if newest is None or not (last or newest in at_work):
        raise NotFoundError(f"nothing was run {f'for {day}' if day else 'yet'} in {lake.root}; `reelhouse daily` runs a day")
    upto = F.col("data_date") <= F.lit(newest)
    of_day = lake.read(tables.QUARANTINE).where(F.col("data_date") == F.lit(newest))
    refused = of_day.groupBy("job", "table", "rule").agg(F.count(F.lit(1)).alias("rows"), F.min("reason").alias("example"))
    rules, refused_rows = refused.agg(F.count(F.lit(1)), F.coalesce(F.sum("rows"), F.lit(0))).head() or (0, 0)
    loads = lake.read(tables.VECTOR_LOADS).where(upto).orderBy("data_date", "collection").collect()
    decided = lake.read(tables.PROMOTIONS).where(upto).orderBy(F.desc("data_date"), F.col("decided_by") == "gates", F.desc("decided_at"))
    serving = lake.read(tables.SERVING).where(upto)
    served = serving.orderBy(F.desc("data_date")).head()
    return Status(
        day=newest,
        started_at=min((r.started_at for r in last.values()), default=None),
        seconds=sum(r.seconds for r in last.values()),
        outcomes=_outcomes(last, jobs),
        troubles=list(_troubles(last, jobs, at_work.get(newest, set()), newest)),
        freshness=_freshness(lake, newest),
        failed_checks=[(r.job, c.table, c.details, c.failed_rows, c.column) for r in last.values() for c in r.checks if not c.passed],
        served=served,
        served_since=_since(serving, served.model_version) if served else None,
        decided=decided.head(),
        collections=sorted({r.collection: r for r in loads}.values(), key=lambda r: (-r.data_date.toordinal(), r.collection)),
        refused=refused.orderBy(F.desc("rows"), "job", "table", "rule").limit(RULES_SHOWN).collect() if rules else [],
        refused_rules=rules,
        refused_rows=refused_rows,
    )


def _since(serving: DataFrame, version: str) -> dt.date:
    """The first of the days on which the newest model was served without a break."""
    from pyspark.sql import functions as F

    own = F.col("model_version") == version
    before = serving.where(~own).agg(F.max("data_date")).collect()[0][0]
    days = serving.where(own & (F.col("data_date") > F.lit(before)) if before else own)
    first: dt.date = days.agg(F.min("data_date")).collect()[0][0]
    return first


def _outcomes(last: dict[str, Row], jobs: Sequence[str]) -> dict[str, int]:
    found = [last[job].status.replace("_", " ") if job in last else "not run" for job in jobs]
    return {name: found.count(name) for name in ("succeeded", "stepped aside", "failed", "not run") if name in found}


def _troubles(last: dict[str, Row], jobs: Sequence[str], at_work: Collection[str], date: dt.date) -> Iterable[Trouble]:
    """Jobs that failed, were cut off, or never came to run. at_work: those whose mark stands."""
    failed = [job for job in jobs if job in last and last[job].status == "failed"]
    stopped = [job for job in jobs if job in failed or job in at_work]
    for job in jobs:
        if job in failed:
            cause = last[job].note or "it left no word; see its log"
            yield Trouble(job, cause, next_step(cause, date))
        elif job in at_work:
            yield Trouble(job, "it is at work now, or was cut off", f"if no run is at work, {again(date)}")
        elif job not in last and stopped:
            yield Trouble(job, f"not run: waits for {', '.join(stopped)}", "it runs by itself once that is done")


def _freshness(lake: Lake, upto: dt.date) -> list[Freshness]:
    """All tables in one pass each over their days only, and in one Spark job together."""
    from pyspark.sql import functions as F

    def counted(table: Table) -> DataFrame:
        rows = lake.read(table, f"data_date <= date'{upto}'")
        return rows.agg(F.lit(table.name).alias("table"), F.max("data_date").alias("day"), F.count(F.lit(1)).alias("rows"))

    there = [table for table in tables.ALL.values() if lake.exists(table)]
    found = {r.table: r for r in reduce(_union, [counted(table) for table in there]).collect()} if there else {}
    return [Freshness(name, found[name].day, found[name].rows) if name in found else Freshness(name, None, 0) for name in tables.ALL]


def _union(one: DataFrame, other: DataFrame) -> DataFrame:
    return one.unionByName(other)
