"""`make faults`: every job of a whole day, killed at every phase (about half an hour)."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

from pyspark.sql import SparkSession

from reelhouse.lake import Lake
from tests.deliveries import deliver, text_rows
from tests.faults.killing import kill_and_rerun, phases_of, rows_of

DAY1, DAY2 = dt.date(2026, 1, 1), dt.date(2026, 1, 2)


def test_a_whole_day_killed_at_any_phase_equals_an_undisturbed_one(spark: SparkSession, tmp_path: Path):
    for day in (DAY1, DAY2):
        deliver(tmp_path / "deliveries", day, text_rows(day, 24))
    calm = tmp_path / "calm"
    phases_of(calm, tmp_path / "deliveries", DAY1, [])
    shutil.copytree(calm, tmp_path / "first day")
    phases = phases_of(calm, tmp_path / "deliveries", DAY2, [])
    wanted = rows_of(Lake(spark, str(calm)))
    for n in range(1, phases + 1):
        root = tmp_path / f"killed{n}"
        shutil.copytree(tmp_path / "first day", root)
        kill_and_rerun(root, tmp_path / "deliveries", DAY2, n, [])
        assert rows_of(Lake(spark, str(root))) == wanted, f"killed at phase {n} of {phases}"
        shutil.rmtree(root)
