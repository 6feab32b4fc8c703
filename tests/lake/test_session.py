"""What an embedded session is started with, seen from inside of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from reelhouse import settings as settings_module
from reelhouse.lake import compile_queries
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


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, ("true", "FALLBACK")),
        ({"spark.extra": {"spark.sql.codegen.wholeStage": "false"}}, ("false", "FALLBACK")),  # as the user's settings say
        ({"spark.master": "yarn"}, ("false", "NO_CODEGEN")),  # a cluster's own defaults are left as they are
    ],
)
def test_queries_are_compiled_from_then_on(spark: SparkSession, values: dict, expected: tuple[str, str]):
    session = spark.newSession()  # settings of its own
    names = ("spark.sql.codegen.wholeStage", "spark.sql.codegen.factoryMode")
    assert tuple(session.conf.get(name) for name in names) == ("false", "NO_CODEGEN")
    compile_queries(session, settings_module.load(values=values).spark)
    assert tuple(session.conf.get(name) for name in names) == expected
    assert spark.conf.get(names[1]) == "NO_CODEGEN"
