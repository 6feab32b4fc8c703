"""Each suite of conf/expectations: a row that breaks one check is refused for that check; nothing else is."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.errors import SettingsError
from reelhouse.quality import audit
from reelhouse.quality.suites import load_suite
from tests.quality.frames import SUITES, frame
from tests.quality.rows import BROKEN, DAY, GOOD


def variant(table: tables.Table, number: int, change: dict[str, Any]) -> dict[str, Any]:
    """The good row with another key and the change made."""
    row = dict(GOOD[table.name])
    named = table.key[0]
    row[named] = row[named] + timedelta(days=number) if isinstance(row[named], date) else f"{row[named]}{number}"
    row.update({k: row["video_id"] if v == "SELF" else v for k, v in change.items()})
    return row


def key_of(table: tables.Table, row: dict[str, Any]) -> str:
    return "|".join("null" if row[c] is None else str(row[c]) for c in table.key)


def test_every_table_has_a_suite_and_every_suite_a_table():
    assert {path.stem for path in SUITES.glob("*.yml")} == set(tables.ALL)
    assert set(GOOD) == set(BROKEN) == set(tables.ALL)


@pytest.mark.parametrize("name", sorted(tables.ALL))
def test_each_check_refuses_exactly_the_row_that_breaks_it(spark, name):
    table = tables.ALL[name]
    broken = [(words, variant(table, i, change)) for i, (words, change) in enumerate(BROKEN[name], start=1)]
    result = audit(table, frame(spark, table, [GOOD[name], *(row for _, row in broken)]), SUITES)

    assert result.refused is not None
    kept = result.good.select(F.lit(None).alias("rule"), F.col(table.key[0]).cast("string").alias("row_key"), F.lit("").alias("reason"))
    told_apart = result.refused.select("rule", "row_key", "reason").union(kept).collect()
    assert [row.row_key for row in told_apart if row.rule is None] == [str(GOOD[name][table.key[0]])]
    refused = {row.row_key: row for row in told_apart if row.rule is not None}
    assert set(refused) == {key_of(table, row) for _, row in broken}
    for words, row in broken:
        assert words in refused[key_of(table, row)].reason, refused[key_of(table, row)]
    exercised = {c["details"] for c in result.checks if any(c["details"] in row.reason for row in refused.values())}
    assert exercised >= {c.wanted for c in load_suite(table, SUITES).checks if c.by_row and c.name != "expect_column_values_to_not_be_null"}


def test_a_day_with_two_served_models_fails_as_a_whole(spark):
    two = [GOOD["ops.serving"], {**GOOD["ops.serving"], "data_date": DAY + timedelta(days=1)}]
    result = audit(tables.SERVING, frame(spark, tables.SERVING, two), SUITES)
    assert result.failed_table_checks == ["ops.serving: a day has one served model, but there are 2 rows"]
    assert result.refused is None


def write_suite(folder: Path, text: str) -> Path:
    (folder / "bronze.items.yml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("checks: []", "must hold one list named expectations"),
        ("expectations: [{type: expect_column_values_to_be_null}]", "an expectation has type and kwargs"),
        ("expectations: [{type: expect_wonders, kwargs: {column: title}}]", "expect_wonders"),
        (
            "expectations: [{type: expect_column_values_to_be_null, kwargs: {column: price}}]",
            "names price; the table's columns are item_id, title",
        ),
        ("expectations: [{type: expect_column_values_to_be_between, kwargs: {column: title, least: 3}}]", "least"),
        (
            "expectations: [{type: expect_column_values_to_be_null, kwargs: {column: title, row_condition: 'a > 1'}}]",
            "row_condition",
        ),
        ("expectations: [", "can't be read"),
    ],
)
def test_a_wrong_suite_is_named_with_its_file(tmp_path, text, message):
    with pytest.raises(SettingsError, match=r"bronze\.items\.yml") as error:
        load_suite(tables.ITEMS, write_suite(tmp_path, text))
    assert message in str(error.value)


def test_a_table_without_a_suite_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match=r"bronze\.items has no suite of expectations: .*No such file"):
        load_suite(tables.ITEMS, tmp_path)


def test_a_suite_that_was_edited_is_read_again(tmp_path):
    before = load_suite(tables.ITEMS, write_suite(tmp_path, "expectations: []"))
    after = load_suite(
        tables.ITEMS, write_suite(tmp_path, "expectations: [{type: expect_column_values_to_be_null, kwargs: {column: title}}]")
    )
    assert len(after.checks) == len(before.checks) + 1
