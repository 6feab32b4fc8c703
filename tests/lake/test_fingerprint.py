import datetime as dt

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from reelhouse import tables
from reelhouse.lake.fingerprint import fingerprint

DAY = dt.date(2026, 1, 1)
SCHEMA = "video_id string, tag_id string, tag string, position int, matches int, data_date date"
rows = st.lists(st.tuples(st.text("ab", max_size=2), st.sampled_from(["x", None]), st.integers(0, 2)), max_size=5)


def mark(spark: SparkSession, given_rows) -> tuple[int, str]:
    full = [(video, tag, tag, position, 1, DAY) for video, tag, position in given_rows]
    return fingerprint(tables.VIDEO_TAGS, spark.createDataFrame(full, SCHEMA).repartition(2))


def key(row) -> str:
    return repr(row)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows, rows)
def test_two_sets_of_rows_have_one_fingerprint_only_if_they_hold_the_same_rows(spark: SparkSession, a, b):
    assert mark(spark, a) == mark(spark, list(reversed(a)))
    assert (mark(spark, a) == mark(spark, b)) == (sorted(a, key=key) == sorted(b, key=key))


def test_a_null_is_not_another_columns_value(spark: SparkSession):
    one = spark.createDataFrame([("a", None, "x", 0, 1, DAY)], SCHEMA)
    other = spark.createDataFrame([("a", "x", None, 0, 1, DAY)], SCHEMA)
    assert fingerprint(tables.VIDEO_TAGS, one) != fingerprint(tables.VIDEO_TAGS, other)


def test_inexact_columns_count_where_they_are_asked_for(spark: SparkSession):
    schema = tables.COPIES.spark_schema()
    a, b = (spark.createDataFrame([("v", "v", None, value, value, [7], DAY)], schema) for value in (0.1, 0.2))
    assert fingerprint(tables.COPIES, a) == fingerprint(tables.COPIES, b)
    assert fingerprint(tables.COPIES, a, inexact=True) != fingerprint(tables.COPIES, b, inexact=True)
    other = spark.createDataFrame([("v", "v", None, 0.1, 0.1, [8], DAY)], schema)
    assert fingerprint(tables.COPIES, other) != fingerprint(tables.COPIES, a)
