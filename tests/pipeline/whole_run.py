"""Runs every job of one day on a manifest of real videos, as a person would: two commands."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.lake import Lake
from reelhouse.pipeline import Pipeline, load_jobs
from tests.typed import typing_in

DAY = dt.date(2026, 1, 1)


def run_whole(spark: SparkSession, folder: Path, manifest: Path) -> Pipeline:
    """Run every job for DAY on a manifest, with a label tree made of its categories."""
    with pytest.MonkeyPatch.context() as patch:
        typed = typing_in(folder, spark, patch)
        typed("taxonomy", "build", str(manifest), "--into", "tree.yml")
        places = ("--root", "w", "--set", f"taxonomy.category={folder / 'tree.yml'}")
        typed("daily", "--date", str(DAY), "--manifest", str(manifest), *places)
    values = {"storage.root": str(folder / "w"), "sources.manifest": str(manifest), "taxonomy.category": str(folder / "tree.yml")}
    pipeline = Pipeline(settings_module.load(values=values), Lake(spark, str(folder / "w")), lambda text: None)
    runs = {r.job: r.status for r in pipeline.lake.read(tables.RUNS).collect()}
    assert {job: status for job, status in runs.items() if status != "succeeded"}.keys() <= {"select_for_labeling"}
    assert runs.keys() == {job.name for job in load_jobs()}
    return pipeline
