"""What a model said, by the labels of the tree as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from reelhouse import tables
from reelhouse.labels.predicted import follow_top, followed, names_of
from tests.labelling.planted import MOVED

NAMES = names_of(MOVED)
TOP = "video_id string, task string, top array<struct<label_id:string,path:string,probability:double>>"
# what was said -> what it is now, by hand: pasta was renamed to noodles, hamsters and pets became pets, drones ended
CASES = {
    "as it was": ([("food.baking", 0.6), ("pets", 0.3)], [("food.baking", "美食/烘焙", 0.6), ("pets", "宠物", 0.3)]),
    "renamed": ([("food.pasta", 0.75)], [("food.noodles", "美食/面条", 0.75)]),
    "merged, and now the best": (
        [("sport", 0.4), ("hamsters", 0.375), ("pets", 0.125)], [("pets", "宠物", 0.5), ("sport", "运动", 0.4)],
    ),
    "ended": ([("drones", 0.5), ("sport", 0.25)], [("sport", "运动", 0.25)]),
    "nothing left": ([("drones", 0.5), ("never there", 0.25)], []),
    "empty": ([], []),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_labels_are_what_they_became(case: str) -> None:
    said, now = CASES[case]
    assert follow_top(said, NAMES) == now


@given(st.lists(st.tuples(st.sampled_from([*MOVED.ids, *MOVED.moves, "?"]), st.floats(0, 1)), unique_by=lambda one: one[0]))
def test_nothing_is_lost_but_what_ended_and_each_label_comes_once_in_order(top: list[tuple[str, float]]) -> None:
    found = follow_top(top, NAMES)
    labels, paths, chances = zip(*found, strict=True) if found else ((), (), ())
    assert sum(chances) == pytest.approx(sum(p for label, p in top if MOVED.follow(label) is not None))
    assert set(labels) == {MOVED.follow(label) for label, _ in top} - {None}
    assert len(set(labels)) == len(labels)
    assert list(chances) == sorted(chances, reverse=True)
    assert list(paths) == [MOVED.path(label) for label in labels]


def test_on_spark_it_is_the_same_by_the_table_of_the_trees(spark: SparkSession) -> None:
    tree = spark.createDataFrame(MOVED.rows(), tables.TAXONOMY.spark_schema("data_date"))
    rows = [(case, "category", [(label, "as it was", p) for label, p in said]) for case, (said, _) in CASES.items()]
    said = spark.createDataFrame([*rows, ("null", "category", None), ("other", "domain", rows[0][2])], TOP)
    found = {row.video_id: row.top and [tuple(one) for one in row.top] for row in followed(said.repartition(2), tree).collect()}
    assert found == {case: now for case, (_, now) in CASES.items()} | {"null": None, "other": []}
