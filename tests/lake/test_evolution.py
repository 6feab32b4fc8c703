"""A lake of an earlier version: what its tables lack is added once, and everything that reads them works."""

import datetime as dt

from reelhouse import tables
from reelhouse.lake import Lake, add_missing_columns, catalog
from tests.planting import write_rows

DAY = dt.date(2026, 1, 2)
ROW = {"model_version": "a", "snapshot_id": "s", "decision": "promoted", "reason": "why"}


def test_a_column_that_came_later_is_added_once_and_is_empty_in_old_rows(spark, lake):
    lacking = tables.PROMOTIONS.spark_schema("decided_at")
    old = spark.createDataFrame([("a", "s", "promoted", "gates", None, "why", DAY)], lacking)
    old.write.format("delta").partitionBy("data_date", "decided_by").save(lake.path(tables.PROMOTIONS))
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
    assert spark.sql("select count(*) from ops.promotions").first()[0] == 2


def test_where_there_is_no_lake_none_is_made(lake, tmp_path):
    assert add_missing_columns(lake) == []
    assert not (tmp_path / "warehouse").exists()
