"""A job killed between any two of its phases loses nothing and doubles nothing. `make faults` does this to every job of a day."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyspark.sql import SparkSession

from reelhouse.lake import Lake
from tests.deliveries import deliver, text_rows
from tests.faults.killing import kill, phases_of, rows_of, run_jobs

DAY = dt.date(2026, 1, 1)
JOBS = ("ingest",)


def test_a_run_killed_at_any_phase_and_run_again_equals_an_undisturbed_one(spark: SparkSession, tmp_path: Path):
    rows = [*text_rows(DAY, 6), {"video_id": "0101-000", "title": "another row of the same id"}]
    deliveries = tmp_path / "deliveries"
    deliver(deliveries, DAY, rows)
    phases = phases_of(spark, tmp_path / "calm", deliveries, DAY, JOBS)
    wanted = rows_of(Lake(spark, str(tmp_path / "calm")))
    assert wanted["bronze.video_arrivals"][0] == 6
    assert wanted["ops.quarantine"][0] == 1
    fatal = range(2, phases + 1, 2)  # the end of one is the beginning of the next
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda n: kill(tmp_path / f"killed{n}", deliveries, DAY, n, JOBS), fatal))
    for n in fatal:
        run_jobs(spark, tmp_path / f"killed{n}", deliveries, DAY, JOBS)
        assert rows_of(Lake(spark, str(tmp_path / f"killed{n}"))) == wanted, f"killed at phase {n} of {phases}"
