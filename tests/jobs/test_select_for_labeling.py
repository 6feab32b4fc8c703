"""select_for_labeling on a real lake, and its builder by hand."""

import datetime as dt
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pyspark.sql import SparkSession

from jobs import select_for_labeling
from reelhouse import tables
from reelhouse.labels import Taxonomy
from reelhouse.run import StepAside
from reelhouse.sampling import STRATEGIES
from reelhouse.sections import SamplingSettings
from tests.jobs.small_lake import DAY, NEXT, TREE, SmallLake, _features, _label


def top(first: float, second: float) -> list[dict]:
    return [
        {"label_id": "pets", "path": "宠物", "probability": first},
        {"label_id": "food.baking", "path": "美食/烘焙", "probability": second},
    ]


@pytest.mark.parametrize(("strategy", "chosen"), [("margin", ["b", "d"]), ("entropy", ["b", "d"]), ("coreset", ["e", "b"])])
def test_the_builder_leaves_out_what_is_settled_and_copies(strategy: str, chosen: list[str]) -> None:
    ids, groups = np.array(list("abcde")), np.array([0, 1, 1, 3, 4])
    vectors = np.array([[0.0], [3.0], [3.1], [1.0], [9.0]])
    tops = [top(0.5, 0.5), top(0.5, 0.4), top(0.5, 0.5), top(0.6, 0.3), top(0.9, 0.1)]
    settled = np.array([True, False, False, False, False])
    batch = select_for_labeling.build(ids, vectors, tops, groups, settled, "category", strategy, 2, seed=1)
    assert batch["video_id"].tolist() == chosen
    assert batch["rank"].tolist() == [1, 2]
    assert batch["is_random"].tolist() == [False, False]
    assert batch["expected_label_id"].tolist() == [None, None]
    if strategy == "margin":
        assert batch["reason"].tolist() == [
            "the model is unsure: 宠物 (50%) or 美食/烘焙 (40%)",
            "the model is unsure: 宠物 (60%) or 美食/烘焙 (30%)",
        ]


@pytest.mark.parametrize("strategy", ["margin", "random", "density", "uncertainty_by_cluster"])
def test_the_builder_takes_one_of_videos_of_one_vector_and_none_if_one_is_settled(strategy: str) -> None:
    vectors = np.eye(5, dtype=np.float32)[[0, 0, 1, 1, 2, 3, 4, 4]]
    tops, settled = [top(0.5, 0.5)] * 8, np.array([False] * 7 + [True])
    batch = select_for_labeling.build(np.array(list("abcdefgh")), vectors, tops, np.arange(8), settled, "category", strategy, 8, seed=1)
    assert sorted(batch["video_id"]) == ["a", "c", "e", "f"]


def test_by_density_it_does_not_matter_what_the_model_is_sure_of() -> None:
    vectors = np.array([[0.0], [0.1], [0.2], [0.3], [5.0], [5.1]])
    nothing = np.zeros(6, bool)
    sure, unsure = top(1.0, 0.0), top(0.5, 0.5)
    for tops in ([sure] * 4 + [unsure] * 2, [unsure] * 4 + [sure] * 2):
        batch = select_for_labeling.build(np.array(list("abcdef")), vectors, tops, np.arange(6), nothing, "category", "density", 1, seed=1)
        assert batch["video_id"].item() in ("b", "c"), "in the middle of the greater group"
        assert batch["reason"].item() == "stands for many videos of which none was labelled; the model can't tell yet where it errs"


def test_every_strategy_can_be_set_and_is_known_to_ask_for_certainty_or_not() -> None:
    assert set(get_args(SamplingSettings.model_fields["strategy"].annotation)) == set(STRATEGIES)
    assert set(STRATEGIES) - select_for_labeling.BY_UNCERTAINTY == {"random", "coreset", "typiclust"}


