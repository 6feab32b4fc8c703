"""Runs every job of one day on a manifest of real videos."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import yaml
from pyspark.sql import SparkSession

from reelhouse import settings as settings_module
from reelhouse.labels import taxonomy_from_paths
from reelhouse.lake import Lake
from reelhouse.pipeline import Pipeline
from reelhouse.sources import category_paths

DAY = dt.date(2026, 1, 1)


def run_whole(spark: SparkSession, folder: Path, manifest: Path) -> Pipeline:
    """Run every job for DAY on a manifest, with a label tree made of its categories."""
    tree = folder / "tree.yml"
    tree.write_text(yaml.safe_dump(taxonomy_from_paths(category_paths(manifest), "category"), allow_unicode=True), encoding="utf-8")
    values = {
        "storage.root": str(folder / "w"), "sources.manifest": str(manifest), "taxonomy.category": str(tree), "spark.master": "local[2]",
    }  # fmt: skip
    pipeline = Pipeline(settings_module.load(values=values), Lake(spark, str(folder / "w")), lambda text: None)
    outcomes = pipeline.run_day(DAY)
    errors = [o.error for o in outcomes if o.error]
    if errors:
        raise errors[0]
    assert {o.status for o in outcomes if o.job != "select_for_labeling"} == {"succeeded"}
    return pipeline
