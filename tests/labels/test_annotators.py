"""Agreement and confusion from planted answers, on Spark: counted by hand, and against a second way."""

import datetime as dt
from collections import Counter

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from reelhouse.labels import Taxonomy
from reelhouse.labels.agreement import coincidences, krippendorff_alpha, pairs_of
from reelhouse.labels.annotators import agreement_rows, annotators, confusion, learn_crowds, shared_videos
from reelhouse.labels.reliability import Stance, learn_reliabilities

TREE = Taxonomy.from_dict(
    {
        "task": "category",
        "labels": [
            {"id": "food", "name": "f"},
            {"id": "tea", "parent": "food", "name": "t"},
            {"id": "cake", "parent": "food", "name": "c"},
            {"id": "pets", "name": "p"},
        ],
    }
)
TREES = {"category": TREE}
EVENT = "event_id string, video_id string, task string, label_id string, answer int, annotator_id string, answered_at timestamp, " \
    "batch string, source_row bigint, data_date date"  # fmt: skip


def events(spark: SparkSession, *rows: tuple[str, str, str, int]) -> DataFrame:
    """(video, label, annotator, answer), one after the other."""
    day = dt.date(2026, 1, 1)
    made = [(str(n), v, "category", label, answer, who, None, "b", n, day) for n, (v, label, who, answer) in enumerate(rows)]
    return spark.createDataFrame(made, EVENT)


def test_who_says_what_against_all_together(spark: SparkSession) -> None:
    answers = [
        *[(v, "tea", who, 1) for v in ("v1", "v2", "v3") for who in ("ann", "bob")],
        ("v1", "pets", "cy", 1), ("v2", "cake", "cy", 1), ("v3", "food", "cy", 1),
        ("v4", "pets", "ann", 1), ("v4", "pets", "bob", 1), ("v4", "pets", "cy", 1),
        ("v5", "tea", "ann", 1),  # alone
        ("v6", "tea", "ann", 1), ("v6", "tea", "manifest", 1),  # with nobody but the manifest
        ("v7", "tea", "ann", 1), ("v7", "pets", "bob", 1),  # a tie: nothing is agreed
        ("v8", "tea", "ann", 1), ("v8", "tea", "bob", 1), ("v8", "pets", "cy", 0),  # Cy chose nothing
    ]  # fmt: skip
    shared = shared_videos(events(spark, *answers), TREES)
    assert sorted(row.video_id for row in shared.collect()) == ["v1", "v2", "v3", "v4", "v7", "v8"]
    confused = confusion(shared, TREES, 0.6, {})
    assert sorted((r.annotator_id, r.label_id, r.given_label_id, r.is_consistent, r.videos) for r in confused.collect()) == [
        ("ann", "pets", "pets", True, 1),
        ("ann", "tea", "tea", True, 4),
        ("bob", "pets", "pets", True, 1),
        ("bob", "tea", "tea", True, 4),
        ("cy", "pets", "pets", True, 1),
        ("cy", "tea", "cake", False, 1),
        ("cy", "tea", "food", True, 1),
        ("cy", "tea", "pets", False, 1),
    ]
    rows = {row.annotator_id: row.asDict() for row in annotators(confused, {}).collect()}
    assert rows["cy"] == {
        "annotator_id": "cy", "task": "category", "settled_videos": 4, "agreed_videos": 2, "agreement": 0.5,
        "sensitivity": pytest.approx((1 + 1 / 3) / 2), "reliability": None, "learned_from": 0,
        "confused_label_id": "tea", "confused_given_label_id": "cake", "confused_videos": 1,
    }  # fmt: skip
    assert (rows["ann"]["agreement"], rows["ann"]["confused_label_id"], rows["ann"]["confused_videos"]) == (1.0, None, 0)
    units = [["tea", "tea", "pets"], ["tea", "tea", "cake"], ["tea", "tea", "food"], ["pets"] * 3, ["tea", "pets"], ["tea", "tea"]]
    whole = agreement_rows(shared, TREES)
    assert whole[0] == {
        "task": "category", "domain": "*", "path": None, "alpha": krippendorff_alpha(coincidences(pairs_of(units))), "answers": 16
    }  # fmt: skip
    assert [(row["domain"], row["path"], row["answers"]) for row in whole[1:]] == [("food", "f", 11), ("pets", "p", 5)]


def test_reliabilities_are_learned_from_what_people_say_and_from_no_more_videos_than_allowed(spark: SparkSession) -> None:
    rng = np.random.default_rng(0)
    said = [(f"v{v}", TREE.ids[rng.integers(4)], who, 1) for v in range(40) for who in ("ann", "bob", "cy")]
    shared = shared_videos(events(spark, *said).repartition(3), TREES)
    crowds, left_out = learn_crowds(shared, TREES, 0.9, 100)
    stances = [[Stance(who, label) for v, label, who, _ in said if v == f"v{n}"] for n in range(40)]
    assert (crowds["category"].reliabilities, crowds["category"].confidence_min, left_out) == (learn_reliabilities(stances, TREE), 0.9, 0)
    few, left_out = learn_crowds(shared, TREES, 0.9, 15)
    assert left_out == 25
    assert {r.answers for r in few["category"].reliabilities.values()} == {15}
    rows = {row.annotator_id: row for row in annotators(confusion(shared, TREES, 0.6, crowds), crowds).collect()}
    assert {who: (row.reliability, row.learned_from) for who, row in rows.items()} == {
        who: (r.probability, 40) for who, r in crowds["category"].reliabilities.items()
    }


def test_no_shared_videos_give_no_rows(spark: SparkSession) -> None:
    shared = shared_videos(events(spark, ("v1", "tea", "ann", 1), ("v1", "pets", "ann", 0)), TREES)
    crowds, _ = learn_crowds(shared, TREES, 0.9, 10)
    assert Counter(crowds["category"].reliabilities) == {}
    assert confusion(shared, TREES, 0.6, crowds).collect() == agreement_rows(shared, TREES) == []
