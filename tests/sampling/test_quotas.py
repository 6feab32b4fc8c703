"""Roots of predicted labels and shares of a batch."""

import datetime as dt

import numpy as np

from reelhouse.sampling.quotas import kinds_of, roots_of, share_quota

TOP = "array<struct<label_id:string,path:string,probability:double>>"


def test_each_video_is_below_the_root_of_its_best_label(spark):
    tree = spark.createDataFrame(
        [
            ("category", "food", [], "food", []),
            ("category", "food.cake", ["food"], "food/cake", ["food.tart", "torte"]),
            ("category", "food.cake.pie", ["food.cake", "food"], "food/cake/pie", None),
            ("domain", "food", ["other"], "other/food", ["food.wine"]),
        ],
        "task string, label_id string, ancestors array<string>, path string, former_ids array<string>",
    )
    best = {"root": "food", "leaf": "food.cake", "deep": "food.cake.pie", "gone": "food.wine", "moved": "torte"}
    rows = [(video, "category", [(label, "", 0.6)]) for video, label in best.items()]
    rows.append(("gone, then another", "category", [("food.wine", "", 0.6), ("food.tart", "", 0.4)]))
    said = spark.createDataFrame(
        [*rows, ("nothing", "category", []), ("null", "category", None)], f"video_id string, task string, top {TOP}"
    )
    roots = roots_of(said, tree)
    ids = np.array(["deep", "gone", "gone, then another", "leaf", "moved", "nothing", "null", "root", "unknown"])
    assert kinds_of(ids, roots, "root").tolist() == ["food", None, "food", "food", "food", None, None, "food", None]


def test_a_share_of_the_budget_is_a_number_of_places_and_those_of_no_kind_are_free():
    kinds = np.array(["a", None, "b", "a", None], object)
    quota = share_quota(kinds, 10, 0.3)
    assert quota.places[quota.kind].tolist() == [3, 10, 3, 3, 10]
    assert quota.kind[0] == quota.kind[3] != quota.kind[2]
    days = share_quota(np.array([dt.date(2026, 1, 2), dt.date(2026, 1, 3)], object), 20, 0.35)
    assert days.places[days.kind].tolist() == [7, 7], "not 6, as the product of the two in floating point would have it"
    assert share_quota(kinds, 2, 0.1).places.tolist() == [2, 1, 1], "one place at least"
    assert share_quota(np.zeros(0, object), 5, 0.5).kind.tolist() == []
