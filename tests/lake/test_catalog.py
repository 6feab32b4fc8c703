"""Names for analysts stand for what the lake holds now."""

import pytest

from reelhouse import tables
from reelhouse.errors import StorageError
from reelhouse.lake import catalog
from tests.jobs.small_lake import DAY, SmallLake

NAMES = ("bronze.deletions", "bronze.deletions_current")


def deletion(video_id):
    return {"video_id": video_id, "reason": "r", "requested_by": "p"}


def answers(lake, name):
    catalog.register(lake, f"SELECT * FROM {name}")
    return sorted(r.video_id for r in lake.spark.sql(f"SELECT video_id FROM {name}").collect())


@pytest.mark.parametrize("name", NAMES)
def test_a_table_that_is_written_after_it_was_asked_for_is_seen(spark, tmp_path, name):
    made = SmallLake(spark, tmp_path)
    assert answers(made.lake, name) == []
    made.write(tables.DELETIONS, [deletion("a")], DAY)
    assert answers(made.lake, name) == ["a"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_one_session_are_those_of_the_lake_that_was_registered_last(spark, tmp_path, name):
    lakes = [SmallLake(spark, tmp_path / part) for part in ("full", "other", "empty")]
    for made, video_id in zip(lakes, "ab", strict=False):
        made.write(tables.DELETIONS, [deletion(video_id)], DAY)
    for made, expected in zip([*lakes, lakes[0]], (["a"], ["b"], [], ["a"]), strict=True):
        assert answers(made.lake, name) == expected


def test_registering_again_leaves_names_and_files_as_they_are(spark, tmp_path):
    made = SmallLake(spark, tmp_path)
    made.write(tables.DELETIONS, [deletion("a")], DAY)
    assert answers(made.lake, NAMES[0]) == ["a"]
    created = [r.data_type for r in spark.sql(f"DESCRIBE TABLE EXTENDED {NAMES[0]}").collect() if r.col_name == "Location"]
    assert answers(made.lake, NAMES[0]) == ["a"]
    assert created == [f"file:{made.lake.path(tables.DELETIONS)}"]


def test_a_table_of_that_name_that_the_catalog_owns_is_an_error_and_keeps_its_rows(spark, tmp_path):
    made = SmallLake(spark, tmp_path)
    catalog.register(made.lake, "SELECT * FROM gold.clusters")  # whatever the session knew by that name: an empty view now
    spark.sql("DROP VIEW gold.clusters")
    spark.sql("CREATE TABLE gold.clusters USING parquet AS SELECT 7 AS theirs")
    try:
        with pytest.raises(StorageError, match=r"the catalog's own table gold\.clusters is not Reelhouse's"):
            catalog.register(made.lake, "SELECT * FROM gold.clusters")
        assert [r.theirs for r in spark.sql("SELECT * FROM gold.clusters").collect()] == [7]
    finally:
        spark.sql("DROP TABLE gold.clusters")
