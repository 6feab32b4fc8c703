"""Names for analysts stand for what the lake holds now."""

import pytest

from reelhouse import tables
from reelhouse.errors import StorageError
from reelhouse.lake import catalog
from tests.jobs.small_lake import DAY, NEXT, SmallLake

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


def test_only_the_view_of_takedowns_shows_videos_taken_down():
    comments = catalog.names()
    assert comments["bronze.deletions_current"] == "Newest state of bronze.deletions."
    assert comments["silver.videos_current"] == catalog.view_of("silver.videos_current")[0]
    assert comments["silver.videos_current"] == "Newest state of silver.videos, without videos taken down."


def test_a_video_taken_down_is_named_by_no_other_rows_view_and_the_keys_of_groups_stay(spark, tmp_path):
    made = SmallLake(spark, tmp_path)
    facts = {"name": "n", "size": 1, "previous_size": 1, "change": "kept", "first_seen": DAY}
    clusters = [("c1", "gone"), ("c2", "a"), ("c3", None)]
    made.write(tables.CLUSTER_DAYS, [{"cluster_id": c, "exemplar_video_id": v, **facts} for c, v in clusters])
    facts = {"miner": "phrases", "count": 3, "document_count": 3}
    phrases = [("t", ["b", "gone", "a"]), ("u", [])]
    made.write(tables.TAG_CANDIDATES, [{"phrase": p, "example_video_ids": v, **facts} for p, v in phrases])
    copies = [("gone", "gone", None), ("a", "gone", "gone"), ("b", "gone", "a")]
    made.write(tables.COPIES, [{"video_id": v, "copy_group": g, "matched_video_id": m} for v, g, m in copies])
    names = ("gold.cluster_days_current", "gold.tag_candidates_current", "silver.copies_current")
    questions = [
        f"SELECT cluster_id, exemplar_video_id FROM {names[0]} ORDER BY 1",
        f"SELECT phrase, example_video_ids FROM {names[1]} ORDER BY 1",
        f"SELECT video_id, copy_group, matched_video_id FROM {names[2]} ORDER BY 1",
    ]

    def answers():
        return [tuple(row) for question in questions for row in made.lake.spark.sql(question).collect()]

    catalog.register(made.lake, " ".join(questions))
    assert answers() == [*clusters, *phrases, ("a", "gone", "gone"), ("b", "gone", "a"), ("gone", "gone", None)]
    made.write(tables.DELETIONS, [deletion("gone")], DAY)
    made.write(tables.DELETIONS, [deletion("gone")], NEXT)  # asked for twice: no row comes twice
    catalog.register(made.lake, " ".join(questions))
    assert answers() == [("c1", None), ("c2", "a"), ("c3", None), ("t", ["b", "a"]), ("u", []), ("a", "gone", None), ("b", "gone", "a")]
    for name, table in zip(names, (tables.CLUSTER_DAYS, tables.TAG_CANDIDATES, tables.COPIES), strict=True):
        shown = spark.table(name).schema
        assert [(field.name, field.metadata["comment"]) for field in shown] == [(c.name, c.comment) for c in table.columns]


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
