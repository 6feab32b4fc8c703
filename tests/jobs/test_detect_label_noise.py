"""detect_label_noise on a real lake: planted wrong labels, what is not judged, and its builder by hand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from jobs import detect_label_noise
from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.errors import LabelError
from reelhouse.features import layout_of
from reelhouse.labels import Taxonomy
from reelhouse.pipeline import Pipeline, load_jobs
from reelhouse.run import StepAside
from tests.jobs.small_lake import DAY, LEAVES, NEXT, TREE, SmallLake, _label

VIDEOS = 180
BAD = {f"v{i:03d}": LEAVES[(i + 1) % 4] for i in range(4, VIDEOS, 9)}  # 20 of 180, of all classes
RIGHT = {f"v{i:03d}": LEAVES[i % 4] for i in range(VIDEOS)}
PATHS = {"food.baking": "美食/烘焙", "food.noodles": "美食/面条", "pets": "宠物", "sport": "运动"}


def labels(**others: str) -> list[dict]:
    return [_label(video, label) for video, label in (RIGHT | BAD | others).items()]


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> SmallLake:
    return SmallLake(spark, tmp_path).plant(VIDEOS, labelled=False)


def verdicts(lake: SmallLake, date: dt.date = DAY) -> dict[tuple[str, str], dict]:
    return {(r.video_id, r.label_id): r.asDict() for r in lake.rows(tables.LABEL_NOISE, date)}


def test_planted_wrong_labels_are_found_with_what_they_should_be_and_a_second_run_says_the_same(lake: SmallLake) -> None:
    lake.write(tables.LABELS, labels())
    record = lake.do(detect_label_noise)

    rows = verdicts(lake)
    assert set(rows) == {(video, (RIGHT | BAD)[video]) for video in RIGHT}, "every label, once"
    wrong = {video: r for (video, _), r in rows.items() if r["verdict"] == "wrong"}
    assert len(set(wrong) & set(BAD)) >= 16
    assert len(set(wrong) - set(BAD)) <= 1
    assert all(rows[video, label]["verdict"] != "clean" for video, label in BAD.items())
    assert all(wrong[video]["suggested_label_id"] == RIGHT[video] for video in set(wrong) & set(BAD))
    for (_, label), r in rows.items():
        assert (r["task"], r["data_date"]) == ("category", DAY)
        assert "x the class median; " in r["reason"]
        if r["verdict"] == "wrong":
            assert 0 <= r["suggestion_confidence"] <= 1
            assert r["suggested_label_id"] != label
            assert r["reason"].endswith(f"; the model says {PATHS[r['suggested_label_id']]}")
        else:
            assert (r["suggested_label_id"], r["suggestion_confidence"]) == (None, None)
            assert "the model says" not in r["reason"]
    for label in LEAVES:
        of_class = sorted((r for (_, given), r in rows.items() if given == label), key=lambda r: r["rank_in_class"])
        assert [r["rank_in_class"] for r in of_class] == list(range(1, len(of_class) + 1))
        scores = [r["score"] for r in of_class]
        assert scores == sorted(scores, reverse=True)
        planted = sum(given == label for given in BAD.values())
        assert {r["video_id"] for r in of_class[:planted]} == {video for video, given in BAD.items() if given == label}

    history = {(r.video_id, r.label_id): r for r in lake.rows(tables.LOSS_HISTORY)}
    assert set(history) == set(rows)
    version = layout_of(lake.lake.read(tables.FEATURES), lake.lake.read(tables.TEXT_FEATURES)).id
    for r in history.values():
        assert len(r.losses) == 18
        assert r.mean_loss == pytest.approx(np.mean(r.losses), abs=1e-5)
        assert r.loss_spread == pytest.approx(np.std(r.losses), abs=1e-5)
        assert r.features_version == version
    assert np.mean([r.losses for r in history.values()], axis=0) == pytest.approx(np.zeros(18), abs=1e-5)
    counts = {f"{name}_labels": sum(r["verdict"] == name for r in rows.values()) for name in ("wrong", "hard", "clean")}
    noise_rate = record.metrics.pop("noise_rate")
    assert counts["wrong_labels"] <= round(noise_rate * VIDEOS)
    assert noise_rate == pytest.approx(len(BAD) / VIDEOS, abs=0.03)
    assert record.metrics == counts
    assert record.note in (None, "")

    before = lake.rows(tables.LABEL_NOISE), lake.rows(tables.LOSS_HISTORY)
    again = lake.do(detect_label_noise)
    assert sorted(lake.rows(tables.LABEL_NOISE)) == sorted(before[0])
    assert sorted(lake.rows(tables.LOSS_HISTORY)) == sorted(before[1])
    assert [(w.table, w.fingerprint) for w in again.writes] == [(w.table, w.fingerprint) for w in record.writes]


def test_only_labels_in_force_of_videos_with_vectors_and_of_large_classes_are_judged(lake: SmallLake) -> None:
    given = labels()
    given += [_label(video, "food") for video in ("v000", "v001")]  # implied by food.baking and food.noodles
    given += [_label("v002", "gone"), _label("v003", "pets", 0), _label("v005", "pets", -1)]
    given += [_label("no_vector", "pets"), {**_label("v006", "sport"), "task": "genre"}]
    given = [row for row in given if (row["video_id"], row["label_id"]) not in {("v010", "pets"), ("v014", "pets")}]
    given += [_label("v010", "food"), _label("v014", "food")]  # two of their class: too few
    lake.write(tables.LABELS, given)
    lake.write(tables.LABELS, [_label("v007", "sport", 0), _label("v007", "pets", 1)], NEXT)

    record = lake.do(detect_label_noise)
    judged = {video: label for video, label in (RIGHT | BAD).items() if video not in ("v010", "v014")}
    assert set(verdicts(lake)) == set(judged.items())
    assert record.note == "3 labels were not judged: no vector, or fewer than 3 of their class"
    assert {(r.video_id, r.label_id) for r in lake.rows(tables.LOSS_HISTORY)} == set(judged.items())

    lake.do(detect_label_noise, NEXT)
    assert set(verdicts(lake, NEXT)) == set((judged | {"v007": "pets"}).items()), "what people changed their mind on"
    assert set(verdicts(lake)) == set(judged.items()), "the day before keeps its rows"


def test_at_most_rows_max_videos_are_judged_and_that_is_said(spark: SparkSession, tmp_path: Path) -> None:
    lake = SmallLake(spark, tmp_path, noise__rows_max=60, noise__minimum_labels=10).plant(80)
    record = lake.do(detect_label_noise)
    assert len(lake.rows(tables.LABEL_NOISE)) == 60
    assert record.note == "labels of 20 videos were not judged: noise.rows_max is 60"


def test_with_too_few_labels_the_job_steps_aside_and_says_why(spark: SparkSession, tmp_path: Path) -> None:
    lake = SmallLake(spark, tmp_path).plant(60, labelled=False)

    def reason() -> str:
        with pytest.raises(StepAside) as caught:
            detect_label_noise.main(lake.run("detect_label_noise"))
        return str(caught.value)

    assert reason() == "0 labels of the task category, 40 are needed (noise.minimum_labels)"
    lake.write(tables.LABELS, [_label(f"v{i:03d}", "pets") for i in range(21, 61)])
    assert reason() == "39 labels of videos with vectors, 40 are needed (noise.minimum_labels)"
    lake.write(tables.LABELS, [_label(f"v{i:03d}", "sport" if i < 2 else "pets") for i in range(60)])
    assert reason() == "two classes with 3 labels each are needed (noise.minimum_per_class); there are 1"
    assert lake.rows(tables.LABEL_NOISE) == []


def test_the_pipeline_records_that_it_stepped_aside_and_runs_it_again_when_the_tree_changes(spark: SparkSession, tmp_path: Path) -> None:
    lake = SmallLake(spark, tmp_path).plant(20)
    job = next(job for job in load_jobs() if job.name == "detect_label_noise")
    pipeline = Pipeline(lake.settings, lake.lake, lambda text: None, jobs=[job])
    pipeline.services._taxonomies["category"] = Taxonomy.from_dict(TREE)
    try:
        (outcome,) = pipeline.run_day(DAY)
        assert (outcome.status, outcome.error) == ("stepped aside", None)
        kept = pipeline.ledger.latest("detect_label_noise", DAY)
        assert kept.status == "stepped_aside"
        assert kept.note == "20 labels of the task category, 40 are needed (noise.minimum_labels)"
        assert [read.table for read in kept.reads] == ["silver.labels"]
        assert lake.rows(tables.LABEL_NOISE) == []
        assert [o.status for o in pipeline.run_day(DAY)] == ["up to date"]
        pipeline.services._taxonomies["category"] = Taxonomy.from_dict({**TREE, "labels": TREE["labels"][:4]})
        assert pipeline.plan(DAY) == [("detect_label_noise", "input taxonomy changed")]
    finally:
        pipeline.close()


# -- parts, by hand


def frame(*pairs: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["video_id", "label_id"])


def test_the_most_specific_labels_of_each_video_are_kept_in_order() -> None:
    tree = Taxonomy.from_dict({**TREE, "labels": [*TREE["labels"], {"id": "food.baking.bread", "parent": "food.baking", "name": "面包"}]})
    given = frame(
        ("b", "food"), ("b", "food.baking"), ("b", "pets"),
        ("a", "food.baking.bread"), ("a", "food"), ("a", "food.baking"), ("a", "food.noodles"),
        ("c", "food"), ("c", "gone"), ("d", "gone"),
    )  # fmt: skip
    got = detect_label_noise.most_specific(given, tree)
    assert list(got.itertuples(index=False, name=None)) == [
        ("a", "food.baking.bread"),
        ("a", "food.noodles"),
        ("b", "food.baking"),
        ("b", "pets"),
        ("c", "food"),
    ]
    assert detect_label_noise.most_specific(given[:0], tree).empty


def test_the_builder_leaves_out_labels_of_videos_without_a_vector_and_refuses_what_cannot_be_judged() -> None:
    tree, settings = Taxonomy.from_dict(TREE), settings_module.load().noise
    ids = np.array([f"v{i}" for i in range(10, 34)])
    vectors = np.eye(2, dtype=np.float32)[np.arange(24) % 2]
    given = frame(("a", "pets"), *((f"v{i}", ("pets", "sport")[i % 2]) for i in range(10, 34)), ("v15x", "pets"), ("z", "sport"))
    history, noise, noise_rate = detect_label_noise.build(given, ids, vectors, tree, "x1", settings)
    assert noise["video_id"].tolist() == history["video_id"].tolist() == ids.tolist()
    assert noise["verdict"].tolist() == ["clean"] * 24
    assert noise_rate == 0
    assert noise["suggested_label_id"].isna().all()
    assert set(history["features_version"]) == {"x1"}
    assert history["losses"].map(len).tolist() == [18] * 24
    assert sorted(noise.loc[noise["label_id"] == "pets", "rank_in_class"]) == list(range(1, 13))
    for reason in noise["reason"]:
        assert reason.startswith("held-out loss ")
        assert reason.endswith("10 of 10 neighbours say its own label")
    with pytest.raises(LabelError, match="1 such class is there"):
        detect_label_noise.build(given[given["label_id"] == "pets"], ids, vectors, tree, "x1", settings)
