"""Sixteen processes aimed at the same version of a table: none of 5,000 commits is lost."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession

from reelhouse import tables
from reelhouse.lake import Lake
from tests.faults.killing import CHECKOUT
from tests.faults.survived import survives
from tests.planting import write_rows

WRITERS, COMMITS, APPENDS = 16, 313, 5
RACE_SECONDS_MAX = 7200  # against a race that hangs; a slow machine takes most of an hour


@survives(
    "16 processes commit to one table at once, 5,008 times",
    seconds=1800,
    sees="nothing: they wait for each other",
    mends="nothing is needed",
)
def test_sixteen_racing_writers_lose_none_of_five_thousand_commits(spark: SparkSession, tmp_path: Path):
    lake = Lake(spark, str(tmp_path / "w"))
    day = dt.date(2026, 1, 1)
    write_rows(lake, tables.VIDEO_TAGS, [{"video_id": "v", "tag_id": "t", "tag": "T", "position": 0, "matches": 1}], {"data_date": day})
    # a checkpoint, which is written after the commit, would take half the time
    spark.sql(f"ALTER TABLE delta.`{lake.path(tables.VIDEO_TAGS)}` SET TBLPROPERTIES ('delta.checkpointInterval' = '1000')")
    began = time.monotonic()
    writers = []
    for n in range(WRITERS):
        command = [sys.executable, "-m", "tests.faults.racing_writer", lake.root, f"w{n}", str(COMMITS), str(APPENDS)]
        log = (tmp_path / f"w{n}.log").open("wb")
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        writers.append(subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=log, stderr=subprocess.STDOUT))
    try:
        while len(list(Path(lake.root).glob("ready-*"))) < WRITERS:
            assert time.monotonic() - began < 900
            assert not any(w.poll() for w in writers), [(tmp_path / f"w{n}.log").read_text()[-2000:] for n in range(WRITERS)]
            time.sleep(0.5)
        started = time.monotonic()
        (Path(lake.root) / "go").touch()
        for n, writer in enumerate(writers):
            left = RACE_SECONDS_MAX - (time.monotonic() - started)
            assert writer.wait(timeout=max(left, 1)) == 0, (tmp_path / f"w{n}.log").read_text()[-3000:]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    print(f"{WRITERS} sessions started in {started - began:.0f} s, raced for {time.monotonic() - started:.0f} s")
    wanted = {f"w{n}-{number}" for n in range(WRITERS) for number in range(COMMITS)}
    assert len(wanted) >= 5000
    found = []
    for entry in sorted((Path(lake.path(tables.VIDEO_TAGS)) / "_delta_log").glob("*.json")):
        found += [a["txn"]["appId"] for a in map(json.loads, entry.read_text().splitlines()) if "txn" in a]
    assert sorted(found) == sorted(wanted)
    kept = [r.video_id for r in lake.read(tables.VIDEO_TAGS).where("data_date >= '2026-02-01'").select("video_id").collect()]
    assert sorted(kept) == sorted(f"w{n}-{number}" for n in range(WRITERS) for number in range(APPENDS))
    appended = [r.run_id for r in lake.read(tables.RUNS).select("run_id").collect()]
    assert sorted(appended) == sorted(f"w{n}-{number}" for n in range(WRITERS) for number in range(APPENDS))
