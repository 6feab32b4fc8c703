"""The Python process and its Java machine are killed while a table is written: files are there that no commit names."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from reelhouse import tables
from reelhouse.lake import Lake
from tests.deliveries import deliver, text_rows
from tests.faults.killing import CHECKOUT, rows_of, run_jobs
from tests.faults.survived import survives

DAY = dt.date(2026, 1, 1)
BEFORE, JOB = ["ingest", "extract"], "clean_text"
ATTEMPTS = 8  # the moment between a file and its commit is short: it is not met each time


def files(root: Path) -> tuple[set[Path], set[Path]]:
    """Data files of the job's table, and entries of its log."""
    folder = root / "tables" / "silver" / "video_text"
    return set(folder.glob("data_date=*/part-*.parquet")), set(folder.glob("_delta_log/*.json"))


def killed_between_file_and_commit(root: Path, deliveries: Path, log: Path) -> bool:
    """Run the job in a process group of its own, and kill that once a data file lies there; whether it was not committed."""
    command = [sys.executable, "-m", "tests.faults.killed_run", str(root), str(deliveries), str(DAY), "0", JOB]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdout=output, stderr=output, start_new_session=True)
    try:
        while not files(root)[0]:
            assert process.poll() is None, log.read_text()[-3000:]
            time.sleep(0.0005)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    written, committed = files(root)
    return bool(written) and not committed


@survives(
    "Python and Java are killed between the files of a table and their commit",
    seconds=120,
    sees="nothing of the files: no commit names them; `reelhouse doctor` counts their bytes",
    mends="the same command; `reelhouse maintain` removes the files",
)
def test_files_without_a_commit_are_seen_by_nobody_and_the_job_runs_again(spark: SparkSession, tmp_path: Path):
    deliveries, calm, before = tmp_path / "deliveries", tmp_path / "calm", tmp_path / "before"
    deliver(deliveries, DAY, text_rows(DAY, 12))
    run_jobs(spark, calm, deliveries, DAY, BEFORE)
    shutil.copytree(calm, before)
    run_jobs(spark, calm, deliveries, DAY, [JOB])
    for n in range(ATTEMPTS):
        root = tmp_path / f"killed-{n}"
        shutil.copytree(before, root)
        if killed_between_file_and_commit(root, deliveries, tmp_path / f"{n}.log"):
            break
    else:
        pytest.fail(f"in none of {ATTEMPTS} attempts was the process killed between the file and its commit")
    left, _ = files(root)
    assert not Lake(spark, str(root)).exists(tables.VIDEO_TEXT)
    run_jobs(spark, root, deliveries, DAY, [JOB])
    assert rows_of(Lake(spark, str(root))) == rows_of(Lake(spark, str(calm)))
    assert left < files(root)[0]  # still there, beside those of the commit, until they are old enough to be removed