def test_probabilities_are_rebuilt_from_the_best_labels() -> None:
    one = [{"label_id": "b", "path": "b", "probability": 1.0}]
    matrix = select_for_labeling.sparse_probabilities([top(0.7, 0.2), [], one])
    assert matrix.toarray().tolist() == [[0.0, 0.2, 0.7, 0.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> SmallLake:
    """Yesterday m1 was served: v000 .. v019 are predicted to be pets, the lower the number the less sure; v000 .. v003 are labelled, and
    so are w0 .. w9, of which the model learned w8 and w9 only: of the others it gets wrong what it is less sure of."""
    lake = SmallLake(spark, tmp_path, sampling__active_budget=3, sampling__strategy="margin")
    serving = {"embedding_collection": "e", "hash_collection": "h", "videos": 20}
    lake.write(tables.SERVING, [{"model_version": "m1", **serving}])
    lake.write(tables.SERVING, [{"model_version": "m2", **serving}], NEXT)
    names = [f"v{i:03d}" for i in range(20)]
    others = [f"w{i}" for i in range(10)]
    for version, names_of in (("m1", names), ("m2", names[::-1])):
        sure = dict(zip(names_of, (0.5 + i / 50 for i in range(20)), strict=True)) | {v: 0.5 + i / 20 for i, v in enumerate(others)}
        predicted = [
            {"video_id": v, "model_version": version, "task": "category", "top": [tuple(e.values()) for e in top(p, 0.04)]}
            for v, p in sure.items()
        ]
        lake.write(tables.PREDICTIONS, predicted, model_version=version)
        vectors = [{"video_id": v, "model_version": version, "vector": [1.0, float(i)]} for i, v in enumerate([*names, *others])]
        lake.write(tables.EMBEDDINGS, vectors, model_version=version)
    lake.arrive([*names, *others])
    right = [_label(v, "pets") for v in (*others[4:], "v003")]
    wrong = [_label(v, "sport") for v in (*others[:4], *names[:3])]
    lake.write(tables.LABELS, [*right, *wrong])
    tree = [dict(zip(tables.TAXONOMY.undated, row, strict=True)) for row in Taxonomy.from_dict(TREE).rows()]
    lake.write(tables.TAXONOMY, tree)
    decided = {"decision": "promoted", "decided_by": "gates", "decided_at": dt.datetime(2026, 1, 2), "reason": "r"}
    lake.write(tables.PROMOTIONS, [{"model_version": "m1", "snapshot_id": "s1", **decided}], decided_by="gates")
    taught = [(v, "train") for v in ("w8", "w9")] + [(v, "evaluation") for v in others[:8]]
    lake.write(tables.TRAINING_EXAMPLES, [{"video_id": v, "split": split, "weight": 1.0} for v, split in taught], snapshot_id="s1")
    return lake


def again(lake: SmallLake, **values: Any) -> SmallLake:
    """The same lake under other settings."""
    return SmallLake(lake.lake.spark, lake.lake.root, **{"sampling__active_budget": 3, "sampling__strategy": "margin"} | values)


def attach_items(lake: SmallLake) -> None:
    """Cups mean baking in three of three labelled videos; of the others v005 and v012 have one, and v013 is a copy of v012."""
    lake.write(tables.ITEMS, [{"item_id": "cup", "category_path": "kitchen/cups"}], batch="b")
    cups = ["b1", "b2", "b3", "v005", "v012", "v013"]
    lake.write(tables.VIDEO_ARRIVALS, [{"video_id": v, "item_ids": ["cup"]} for v in cups], batch="b")
    lake.write(tables.VIDEOS, [{"video_id": v, "status": "ok", "has_audio": False} for v in cups])
    lake.write(tables.COPIES, [{"video_id": v, "copy_group": "v012"} for v in ("v012", "v013")])
    lake.write(tables.LABELS, [_label(v, "food.baking") for v in cups[:3]], NEXT)


def test_the_least_sure_videos_of_yesterdays_model_that_are_not_settled(lake: SmallLake) -> None:
    queued = {"task": "category", "rank": 1, "reason": "r", "is_random": False}
    lake.write(tables.SAMPLE_BATCH, [{"video_id": "v005", **queued}], NEXT)
    lake.write(tables.ACTIVE_BATCH, [{"video_id": "v006", **queued}])
    lake.write(tables.LABEL_EXPORTS, [{"event_id": "x", "video_id": "v008", "task": "category", "batch": "b"}], NEXT, batch="b")
    lake.write(tables.COPIES, [{"video_id": "v009", "copy_group": "v007"}, {"video_id": "v004", "copy_group": "v000"}])

    record = lake.do(select_for_labeling, NEXT)

    rows = sorted(lake.rows(tables.ACTIVE_BATCH, NEXT), key=lambda r: r.rank)
    assert [(r.rank, r.video_id) for r in rows] == [(1, "v007"), (2, "v010"), (3, "v011")]
    assert rows[0].reason == "the model is unsure: 宠物 (64%) or 美食/烘焙 (4%)"
    assert rows[0].score == pytest.approx(1 - (0.64 - 0.32), abs=1e-6)  # two classes are known: the rest goes to none
    assert record.inputs["model_version"] == "m1", "not today's model"
    # twelve labels that it did not learn from; 7 wrong below .7 but for v003 (.56) and w4 .. w7 (.7 and more)
    assert record.metrics["held_out_labels"] == 12
    assert record.metrics["uncertainty_auroc"] == pytest.approx((7 * 5 - 2) / 35)
    assert record.note == (
        "of 12 labels that the model did not learn from it gets 7 wrong, and is less sure of those with AUROC 0.94 (p = 0.0073)"
    )


def entropy(*p: float) -> float:
    return -sum(x * math.log(x) for x in p if x > 0)


def test_what_counts_as_unsure_may_be_entropy_or_how_far_two_models_differ(lake: SmallLake) -> None:
    tops = lake.lake.read(tables.PREDICTIONS).where("model_version = 'm1' AND video_id != 'v010'")
    rows = [r.asDict(recursive=True) for r in tops.collect()]
    lake.write(tables.PREDICTIONS, [r | {"top": [tuple(e.values()) for e in r["top"]]} for r in rows], model_version="m1")
    kept = lake.lake.read(tables.EMBEDDINGS).where("model_version = 'm2'")
    ids = np.array(sorted(r.video_id for r in kept.collect()))
    sure = {f"v{i:03d}": (0.5 + i / 50, 0.5 + (19 - i) / 50) for i in range(20)} | {f"w{i}": (0.5 + i / 20,) * 2 for i in range(10)}
    served = [top(sure[v][1], 0.04) for v in ids.tolist()]

    def asked(how: str, strategy: str = "uncertainty_by_cluster") -> np.ndarray:
        run = again(lake, sampling__uncertainty=how, sampling__strategy=strategy).run("select_for_labeling", dt.date(2026, 1, 4))
        return select_for_labeling._uncertainty(run, "m2", kept, ids, served)

    assert asked("margin") == pytest.approx([1 - (p - max(0.96 - p, 0.04)) for _, p in (sure[v] for v in ids)], abs=1e-6)
    for strategy in ("margin", "badge"):
        assert asked("entropy", strategy).tolist() == asked("margin").tolist()
    assert asked("margin", "entropy").tolist() == asked("entropy").tolist()
    assert asked("entropy") == pytest.approx([entropy(p, 0.04, 0.96 - p) for _, p in (sure[v] for v in ids)], abs=1e-6)
    mean = {v: (p + q) / 2 for v, (p, q) in sure.items()}
    apart = {v: entropy(m, 0.04, 0.96 - m) - sum(entropy(p, 0.04, 0.96 - p) for p in sure[v]) / 2 for v, m in mean.items()}
    del apart["v010"]  # that the earlier model says nothing of counts as the others do on average
    apart["v010"] = float(np.mean(list(apart.values())))
    assert asked("disagreement") == pytest.approx([apart[v] for v in ids], abs=1e-6)
    assert apart["v000"] > 0.1


def test_without_an_earlier_model_there_is_no_disagreement_and_the_margin_chooses(lake: SmallLake) -> None:
    values = {"sampling__strategy": "uncertainty_by_cluster", "sampling__cold_start_p_max": 1.0}
    record = again(lake, sampling__uncertainty="disagreement", **values).do(select_for_labeling, NEXT)
    assert "0 of 30 videos have predictions of a model served before m1: the margin chooses" in record.note
    rows = sorted(lake.rows(tables.ACTIVE_BATCH, NEXT))
    again(lake, sampling__uncertainty="margin", **values).do(select_for_labeling, NEXT)
    assert sorted(lake.rows(tables.ACTIVE_BATCH, NEXT)) == rows


@pytest.mark.parametrize("unknown", ["what it learned", "where it errs"])
def test_density_chooses_as_long_as_the_model_does_not_say_where_it_errs(lake: SmallLake, unknown: str) -> None:
    if unknown == "what it learned":
        lake.write(tables.PROMOTIONS, [], decided_by="gates")
        told = "of 0 labels that the model did not learn from it gets 0 wrong, so that nothing says where it errs: density chooses"
    else:
        lake.write(tables.LABELS, [_label(f"w{i}", "pets" if i % 2 else "sport") for i in range(8)])
        asked = "of 8 labels that the model did not learn from it gets 4 wrong"
        told = f"{asked}, and is less sure of those with AUROC 0.62 (p = 0.34): density chooses"
    record = lake.do(select_for_labeling, NEXT)
    rows = lake.rows(tables.ACTIVE_BATCH, NEXT)
    assert {r.reason for r in rows} == {"stands for many videos of which none was labelled; the model can't tell yet where it errs"}
    assert len(rows) == 3
    assert record.note == told


def test_the_uncertainty_that_is_tested_is_the_one_that_will_choose(lake: SmallLake) -> None:
    """By entropy the model is less sure of what it gets wrong, by the margin it is surer."""
    even, two = [("a", "a", 0.3), ("b", "b", 0.1), ("c", "c", 0.1)], [("a", "a", 0.5), ("b", "b", 0.49)]
    rows = [{"video_id": f"w{i}", "model_version": "m1", "task": "category", "top": even if i < 4 else two} for i in range(8)]
    named = {"a": "pets", "b": "sport", "c": "food"}
    for row in rows:
        row["top"] = [(named[label], label, p) for label, _, p in row["top"]]
    lake.write(tables.PREDICTIONS, rows, model_version="m1")
    lake.write(tables.LABELS, [_label(f"w{i}", "sport" if i < 4 else "pets") for i in range(8)])
    values = {"sampling__strategy": "uncertainty_by_cluster"}
    record = again(lake, sampling__uncertainty="entropy", **values).do(select_for_labeling, NEXT)
    assert record.metrics["uncertainty_auroc"] == 1.0
    assert "density chooses" not in record.note
    record = again(lake, sampling__uncertainty="margin", **values).do(select_for_labeling, NEXT)
    assert record.metrics["uncertainty_auroc"] == 0.0
    assert record.note.endswith("density chooses")


def test_what_items_speak_for_comes_first_and_leaves_the_rest_to_the_model(lake: SmallLake) -> None:
    attach_items(lake)
    again(lake, sampling__rare_share=0.4).do(select_for_labeling, NEXT)  # of three: one
    rows = sorted(lake.rows(tables.ACTIVE_BATCH, NEXT), key=lambda r: r.rank)
    assert [(r.rank, r.video_id, r.expected_label_id, r.item_category) for r in rows] == [
        (1, "v005", "food.baking", "kitchen"), (2, "v004", None, None), (3, "v006", None, None),
    ]  # fmt: skip
    assert rows[0].reason == "its item is of category kitchen, which in 3 of 3 labelled videos meant 美食/烘焙, a label with few videos"
    assert rows[0].score == pytest.approx(3 / (3 + 1.645**2))
    mapped = [(r.item_category, r.label_id, r.videos, r.labelled_videos, r.is_rare) for r in lake.rows(tables.ITEM_LABEL_MAP, NEXT)]
    assert sorted(mapped) == [("kitchen", "food.baking", 3, 3, True), ("kitchen/cups", "food.baking", 3, 3, True)]


def test_what_is_chosen_for_its_item_leaves_no_copy_of_it_to_the_model_however_new_it_is(lake: SmallLake) -> None:
    attach_items(lake)
    lake.write(tables.VIDEO_ARRIVALS, [{"video_id": "new", "item_ids": ["cup"]}], NEXT, batch="c")
    lake.write(tables.VIDEOS, [{"video_id": "new", "status": "ok", "has_audio": False}], NEXT)
    lake.write(tables.COPIES, [{"video_id": v, "copy_group": "v004"} for v in ("v004", "new")], NEXT)
    lake.write(
        tables.LABELS, [_label(v, "food.baking") for v in ("b1", "b2", "b3")] + [_label("v005", "pets"), _label("v012", "pets")], NEXT
    )
    again(lake, sampling__rare_share=0.4, sampling__item_precision_min=0.2).do(select_for_labeling, NEXT)
    rows = sorted(lake.rows(tables.ACTIVE_BATCH, NEXT), key=lambda r: r.rank)
    assert [(r.video_id, r.expected_label_id) for r in rows] == [("new", "food.baking"), ("v006", None), ("v007", None)]


def test_without_any_label_that_says_where_it_errs_the_note_says_who_chose(lake: SmallLake) -> None:
    lake.write(tables.PROMOTIONS, [], decided_by="gates")
    record = again(lake, sampling__cold_start_p_max=1.0).do(select_for_labeling, NEXT)
    assert record.note == "of 0 labels that the model did not learn from it gets 0 wrong, so that nothing says where it errs"
    assert all(r.reason.startswith("the model is unsure") for r in lake.rows(tables.ACTIVE_BATCH, NEXT))


def test_items_speak_before_any_model_is_served(lake: SmallLake) -> None:
    attach_items(lake)
    lake.write(tables.SERVING, [])
    record = again(lake, sampling__active_budget=20).do(select_for_labeling, NEXT)
    rows = sorted(lake.rows(tables.ACTIVE_BATCH, NEXT), key=lambda r: r.rank)
    assert [(r.rank, r.video_id) for r in rows] == [(1, "v005"), (2, "v012")]
    assert record.note == "no trained model was served before this day: density chooses"
    assert record.metrics == {"item_label_pairs": 2.0, "chosen_by_items": 2.0}


def test_before_any_model_is_served_density_chooses_what_items_and_the_sample_leave(lake: SmallLake) -> None:
    attach_items(lake)
    serving = {"embedding_collection": "e", "hash_collection": "h", "videos": 1}
    lake.write(tables.SERVING, [{"model_version": "encoder-abc", **serving}])
    # three groups: of the first the sample of the day has one, of the second v005 is chosen for its item; v000 .. v003 are labelled
    place = {**{f"v{i:03d}": 0 for i in range(5)}, **{f"v{i:03d}": 1 for i in (5, 6, 7)}, **{f"v{i:03d}": 2 for i in (8, 9, 10, 11)}}
    around = np.random.default_rng(0).normal(scale=0.05, size=(20, 4))
    lake.write(tables.FEATURES, [_features(v, "visual", "v1", (np.eye(4)[g] + around[int(v[1:])])[None]) for v, g in place.items()])
    came = [*place, "b1", "b2", "b3", "v012", "v013"]
    lake.write(tables.VIDEOS, [{"video_id": v, "status": "ok", "has_audio": False} for v in came])
    titles = [_features(v, "text", "t1", np.eye(3)[[0]]) for v in ("v015", "v016")]  # of one title, without frames
    lake.write(tables.TEXT_FEATURES, titles, NEXT)
    queued = {"task": "category", "rank": 1, "reason": "r", "is_random": False}
    lake.write(tables.SAMPLE_BATCH, [{"video_id": "v004", **queued}], NEXT)

    few = again(lake, sampling__active_budget=4, sampling__rare_share=0.25)
    record = few.do(select_for_labeling, NEXT)
    rows = sorted(lake.rows(tables.ACTIVE_BATCH, NEXT), key=lambda r: r.rank)
    assert [r.rank for r in rows] == [1, 2, 3, 4]
    assert (rows[0].video_id, rows[0].item_category) == ("v005", "kitchen")
    by_density = [r.video_id for r in rows[1:]]
    assert by_density[0] in {"v008", "v009", "v010", "v011"}, "the largest group that nothing was chosen of"
    assert {r.reason for r in rows[1:]} == {"stands for many videos of which none was labelled; no trained model is served yet"}
    assert record.note == "no trained model was served before this day: density chooses"

    lake.write(tables.SERVING, [])
    again(lake, sampling__active_budget=20, sampling__rare_share=0.0).do(select_for_labeling, NEXT)
    everything = {r.video_id for r in lake.rows(tables.ACTIVE_BATCH, NEXT)}
    assert len(everything & {"v015", "v016"}) == 1
    assert everything - {"v015", "v016"} == {f"v{i:03d}" for i in range(5, 12)}, "all that is neither labelled nor in the sample"


def test_it_steps_aside_without_a_trained_model_items_and_vectors(lake: SmallLake) -> None:
    told = "no trained model was served before this day, and no video with a vector is left to choose: gold.sample_batch says what to label"
    with pytest.raises(StepAside, match=f"^{told}$"):
        select_for_labeling.main(lake.run("select_for_labeling", DAY))
    lake.write(tables.SERVING, [{"model_version": "encoder-abc", "embedding_collection": "e", "hash_collection": "h", "videos": 1}])
    lake.write(tables.VIDEOS, [{"video_id": "v000", "status": "ok", "has_audio": False}])
    lake.write(tables.FEATURES, [_features("v000", "visual", "v1", np.eye(4))], NEXT)  # which is labelled
    with pytest.raises(StepAside, match=f"^{told}$"):
        select_for_labeling.main(lake.run("select_for_labeling", NEXT))
