"""`make faults`: whole days that come in the wrong order (about ten minutes)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from pyspark.sql import SparkSession

from reelhouse import tables
from reelhouse.lake import Lake
from reelhouse.replay import compare
from tests.deliveries import deliver, text_rows
from tests.faults.killing import late_jobs, run_jobs, services_hold
from tests.faults.survived import survives

DAYS = [dt.date(2026, 1, day) for day in (1, 2, 3)]


@survives(
    "whole days come in the wrong order",
    seconds=600,
    sees="the days run; later days are marked stale",
    mends="the days once more, in order",
)
def test_every_table_of_days_that_came_out_of_order_is_that_of_days_in_order(spark: SparkSession, tmp_path: Path):
    for day in DAYS:
        deliver(tmp_path / "deliveries", day, text_rows(day, 24))
    for root, order in (("in order", DAYS), ("out of order", [DAYS[2], DAYS[0], DAYS[1]])):
        for day in order:
            run_jobs(spark, tmp_path / root, tmp_path / "deliveries", day, [])
    late = {root: late_jobs(spark, tmp_path / root, tmp_path / "deliveries", DAYS[2]) for root in ("in order", "out of order")}
    assert late["in order"] == {}
    assert "sample_by_density" in late["out of order"]
    for day in DAYS:
        run_jobs(spark, tmp_path / "out of order", tmp_path / "deliveries", day, [])
    lakes = [Lake(spark, str(tmp_path / root)) for root in ("in order", "out of order")]
    compared = list(compare(*lakes, DAYS[0], DAYS[2]))
    assert [c for c in compared if not c.same] == []
    written = {t.name for t in tables.ALL.values() if not lakes[0].read(t).isEmpty()} - {"ops.runs"}
    assert {c.table for c in compared} == written
    held = [services_hold(lake) for lake in lakes]
    for each in held:
        each.pop("models")  # those of the days that came too early stay
    assert held[0] == held[1]
