"""Whether a model's uncertainty says where it errs: the test by hand, and the held-out answers on Spark."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pyspark.sql import SparkSession
from sklearn.metrics import roc_auc_score

from reelhouse import tables
from reelhouse.labels import Taxonomy
from reelhouse.sampling.cold_start import Trust, held_out_answers, trust_in
from tests.jobs.small_lake import TREE
from tests.labelling.planted import MOVED


def test_three_errors_that_are_all_less_sure_than_three_right_answers() -> None:
    found = trust_in(np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1]), np.array([True, True, True, False, False, False]))
    assert found == Trust(6, 3, 1.0, pytest.approx(1 / math.comb(6, 3)))  # one order of twenty


def test_one_error_among_few_proves_nothing() -> None:
    found = trust_in(np.array([0.9, 0.3, 0.2, 0.1]), np.array([True, False, False, False]))
    assert (found.auroc, found.p) == (1.0, pytest.approx(1 / 4))


@pytest.mark.parametrize("errors", [[], [True, True], [False, False]])
def test_without_errors_and_right_answers_there_is_nothing_to_tell_apart(errors: list[bool]) -> None:
    found = trust_in(np.full(len(errors), 0.5), np.array(errors, bool))
    assert (found.rows, found.errors, found.p) == (len(errors), sum(errors), 1.0)
    assert math.isnan(found.auroc)


def test_the_auroc_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    errors = rng.random(300) < 0.4
    uncertainty = np.round(rng.normal(errors * 0.8, 1), 1)  # with ties
    found = trust_in(uncertainty, errors)
    assert found.auroc == pytest.approx(roc_auc_score(errors, uncertainty))
    assert found.p < 1e-6
    assert trust_in(-uncertainty, errors).p > 0.99


def test_uncertainty_that_says_nothing_is_believed_as_seldom_as_the_level_says() -> None:
    rng = np.random.default_rng(1)
    believed = [trust_in(rng.random(40), rng.random(40) < 0.5).p <= 0.05 for _ in range(600)]
    assert np.mean(believed) == pytest.approx(0.05, abs=0.025)


def test_answers_that_the_model_was_not_taught(spark: SparkSession) -> None:
    def top(*best: tuple[str, float]) -> list[tuple[str, str, float]]:
        return [(label, label, p) for label, p in best]

    predicted = {
        "right": top(("food.baking", 0.7), ("pets", 0.2)),
        "deeper": top(("food", 0.6), ("pets", 0.3)),  # people gave one below it
        "wrong": top(("pets", 0.5), ("food", 0.5)),
        "above": top(("food.baking", 0.9)),  # people only gave the label above it
        "other": top(("food.baking", 0.5), ("pets", 0.25)),  # ... and here of another branch
        "alone": top(("pets", 0.75)),
        "silent": [],
        "taught": top(("pets", 0.9)),
        "unlabelled": top(("pets", 0.9)),
        "no": top(("pets", 0.9)),
    }
    given = [
        ("right", "food.baking", 1), ("right", "food", 1), ("deeper", "food.noodles", 1), ("wrong", "food", 1), ("above", "food", 1),
        ("other", "sport", 1), ("alone", "pets", 1), ("silent", "pets", 1), ("taught", "pets", 1), ("no", "pets", 0),
        ("unlabelled", "pets", -1),
    ]  # fmt: skip
    predictions = spark.createDataFrame(list(predicted.items()), _PREDICTED)
    labels = spark.createDataFrame(
        [(v, "category", label, a) for v, label, a in given], "video_id string, task string, label_id string, answer int"
    )
    tree = spark.createDataFrame(Taxonomy.from_dict(TREE).rows(), tables.TAXONOMY.spark_schema("data_date"))
    taught = spark.createDataFrame([("taught",)], "video_id string")
    rows = held_out_answers("category", predictions, labels, tree, taught).collect()
    found = {r.video_id: r.is_error for r in rows}
    assert len(rows) == len(found)
    assert found == {"right": False, "deeper": False, "wrong": True, "other": True, "alone": False}


def test_what_was_predicted_by_a_former_label_is_judged_by_what_it_became(spark: SparkSession) -> None:
    predicted = {
        "renamed": [("food.pasta", "", 0.75), ("sport", "", 0.125)],
        "merged": [("sport", "", 0.375), ("hamsters", "", 0.25), ("pets", "", 0.25)],
        "ended": [("drones", "", 0.5), ("sport", "", 0.375), ("pets", "", 0.125)],
        "nothing left": [("drones", "", 0.5)],
    }
    given = {"renamed": "food.noodles", "merged": "pets", "ended": "pets", "nothing left": "pets"}
    labels = spark.createDataFrame(
        [(v, "category", label, 1) for v, label in given.items()], "video_id string, task string, label_id string, answer int"
    )
    tree = spark.createDataFrame(MOVED.rows(), tables.TAXONOMY.spark_schema("data_date"))
    taught = spark.createDataFrame([], "video_id string")
    rows = held_out_answers("category", spark.createDataFrame(list(predicted.items()), _PREDICTED), labels, tree, taught).collect()
    assert {r.video_id: r.is_error for r in rows} == {"renamed": False, "merged": False, "ended": True}


_PREDICTED = "video_id string, top array<struct<label_id:string,path:string,probability:double>>"
