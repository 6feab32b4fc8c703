"""`make faults`: every job of a day, killed at every phase and run again (about an hour)."""

from __future__ import annotations

import datetime as dt
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from reelhouse.lake import Lake
from reelhouse.pipeline import load_jobs
from tests.deliveries import deliver, text_rows
from tests.faults.killing import kill, phases_of, rows_of, run_jobs, services_hold
from tests.faults.survived import survives

DAY1, DAY2 = dt.date(2026, 1, 1), dt.date(2026, 1, 2)
JOBS = [job.name for job in load_jobs()]


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Deliveries of two days, and a lake in which the first was run."""
    folder = tmp_path_factory.mktemp("faults")
    for day in (DAY1, DAY2):
        deliver(folder / "deliveries", day, text_rows(day, 24))
    run_jobs(spark, folder / "calm", folder / "deliveries", DAY1, [])
    return folder


@survives(
    "a job is killed (SIGKILL) at any commit step",
    seconds=170,
    sees="the day is unfinished; `reelhouse status` names the job that was cut off",
    mends="the same command",
)
@pytest.mark.parametrize("job", JOBS)
def test_a_job_killed_at_any_phase_and_run_again_leaves_what_an_undisturbed_run_does(spark: SparkSession, folder: Path, job: str):
    calm, deliveries = folder / "calm", folder / "deliveries"
    # of this job only: this process' MLflow keeps an earlier job's database open, and SQLite refuses one whose file was replaced
    before, killed = folder / f"before-{job}", {}
    for earlier in JOBS[: JOBS.index(job)]:  # up to date unless this job was asked for by name
        run_jobs(spark, calm, deliveries, DAY2, [earlier])
    shutil.copytree(calm, before)
    phases = phases_of(spark, calm, deliveries, DAY2, [job])
    wanted = (rows_of(Lake(spark, str(calm))), services_hold(Lake(spark, str(calm))))
    fatal = range(2, phases + 1, 2)  # the end of one is the beginning of the next
    for n in fatal:
        killed[n] = shutil.copytree(before, folder / f"killed-{job}-{n}")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda n: kill(killed[n], deliveries, DAY2, n, [job]), fatal))
    for n, root in killed.items():
        run_jobs(spark, root, deliveries, DAY2, [job])
        assert (rows_of(Lake(spark, str(root))), services_hold(Lake(spark, str(root)))) == wanted, f"killed at phase {n} of {phases}"
        shutil.rmtree(root)
    shutil.rmtree(before)
