"""A whole day of real jobs through Airflow, each task a process of its own, in each version: the same rows as `reelhouse daily`."""

from __future__ import annotations

import datetime as dt
import shlex
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession

from reelhouse import tables
from reelhouse.lake import Lake
from reelhouse.pipeline import load_jobs
from reelhouse.replay import compare
from tests.airflow.installed import VERSIONS, airflow
from tests.newcomer import REELHOUSE
from tests.turns import WHOLE_DAYS, in_turn

DAY = dt.date(2026, 1, 1)


@in_turn(WHOLE_DAYS, seconds=400)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_day_of_the_sample_through_airflow_gives_the_rows_of_daily(version: str, newcomer: Path, tmp_path: Path, spark: SparkSession):
    installed = airflow(version, tmp_path)
    conf, root = tmp_path / "the settings.yml", tmp_path / "it's a lake"
    conf.write_text(yaml.safe_dump({"sources": {"deliveries": str(newcomer / "sample" / "deliveries")}}))
    done = installed.dags_test(
        "2026-01-02",  # whose data interval is DAY
        AIRFLOW_VAR_REELHOUSE_COMMAND=shlex.quote(str(REELHOUSE)),
        AIRFLOW_VAR_REELHOUSE_CONF=str(conf),
        AIRFLOW_VAR_REELHOUSE_ROOT=str(root),
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    lake = Lake(spark, str(root))
    runs = lake.read(tables.RUNS).collect()
    assert {r.job for r in runs} == {job.name for job in load_jobs()}
    compared = list(compare(Lake(spark, str(newcomer / "warehouse-sample")), lake, DAY, DAY))
    assert [c for c in compared if not c.same] == []
    assert {"silver.frames", "silver.features", "silver.video_text", "gold.label_noise", "gold.predictions", "ops.serving"} <= {
        c.table for c in compared
    }
