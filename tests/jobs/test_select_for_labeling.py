"""select_for_labeling on a real lake, and its builder by hand."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from pyspark.sql import SparkSession

from jobs import select_for_labeling
from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.run import StepAside
from reelhouse.sampling import STRATEGIES
from tests.jobs.small_lake import DAY, NEXT, SmallLake, _label


def top(first: float, second: float) -> list[dict]:
    return [
        {"label_id": "pets", "path": "宠物", "probability": first},
        {"label_id": "food.baking", "path": "美食/烘焙", "probability": second},
    ]


@pytest.mark.parametrize(("strategy", "chosen"), [("margin", ["b", "d"]), ("entropy", ["b", "d"]), ("coreset", ["e", "b"])])
def test_the_builder_leaves_out_what_is_settled_and_copies(strategy: str, chosen: list[str]) -> None:
    settings = settings_module.load(values={"sampling.active_budget": 2, "sampling.strategy": strategy}).sampling
    ids, groups = np.array(list("abcde")), np.array([0, 1, 1, 3, 4])
    vectors = np.array([[0.0], [3.0], [3.1], [1.0], [9.0]])
    tops = [top(0.5, 0.5), top(0.5, 0.4), top(0.5, 0.5), top(0.6, 0.3), top(0.9, 0.1)]
    batch = select_for_labeling.build(ids, vectors, tops, groups, np.array([True, False, False, False, False]), settings, seed=1)
    assert batch["video_id"].tolist() == chosen
    assert batch["rank"].tolist() == [1, 2]
    assert batch["is_random"].tolist() == [False, False]
    if strategy == "margin":
        assert batch["reason"].tolist() == [
            "the model is unsure: 宠物 (50%) or 美食/烘焙 (40%)",
            "the model is unsure: 宠物 (60%) or 美食/烘焙 (30%)",
        ]


def test_every_strategy_can_be_set() -> None:
    assert set(get_args(settings_module.SamplingSettings.model_fields["strategy"].annotation)) == set(STRATEGIES)


def test_probabilities_are_rebuilt_from_the_best_labels() -> None:
    one = [{"label_id": "b", "path": "b", "probability": 1.0}]
    matrix = select_for_labeling.sparse_probabilities([top(0.7, 0.2), [], one])
    assert matrix.toarray().tolist() == [[0.0, 0.2, 0.7, 0.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> SmallLake:
    """Yesterday m1 was served: v000 .. v019 are predicted, the lower the number the less sure; v000 .. v003 are labelled."""
    lake = SmallLake(spark, tmp_path, sampling__cold_start_labels=4, sampling__active_budget=3, sampling__strategy="margin")
    serving = {"embedding_collection": "e", "hash_collection": "h", "videos": 20}
    lake.write(tables.SERVING, [{"model_version": "m1", **serving}])
    lake.write(tables.SERVING, [{"model_version": "m2", **serving}], NEXT)
    names = [f"v{i:03d}" for i in range(20)]
    for version, names_of in (("m1", names), ("m2", names[::-1])):
        predicted = [
            {"video_id": v, "model_version": version, "task": "category", "top": [tuple(e.values()) for e in top(0.5 + i / 50, 0.1)]}
            for i, v in enumerate(names_of)
        ]
        lake.write(tables.PREDICTIONS, predicted, model_version=version)
        vectors = [{"video_id": v, "model_version": version, "vector": [1.0, float(i)]} for i, v in enumerate(names)]
        lake.write(tables.EMBEDDINGS, vectors, model_version=version)
    lake.arrive(names)
    lake.write(tables.LABELS, [_label(v, "pets") for v in names[:4]])
    return lake


def test_the_least_sure_videos_of_yesterdays_model_that_are_not_settled(lake: SmallLake) -> None:
    queued = {"task": "category", "rank": 1, "reason": "r", "is_random": False}
    lake.write(tables.SAMPLE_BATCH, [{"video_id": "v005", **queued}], NEXT)
    lake.write(tables.ACTIVE_BATCH, [{"video_id": "v006", **queued}])
    lake.write(tables.LABEL_EXPORTS, [{"event_id": "x", "video_id": "v008", "task": "category", "batch": "b"}], NEXT, batch="b")
    lake.write(tables.COPIES, [{"video_id": "v009", "copy_group": "v007"}, {"video_id": "v004", "copy_group": "v000"}])

    record = lake.do(select_for_labeling, NEXT)

    rows = sorted(lake.rows(tables.ACTIVE_BATCH, NEXT), key=lambda r: r.rank)
    assert [(r.rank, r.video_id) for r in rows] == [(1, "v007"), (2, "v010"), (3, "v011")]
    assert rows[0].reason == "the model is unsure: 宠物 (64%) or 美食/烘焙 (10%)"
    assert rows[0].score == pytest.approx(1 - (0.64 - 0.26), abs=1e-6)  # two classes are known: the rest goes to none
    assert record.inputs["model_version"] == "m1", "not today's model"


def test_it_steps_aside_without_a_trained_model_and_with_few_labels(spark: SparkSession, tmp_path: Path, lake: SmallLake) -> None:
    with pytest.raises(StepAside, match="no trained model was served before this day"):
        select_for_labeling.main(lake.run("select_for_labeling", DAY))
    lake.write(tables.LABELS, [_label("v000", "pets")])
    with pytest.raises(StepAside, match=r"1 labelled videos, active learning starts at sampling\.cold_start_labels = 4"):
        select_for_labeling.main(lake.run("select_for_labeling", NEXT))
    lake.write(tables.SERVING, [{"model_version": "encoder-abc", "embedding_collection": "e", "hash_collection": "h", "videos": 1}])
    with pytest.raises(StepAside, match="no trained model was served before this day"):
        select_for_labeling.main(lake.run("select_for_labeling", NEXT))
