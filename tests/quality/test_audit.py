"""The audit as a whole: what is refused and why, against plain Python; how many Spark jobs it takes; what it leaves alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.errors import AuditError
from reelhouse.quality import audit
from tests.quality.frames import SUITES, frame
from tests.quality.rows import GOOD

LABELS = tables.LABELS


def labels(*changes):
    return [{**GOOD["silver.labels"], "video_id": f"v{i}", **change} for i, change in enumerate(changes)]


def test_rows_that_pass_are_handed_back_as_they_are(spark):
    rows = frame(spark, LABELS, labels({}, {"agreement": None}))
    result = audit(LABELS, rows, SUITES)
    assert result.good is rows
    assert result.refused is None
    assert result.count == 2
    assert result.failed_table_checks == []
    assert {c["passed"] for c in result.checks} == {True}
    assert {c["total_rows"] for c in result.checks} == {2}


def test_an_empty_frame_passes(spark):
    result = audit(LABELS, frame(spark, LABELS, []), SUITES)
    assert result.refused is None
    assert result.count == 0
    assert all(c["passed"] and c["failed_rows"] == 0 for c in result.checks)


def test_what_is_kept_of_one_audit_of_a_table_is_not_taken_for_the_rows_of_the_next(spark, tmp_path):
    suite = """
expectations:
  - {type: expect_column_median_to_be_between, kwargs: {column: annotators, min_value: 2, max_value: 4}}
  - {type: expect_column_value_z_scores_to_be_less_than, kwargs: {column: annotators, threshold: 1.3, double_sided: true}}
  - {type: expect_column_values_to_be_between, kwargs: {column: annotators, max_value: 50}}
