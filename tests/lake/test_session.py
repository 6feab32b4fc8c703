"""What an embedded session is started with, seen from inside of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

import pandas as pd
from pyspark.sql import SparkSession

from reelhouse.lake.environment import installed


def test_python_workers_read_no_archive_before_every_task(spark: SparkSession):
    def look(batches: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
        for _ in batches:
            yield pd.DataFrame({"entry": [*sys.path, *sys.path_importer_cache]})

    entries = {row.entry for row in spark.range(1).mapInPandas(look, "entry string").collect()}
    assert any(entry.endswith("site-packages") for entry in entries)
    assert [entry for entry in entries if re.search(r"pyspark\.zip|\.jar", entry)] == []


def test_java_starts_with_the_archive_of_classes_that_the_set_up_made(spark: SparkSession):
    assert installed().classes
    beans = spark.sparkContext._jvm.java.lang.management.ManagementFactory  # type: ignore[union-attr]
    assert f"-XX:SharedArchiveFile={installed().classes}" in list(beans.getRuntimeMXBean().getInputArguments())
