"""A day on a cluster: executors in processes of their own that know every library, but not the package."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from reelhouse.lake import Lake
from reelhouse.replay import compare
from tests.newcomer import CHECKOUT, said
from tests.turns import WHOLE_DAYS, in_turn

DAY = dt.date(2026, 1, 1)


def python_of_a_cluster(folder: Path) -> Path:
    """An interpreter that knows every library but Reelhouse itself, as on machines that only run executors."""
    own = (str(CHECKOUT), str(CHECKOUT / "libs"))
    forget = (
        "import sys\n"
        f"sys.path[:] = [entry for entry in sys.path if entry not in {own} and '__editable__' not in entry]\n"
        "sys.meta_path[:] = [finder for finder in sys.meta_path if '__editable__' not in getattr(finder, '__module__', '')]\n"
    )
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(forget, encoding="utf-8")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={folder}:$PYTHONPATH exec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    for package in ("reelhouse", "jobs"):
        missing = subprocess.run([python, "-c", f"import {package}"], cwd=folder, capture_output=True, text=True, check=False)
        assert f"No module named '{package}'" in missing.stderr
    return python


@in_turn(WHOLE_DAYS, seconds=440)
def test_the_same_day_on_two_executor_processes_gives_the_same_rows(newcomer: Path, tmp_path: Path, spark: SparkSession):
    root = tmp_path / "cluster"
    environ = os.environ | {"PYSPARK_PYTHON": str(python_of_a_cluster(tmp_path / "bare"))}
    places = ("--root", str(root), "--set", f"sources.deliveries={newcomer / 'sample' / 'deliveries'}")
    said(tmp_path, "daily", "--date", str(DAY), *places, "--set", "spark.master=local-cluster[2,1,2048]", environ=environ)
    compared = list(compare(Lake(spark, str(newcomer / "warehouse-sample")), Lake(spark, str(root)), DAY, DAY))
    assert [c for c in compared if not c.same] == []
    assert {"silver.frames", "silver.features", "silver.video_text", "gold.label_noise", "gold.predictions", "ops.serving"} <= {
        c.table for c in compared
    }
