"""A lake of an earlier version: what its tables lack is added once, and everything that reads them works."""

import datetime as dt
import re
from pathlib import Path

import pytest

from reelhouse import tables
from reelhouse.lake import Lake, add_missing_columns, catalog
from tests.planting import write_rows
from tests.typed import typing_in

DAY = dt.date(2026, 1, 2)


@pytest.fixture
def earlier(spark, lake):
    """A lake whose promotions were written before they said when they were decided."""
    old = spark.createDataFrame([("a", "s", "promoted", "gates", None, "why", DAY)], tables.PROMOTIONS.spark_schema("decided_at"))
    old.write.format("delta").partitionBy("data_date", "decided_by").save(lake.path(tables.PROMOTIONS))
    write_rows(lake, tables.RUNS, [RUN], {"data_date": DAY})
    return lake


RUN = {
    "run_id": "r", "job": "ingest", "status": "succeeded", "started_at": dt.datetime(2026, 1, 2, 2), "settings_hash": "s",
    "code_version": "c", "seconds": 1.0, "rows_in": 0, "rows_out": 0, "quarantined": 0,
}  # fmt: skip
ROW = {"model_version": "a", "snapshot_id": "s", "decision": "promoted", "reason": "why"}


def test_a_column_that_came_later_is_added_once_and_is_empty_in_old_rows(spark, earlier):
    lake = earlier
    files = lake.files(tables.PROMOTIONS, {})
    assert add_missing_columns(lake) == ["ops.promotions.decided_at"]
    assert add_missing_columns(lake) == []
    assert lake.files(tables.PROMOTIONS, {}) == files
    again = Lake(spark, lake.root)
    assert [(r.model_version, r.decided_by, r.decided_at) for r in again.read(tables.PROMOTIONS).collect()] == [("a", "gates", None)]
    at = dt.datetime(2026, 1, 2, 9)
    write_rows(again, tables.PROMOTIONS, [{**ROW, "decided_by": "zoe", "decided_at": at}], {"data_date": DAY, "decided_by": "zoe"})
    assert sorted((r.decided_by, r.decided_at) for r in again.read(tables.PROMOTIONS).collect()) == [("gates", None), ("zoe", at)]
    catalog.register(again, "select * from ops.promotions_current")
    assert spark.sql("select count(*) from ops.promotions_current").first()[0] == 2
    assert spark.sql("select count(*) from ops.promotions").first()[0] == 2


def test_who_only_reads_sees_such_a_column_as_null_and_changes_nothing(spark, earlier, tmp_path, monkeypatch):
    def files():
        return {path: path.read_bytes() for path in Path(earlier.root).rglob("*") if path.is_file()}

    before = files()
    assert earlier.read(tables.PROMOTIONS, "decided_at is null").count() == 1
    typed = typing_in(tmp_path, spark, monkeypatch)
    said = typed("sql", "select model_version, decided_at from ops.promotions", "--root", earlier.root).output
    assert re.search(r"\ba +│ *$", said, re.MULTILINE), said
    assert "promoted" in typed("status", "--root", earlier.root).output
    typed("report", "--date", str(DAY), "--root", earlier.root, "--into", str(tmp_path / "report"))
    assert files() == before


def test_where_there_is_no_lake_none_is_made(lake, tmp_path):
    assert add_missing_columns(lake) == []
    assert not (tmp_path / "warehouse").exists()
