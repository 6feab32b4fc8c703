"""Replay: rebuild days in order into a fresh root and compare, which shows that a day is a pure function of what arrived."""

from __future__ import annotations

import datetime as dt
import functools
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reelhouse import tables
from reelhouse.errors import StorageError
from reelhouse.lake import Lake
from reelhouse.lake.fingerprint import fingerprint
from reelhouse.pipeline import Pipeline, days, load_jobs
from reelhouse.run import Services
from reelhouse.settings import Settings
from reelhouse.tables import Column, Table
from reelhouse.tables.schema import spark_type
from reelhouse.training.champion import GATES

if TYPE_CHECKING:
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame

# Inexact columns: numbers may differ by so much (those in structs as well), and other values (texts made of numbers, hash bits) in so
# large a share of rows.
TOLERANCE = 1e-3
UNLIKE_SHARE = 0.01
_NOT_COMPARED = ("ops.runs",)


@dataclass(frozen=True)
class Comparison:
    """How a table's day compares: rows on both sides, whether exact columns agree, and the largest difference of the others."""

    table: str
    date: dt.date
    rows: int
    replayed: int
    exact: bool
    largest_difference: float
    unlike_share: float

    @property
    def same(self) -> bool:
        return self.exact and self.largest_difference <= TOLERANCE and self.unlike_share <= UNLIKE_SHARE


def replay_days(lake: Lake, settings: Settings, first: dt.date, last: dt.date, into: Path, say: Callable[[str], None]) -> list[Comparison]:
    """Copy what arrived (bronze) and the state before `first`, run the jobs of each day in order, and compare every table.

    Trained models are inputs: the replay reads them from the original registry and changes nothing there. Its vectors go to an
    embedded store below `into`, whatever server is set.
    Raises StorageError if `into` holds anything.
    """
    if into.exists() and any(into.iterdir()):
        raise StorageError(f"a replay wants a fresh root, but {into} is not empty")
    fresh = Lake(lake.spark, str(into))
    sources = [job for job in load_jobs() if all(t.startswith("bronze.") for t in job.writes) and job.writes]
    for table in tables.ALL.values():
        say(f"copying {table.name}")
        _copy(lake, fresh, table, first, last, [job.name for job in sources])
    own = own_settings(settings, into)
    pipeline = Pipeline(own, fresh, say, [job for job in load_jobs() if job.name not in {s.name for s in sources}])
    pipeline.services = Services(own, str(into), models_of=Services(settings, lake.root))
    try:
        for day in days(first, last):
            failed = [o for o in pipeline.run_day(day) if o.status in ("failed", "blocked")]
            if failed and failed[0].error:
                raise failed[0].error
    finally:
        pipeline.close()
    return list(compare(lake, fresh, first, last))


def own_settings(settings: Settings, into: Path) -> Settings:
    """The settings with which a replay runs: its root, its own embedded vectors, as it would write to those that are served, and no
    alerts: its days are neither late nor anybody's night."""
    storage = settings.storage.model_copy(update={"root": str(into)})
    vectors = settings.vectors.model_copy(update={"uri": "", "token": ""})
    alerts = settings.alerts.model_copy(update={"on_failure": "", "on_late": "", "deadline_hours": 0})
    return settings.model_copy(update={"storage": storage, "vectors": vectors, "alerts": alerts})


def _copy(lake: Lake, fresh: Lake, table: Table, first: dt.date, last: dt.date, sources: list[str]) -> None:
    condition = f"data_date < date'{first}'"
    if table is tables.DELETIONS:
        condition = "true"
    elif table.database == "bronze":
        condition = f"data_date <= date'{last}'"
    elif table in (tables.RUNS, tables.QUARANTINE):
        names = ", ".join(f"'{name}'" for name in sources)
        condition += f" OR (data_date <= date'{last}' AND job IN ({names}))"
    elif table is tables.PROMOTIONS:  # what people decided is an input
        condition += f" OR (data_date <= date'{last}' AND decided_by != '{GATES}')"
    rows = lake.read(table, condition)
    if not rows.isEmpty():
        fresh.append(table, rows, metadata={"job": "replay"})