"""
    (tmp_path / "silver.labels.yml").write_text(suite)
    found = []
    for annotators in [(2, 3, 4), (60, 61, 62), (1, 1, 1, 9), (2, 3, 4)]:
        result = audit(LABELS, frame(spark, LABELS, labels(*[{"annotators": n} for n in annotators])), tmp_path)
        found.append({c["check"]: c["failed_rows"] or not c["passed"] for c in result.checks if c["column"] == "annotators"})
    median, z_score, between = (
        "expect_column_median_to_be_between", "expect_column_value_z_scores_to_be_less_than", "expect_column_values_to_be_between",
    )  # fmt: skip
    assert [f[median] for f in found] == [False, True, True, False]
    assert [f[z_score] for f in found] == [0, 0, 1, 0]  # 9 is 1.5 deviations from the mean of 3
    assert [f[between] for f in found] == [0, 3, 0, 0]


def test_a_refused_row_says_what_was_wanted_what_was_got_and_holds_the_row(spark):
    rows = labels({}, {"agreement": 1.5, "annotators": -2})
    result = audit(LABELS, frame(spark, LABELS, rows), SUITES)
    assert result.refused is not None
    (refused,) = result.refused.collect()
    assert refused.asDict() == {
        "rule": "expect_column_values_to_be_between:agreement",
        "row_key": "v1|category|food|2026-01-02",
        "reason": "agreement must be at least 0 and at most 1, got 1.5; annotators must be at least 0, got -2",
        "row": refused.row,
        "video_id": "v1",
    }
    assert json.loads(refused.row)["agreement"] == 1.5
    found = {(c["check"], c["column"]): c["failed_rows"] for c in result.checks if not c["passed"]}
    assert found == {("expect_column_values_to_be_between", "agreement"): 1, ("expect_column_values_to_be_between", "annotators"): 1}


def test_of_rows_with_one_key_the_same_one_is_kept_in_whatever_order_they_come(spark):
    same = [{**GOOD["silver.labels"], "annotators": n} for n in (7, 3, 5)]
    kept = []
    for rows in (same, same[::-1]):
        result = audit(LABELS, frame(spark, LABELS, rows), SUITES)
        assert result.refused is not None
        kept.append([r.annotators for r in result.good.collect()])
        refused = sorted(result.refused.collect(), key=lambda r: r.row_key)
        assert [r.row_key for r in refused] == ["v|category|food|2026-01-02", "v|category|food|2026-01-02#2"]
        assert {r.rule for r in refused} == {"expect_key_to_be_unique"}
        assert sorted(json.loads(r.row)["annotators"] for r in refused) == [5, 7]
        assert [c["failed_rows"] for c in result.checks if c["check"] == "expect_key_to_be_unique"] == [2]
    assert kept == [[3], [3]]


@pytest.mark.parametrize("rows", [1, 2])  # one: what is found is not taken for the number of rows where both are the same
def test_a_check_of_the_table_says_what_was_found(spark, tmp_path, rows):
    suite = "expectations: [{type: expect_column_max_to_be_between, kwargs: {column: annotators, min_value: 5}, description: five answer}]"
    (tmp_path / "silver.labels.yml").write_text(suite)
    result = audit(LABELS, frame(spark, LABELS, labels(*[{"annotators": 1}] * rows)), tmp_path)
    assert result.failed_table_checks == ["silver.labels: five answer, but it is 1"]


def test_a_bad_row_does_not_push_out_the_good_one_of_its_key(spark):
    result = audit(LABELS, frame(spark, LABELS, [{**GOOD["silver.labels"], "agreement": a} for a in (-1.0, 0.5)]), SUITES)
    assert result.refused is not None
    assert [r.agreement for r in result.good.collect()] == [0.5]
    assert [r.rule for r in result.refused.collect()] == ["expect_column_values_to_be_between:agreement"]


def test_a_null_in_the_key_is_refused_and_named(spark):
    result = audit(LABELS, frame(spark, LABELS, labels({}, {"label_id": None})), SUITES)
    assert result.refused is not None
    (refused,) = result.refused.collect()
    assert (refused.row_key, refused.rule) == ("v1|category|null|2026-01-02", "expect_column_values_to_not_be_null:label_id")
    assert "label_id must not be null, got null" in refused.reason


def test_bytes_are_counted_and_left_out_of_the_row_and_long_rows_are_cut(spark):
    frames = [{**GOOD["silver.frames"], "jpeg": b"x" * 5}]
    refused = audit(tables.FRAMES, frame(spark, tables.FRAMES, frames), SUITES).refused
    assert refused is not None
    (row,) = refused.collect()
    assert row.reason == "jpeg must start with the mark of a JPEG (FFD8), got 5 bytes"
    assert "jpeg" not in json.loads(row.row)
    texts = [{**GOOD["silver.video_text"], "text": "词" * 20000, "language": "fr"}]
    refused = audit(tables.VIDEO_TEXT, frame(spark, tables.VIDEO_TEXT, texts), SUITES).refused
    assert refused is not None
    assert len(refused.collect()[0].row) == 10_000


ANSWERS = st.sampled_from([-1, 0, 1, 2, None])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "video_id": st.sampled_from(["a", "b", "", None]),
            "answer": ANSWERS,
            "agreement": st.sampled_from([None, 0.0, 0.5, 1.0, 1.0000001, -0.1, float("nan"), float("inf")]),
            "annotators": st.integers(-1, 2),
        }
    ),
    max_size=12,
)


def passes(row) -> bool:
    """The suite of silver.labels as plain Python."""
    share = row["agreement"]
    return bool(row["video_id"]) and row["answer"] in (-1, 0, 1) and row["annotators"] >= 0 and (share is None or 0 <= share <= 1)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(rows=ROWS)
def test_agrees_with_plain_python_and_loses_no_row(spark, rows):
    result = audit(LABELS, frame(spark, LABELS, [{**GOOD["silver.labels"], **row} for row in rows]), SUITES)
    good = [r.asDict() for r in result.good.collect()]
    refused = result.refused.collect() if result.refused is not None else []
    assert len(good) + len(refused) == len(rows) == result.count
    assert all(passes(row) for row in good)
    assert sorted(r["video_id"] for r in good) == sorted({row["video_id"] for row in rows if passes(row)})
    assert len({(r.rule, r.row_key) for r in refused}) == len(refused)


def test_an_audit_reads_the_rows_once(spark):
    counted = spark.sparkContext.accumulator(0)

    def count(value: str) -> str:
        counted.add(1)
        return value

    rows = frame(spark, LABELS, labels(*[{}] * 5)).withColumn("video_id", F.udf(count)("video_id"))
    spark.sparkContext.setJobGroup("one audit", "counted by the test")
    result = audit(LABELS, rows, SUITES)
    jobs = spark.sparkContext.statusTracker().getJobIdsForGroup("one audit")
    spark.sparkContext.setJobGroup("", "")
    assert result.count == 5
    assert counted.value == 5
    assert len(jobs) <= 3  # stages of one query, each a job of its own under adaptive execution


def test_an_error_while_the_rows_are_made_comes_through_at_once(spark):
    def fail(value: str) -> str:
        raise ValueError(f"this video is odd: {value}")

    rows = frame(spark, LABELS, labels({})).withColumn("video_id", F.udf(fail)("video_id"))
    spark.sparkContext.setJobGroup("failing audit", "counted by the test")
    with pytest.raises(Exception, match="this video is odd: v0"):
        audit(LABELS, rows, SUITES)
    assert len(spark.sparkContext.statusTracker().getJobIdsForGroup("failing audit")) == 1
    spark.sparkContext.setJobGroup("", "")


def test_a_condition_that_is_no_sql_names_the_table_and_the_suite(spark, tmp_path):
    suite = "expectations: [{type: expect_column_values_to_satisfy, kwargs: {column: title, condition: 'length(titel) > 1'}}]"
    (tmp_path / "bronze.items.yml").write_text(suite, encoding="utf-8")
    with pytest.raises(
        AuditError, match=r"bronze\.items: a check can't be computed: (.|\n)*titel(.|\n)*Correct conf/expectations/bronze\.items\.yml"
    ):
        audit(tables.ITEMS, frame(spark, tables.ITEMS, [GOOD["bronze.items"]]), tmp_path)


def test_checks_have_the_columns_of_the_ledger(spark):
    wanted = dict(f.simpleString().split(":", 1) for f in spark_struct("checks").fields)
    (check, *_) = audit(LABELS, frame(spark, LABELS, labels({})), SUITES).checks
    assert set(check) == set(wanted)
    kinds = {"string": str, "boolean": bool, "bigint": int}
    assert all(type(check[name]) is kinds[kind] for name, kind in wanted.items())


def spark_struct(name: str):
    return next(f for f in tables.RUNS.spark_schema() if f.name == name).dataType.elementType


def test_great_expectations_comes_late_writes_nothing_and_leaves_warnings_alone(tmp_path):
    """In a process of its own: importing the package is cheap, warming it touches neither HOME nor Python's warnings."""
    code = (
        "import sys, warnings; before = warnings.showwarning\n"
        "import reelhouse.quality as q; assert 'great_expectations' not in sys.modules\n"
        "q.warm(); assert 'great_expectations' in sys.modules; assert warnings.showwarning is before\n"
        "import os; assert os.environ['GX_ANALYTICS_ENABLED'].lower() == 'false'\n"
    )
    env = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(Path(tables.__file__).parents[2])}
    env.pop("GX_ANALYTICS_ENABLED", None)
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
