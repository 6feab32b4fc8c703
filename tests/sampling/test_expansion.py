"""What items say of labels: precisions by hand and against statsmodels' formula, the mapping, and candidates on Spark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from scipy.stats import binomtest

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.labels import Taxonomy
from reelhouse.sampling.expansion import Expansion, Inputs, expand, learn_mapping, precision_low, reason_of
from reelhouse.tables import Table
from tests.jobs.small_lake import TREE


@given(st.integers(1, 500), st.floats(0, 1))
def test_the_lower_end_is_scipys(of: int, share: float) -> None:
    right = round(of * share)
    oracle = binomtest(right, of).proportion_ci(confidence_level=0.9, method="wilson").low
    assert precision_low(np.array([right]), np.array([of]))[0] == pytest.approx(oracle, abs=1e-4)


def test_the_lower_end_by_hand() -> None:
    # (p + z^2/2n - z sqrt(p (1 - p) / n + z^2 / 4 n^2)) / (1 + z^2 / n) with z = 1.645; with p = 1 it is n / (n + z^2)
    assert precision_low(np.array([1, 2, 10, 0]), np.array([1, 2, 10, 0])).tolist() == pytest.approx([0.2699, 0.4250, 0.7870, 0], abs=1e-4)


def counts(*rows: tuple[str, str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["item_category", "label_id", "videos", "labelled_videos"])


def test_a_category_speaks_for_a_label_once_it_is_surely_right_often_enough() -> None:
    found = learn_mapping(
        counts(("a", "x", 1, 1), ("b", "x", 2, 2), ("c", "x", 3, 4), ("c", "y", 1, 4), ("d", "y", 5, 5), ("a/a", "x", 2, 2)), 0.3
    )
    assert found[["item_category", "label_id"]].to_numpy().tolist() == [["d", "y"], ["a/a", "x"], ["b", "x"], ["c", "x"]]
    assert found["precision"].tolist() == [1.0, 1.0, 1.0, 0.75]
    assert found["precision_low"].tolist() == pytest.approx([0.6489, 0.4250, 0.4250, 0.3561], abs=1e-4)
    assert learn_mapping(counts(), 0.3).empty


@pytest.fixture(scope="module")
def world(spark: SparkSession) -> dict[Table, DataFrame]:
    """Cups mean baking (3 of 3), pots noodles (2 of 3), balls sport, of which there are many; the kitchen holds cups and pots."""
    labelled = {
        "l1": ("food.baking", "cup"), "l2": ("food.baking", "cup"), "l3": ("food.baking", "mug"), "l4": ("food.noodles", "pot"),
        "l5": ("food.noodles", "pot"), "l6": ("sport", "pot"), "l7": ("sport", "ball"), "l8": ("sport", "ball"), "l9": ("sport", "ball"),
        "m1": ("sport", None), "m2": ("food", "cup"),
    }  # fmt: skip
    free = {
        "n1": "cup",
        "n2": "pot",
        "n3": "mug",
        "n4": "ball",
        "n5": "cup",
        "n6": "cup",
        "n7": "pot",
        "n8": None,
        "n9": "stone",
        "gone": "cup",
    }
    items = [
        ("cup", "kitchen / cups"),
        ("mug", "kitchen/cups//"),
        ("pot", "kitchen/pots"),
        ("ball", "sports"),
        ("stone", None),
        ("x", " / "),
    ]
    arrived = {v: item for v, (_, item) in labelled.items()} | free
    rows: dict[Table, list[dict[str, Any]]] = {
        tables.ITEMS: [{"item_id": i, "category_path": path} for i, path in items],
        tables.VIDEO_ARRIVALS: [{"video_id": v, "hashtags": [], "item_ids": [i, i, "unknown"] if i else []} for v, i in arrived.items()],
        tables.VIDEOS: [{"video_id": v} for v in arrived if v != "gone"],  # its file was refused
        tables.COPIES: [{"video_id": v, "copy_group": group} for v, group in (("n1", "n1"), ("n5", "n1"), ("n6", "l1"), ("l1", "l1"))],
        tables.LABELS: [
            *({"video_id": v, "task": "category", "label_id": label, "answer": 1} for v, (label, _) in labelled.items()),
            {"video_id": "n1", "task": "category", "label_id": "pets", "answer": -1},
            {"video_id": "n1", "task": "other", "label_id": "pets", "answer": 1},
        ],
    }  # fmt: skip
    made = {table: frame(spark, table, records) for table, records in rows.items()}
    return made | {tables.TAXONOMY: spark.createDataFrame(Taxonomy.from_dict(TREE).rows(), tables.TAXONOMY.spark_schema("data_date"))}


def frame(spark: SparkSession, table: Table, records: Sequence[dict[str, Any]]) -> DataFrame:
    named = list(records[0])
    schema = tables.Table.spark_schema(table, *(name for name in table.names if name not in named))
    return spark.createDataFrame([tuple(r[f.name] for f in schema) for r in records], schema)


def expanded(world: dict[Table, DataFrame], count: int, settled: Sequence[str], **values: Any) -> Expansion:
    settings = settings_module.load(values={"sampling.rare_labels": 4} | values).sampling
    spark = world[tables.ITEMS].sparkSession
    done = spark.createDataFrame([(v,) for v in settled], "video_id string")
    return expand(Inputs.of(world.__getitem__, world[tables.LABELS], world[tables.COPIES], done), settings, count)


SETTLED = ("l1", "l2", "l3", "l4", "l5", "l6", "l7", "l8", "l9", "m1", "m2")


def test_the_mapping_counts_each_level_and_only_leaf_labels(world: dict[Table, DataFrame]) -> None:
    found = expanded(world, 5, SETTLED).mapping
    rows = found[["item_category", "label_id", "videos", "labelled_videos", "label_videos", "is_rare"]].to_numpy().tolist()
    assert rows == [
        ["kitchen/cups", "food.baking", 3, 3, 3, True],
        ["sports", "sport", 3, 3, 5, False],
    ]  # kitchen: 3 of 6 for baking has .23; kitchen/pots: 2 of 3 for noodles has .25


def test_candidates_are_rare_labels_in_turn_and_no_copies(world: dict[Table, DataFrame]) -> None:
    found = expanded(world, 5, SETTLED, **{"sampling.item_precision_min": 0.25}).found
    # noodles have two labels, baking three; of n1 and n5 one; n6 is a copy of what is labelled; n4 speaks for sport, which isn't rare
    assert found[["video_id", "label_id"]].to_numpy().tolist() == [
        ["n2", "food.noodles"], ["n1", "food.baking"], ["n7", "food.noodles"], ["n3", "food.baking"],
    ]  # fmt: skip
    assert reason_of(next(found.itertuples())) == (
        "its item is of category kitchen/pots, which in 2 of 3 labelled videos meant 美食/面条, a label with few videos"
    )


def test_at_most_so_many_and_nothing_that_is_settled(world: dict[Table, DataFrame]) -> None:
    found = expanded(world, 1, (*SETTLED, "n2", "n5"), **{"sampling.item_precision_min": 0.25}).found
    assert found["video_id"].tolist() == ["n7"]  # n3 comes second; n1 is a copy of n5
    assert expanded(world, 5, SETTLED, **{"sampling.rare_labels": 0}).found.empty


def test_without_items_there_is_nothing_to_learn(world: dict[Table, DataFrame]) -> None:
    found = expanded(world | {tables.ITEMS: world[tables.ITEMS].limit(0)}, 5, ())
    assert found.mapping.empty
    assert found.found.empty
    assert {"is_rare", "label_videos", "precision_low"} <= set(found.mapping.columns)


def test_the_order_and_partitions_of_rows_change_nothing(world: dict[Table, DataFrame]) -> None:
    low = {"sampling.item_precision_min": 0.25}
    first = expanded(world, 5, SETTLED, **low)
    again = expanded({t: f.repartition(3).orderBy(f.columns[0], ascending=False) for t, f in world.items()}, 5, SETTLED, **low)
    pd.testing.assert_frame_equal(first.mapping, again.mapping)
    pd.testing.assert_frame_equal(first.found, again.found)