def compare(one: Lake, other: Lake, first: dt.date, last: dt.date) -> Iterator[Comparison]:
    """Compare every table of two lakes, day by day, except the ledger; empty on both sides is left out."""
    for table in tables.ALL.values():
        if table.name in _NOT_COMPARED or not (one.exists(table) or other.exists(table)):
            continue
        for day in days(first, last):
            condition = f"data_date = date'{day}'"
            a, b = _rows(one, table, condition), _rows(other, table, condition)
            (rows, mark), (replayed, other_mark) = fingerprint(table, a), fingerprint(table, b)
            if rows or replayed:
                difference, unlike = _inexact(table, a, b) if mark == other_mark else (0.0, 0.0)
                yield Comparison(table.name, day, rows, replayed, mark == other_mark, difference, unlike)


def _rows(lake: Lake, table: Table, condition: str) -> DataFrame:
    """What is compared of a table. Of refused rows not the reason, which may quote a score; nor those of videos taken down since,
    which are not judged again."""
    from pyspark.sql import functions as F

    rows = lake.read(table, condition)
    if table is not tables.QUARANTINE:
        return rows
    gone = F.coalesce(F.col("video_id").isin(lake.taken_down), F.lit(False))
    return rows.where(~gone).withColumn("reason", F.lit(""))


def _inexact(table: Table, a: DataFrame, b: DataFrame) -> tuple[float, float]:
    """Largest difference of numbers, and largest share of rows that differ in another inexact column."""
    from pyspark.sql import functions as F

    columns = [c for c in table.columns if c.sameness == "inexact" and not c.type.startswith("map<")]
    if not columns:
        return 0.0, 0.0
    both = a.alias("a").join(b.alias("b"), on=table.key, how="inner")
    numeric = [F.max(_difference(c)) for c in columns if _is_numeric(c)]
    unlike = [F.avg(_differs(c).cast("double")) for c in columns if not _is_numeric(c)]
    values = both.agg(*[x.alias(f"x{i}") for i, x in enumerate([*numeric, *unlike])]).first() or ()
    found = [value or 0.0 for value in values]
    return max(found[: len(numeric)], default=0.0), max(found[len(numeric) :], default=0.0)


def _is_numeric(column: Column) -> bool:
    return column.type in ("int", "bigint", "float", "double", "array<float>", "array<double>")


def _differs(column: Column) -> SparkColumn:
    from pyspark.sql import functions as F
    from pyspark.sql.types import ArrayType, DoubleType, StructType

    a, b = F.col(f"a.{column.name}"), F.col(f"b.{column.name}")
    kind = spark_type(column.type)
    inside = kind.elementType if isinstance(kind, ArrayType) else None
    if not isinstance(inside, StructType):
        return ~a.eqNullSafe(b)

    def alike(x: SparkColumn, y: SparkColumn) -> SparkColumn:
        near = [
            F.abs(x[f.name] - y[f.name]) <= TOLERANCE if f.dataType == DoubleType() else x[f.name].eqNullSafe(y[f.name]) for f in inside
        ]
        return F.coalesce(functools.reduce(operator.and_, near), F.lit(False))

    near = (F.size(a) == F.size(b)) & F.forall(F.zip_with(a, b, alike), lambda same: same)
    return ~(a.eqNullSafe(b) | F.coalesce(near, F.lit(False)))


def _difference(column: Column) -> SparkColumn:
    from pyspark.sql import functions as F

    a, b = F.col(f"a.{column.name}"), F.col(f"b.{column.name}")
    one_missing = a.isNull() != b.isNull()
    if column.type.startswith("array"):
        gaps = F.array_max(F.zip_with(a, b, lambda x, y: F.coalesce(F.abs(x - y), F.lit(float("inf"))))).cast("double")
    else:
        gaps = F.abs(a.cast("double") - b.cast("double"))
    return F.when(one_missing, F.lit(float("inf"))).otherwise(F.coalesce(gaps, F.lit(0.0)))
