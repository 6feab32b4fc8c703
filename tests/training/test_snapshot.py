import datetime as dt
from dataclasses import replace

import pytest
from pyspark.sql import functions as F

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.labels import Taxonomy
from reelhouse.training.snapshot import Inputs, TooFewLabelsError, build_snapshot, split_of

DAY = dt.date(2026, 1, 2)
TREE = Taxonomy.from_dict({"task": "category", "labels": [{"id": i, "name": i} for i in ("a", "b", "rare")]})
SMALL = {"minimum_labels": 4, "minimum_per_class": 3, "visual_steps": 1, "audio_steps": 1}


def training(**values):
    return settings_module.load(values={f"training.{k}": v for k, v in (SMALL | values).items()}).training


def frame(spark, table, records):
    schema = table.spark_schema()
    empty = {f.name: None if f.nullable else [] for f in schema} | {"data_date": DAY, "task": "category"}
    return spark.createDataFrame([tuple(r.get(f.name, empty[f.name]) for f in schema) for r in records], schema)


def inputs(spark, labels, noise=(), groups=None, without_features=(), source="s", day=DAY):
    """labels: (video_id, label_id, answer)."""
    facts = {"annotators": 1, "source": "people", "taxonomy_version": "t"}
    videos = sorted({v for v, _, _ in labels} - set(without_features))
    vector = {
        "modality": "visual",
        "encoder_id": "v",
        "source_sha256": source,
        "steps": 1,
        "dimension": 2,
        "values": [1.0, 2.0],
        "data_date": day,
    }
    return Inputs(
        labels=frame(spark, tables.LABELS, [{"video_id": v, "label_id": i, "answer": a, **facts} for v, i, a in labels]),
        noise=frame(spark, tables.LABEL_NOISE, [{"video_id": v, "label_id": i, "verdict": w} for v, i, w in noise]),
        copies=frame(spark, tables.COPIES, [{"video_id": v, "copy_group": g} for v, g in (groups or {}).items()]),
        features=frame(spark, tables.FEATURES, [{"video_id": v, **vector} for v in videos]),
        text_features=frame(spark, tables.TEXT_FEATURES, []),
    )


def planted(n=40):
    return [(f"v{i:02d}", "ab"[i % 2], 1) for i in range(n)]


def rows(snapshot):
    return {r.video_id: r for r in snapshot.examples.collect()}


def test_rows_by_hand(spark):
    labels = [*planted(), ("v00", "b", -1), ("w", "a", 0), ("x", "rare", 1), ("y", "a", -1), ("z", "gone from the tree", 1)]
    snapshot = build_snapshot(inputs(spark, labels), TREE, training(evaluation_share=0.0))
    got = rows(snapshot)
    assert sorted(got) == [*sorted(v for v, _, _ in planted()), "w"]
    assert got["v00"].asDict() == {
        "video_id": "v00", "snapshot_id": snapshot.snapshot_id, "split": "train", "weight": 1.0, "targets": [1, 0], "visual": [1, 2],
        "visual_mask": [1], "audio": [], "audio_mask": [], "text": [], "text_mask": [],
    }  # fmt: skip
    assert got["w"].targets == [0, -1]
    summary = snapshot.summary.collect()[0]
    assert (summary.label_ids, summary.train_rows, summary.calibration_rows, summary.evaluation_rows) == (["a", "b"], 41, 0, 0)
    assert snapshot.metrics == {"labelled_videos": 42, "labels_too_rare": 1, "train_rows": 41, "evaluation_rows": 0, "classes": 2}
    assert snapshot.files == 2


def test_a_suspect_label_weighs_less_or_is_left_out(spark):
    noise = [("v00", "a", "wrong"), ("v02", "a", "hard"), ("v04", "b", "wrong")]
    light = rows(build_snapshot(inputs(spark, planted(), noise), TREE, training(suspect_weight=0.25)))
    assert {v: light[v].weight for v in ("v00", "v02", "v04")} == {"v00": 0.25, "v02": 1.0, "v04": 1.0}
    without = rows(build_snapshot(inputs(spark, planted(), noise), TREE, training(suspect_weight=0.0)))
    assert set(light) - set(without) == {"v00"}


def test_a_copy_group_stays_in_one_split_and_keeps_it_when_others_come(spark):
    groups = {f"v{i:02d}": f"g{i // 4}" for i in range(80)}
    some = rows(build_snapshot(inputs(spark, planted(40), groups=groups), TREE, training(evaluation_share=0.4)))
    more = rows(build_snapshot(inputs(spark, planted(80), groups=groups), TREE, training(evaluation_share=0.4)))
    by_group = {}
    for video, row in more.items():
        by_group.setdefault(groups[video], set()).add(row.split)
    assert all(len(splits) == 1 for splits in by_group.values())
    assert {next(iter(s)) for s in by_group.values()} == {"train", "evaluation"}
    assert {v: r.split for v, r in some.items()} == {v: more[v].split for v in some}


def test_splits_are_those_of_every_version_so_far(spark):
    """A video that was held out must never be trained on by a later version: whoever changes the hash sees it here."""
    groups = spark.createDataFrame([(f"v{n}",) for n in range(40)], "name string")
    found = {r.name: r.split for r in groups.select("name", split_of(F.col("name"), 0.2)).collect()}
    evaluation, calibration = {1, 8, 18, 20, 36, 38}, {2, 21, 30, 33}
    assert found == {f"v{n}": "evaluation" if n in evaluation else "calibration" if n in calibration else "train" for n in range(40)}


def test_a_tenth_of_training_is_for_calibration_where_that_is_enough(spark):
    many = build_snapshot(inputs(spark, [(f"v{i}", "ab"[i % 2], 1) for i in range(600)]), TREE, training())
    splits = [r.split for r in many.examples.collect()]
    assert 0.15 < splits.count("evaluation") / 600 < 0.25
    assert 0.05 < splits.count("calibration") / 600 < 0.12
    assert many.summary.collect()[0].calibration_rows == splits.count("calibration")


def test_the_id_is_the_same_for_the_same_rows_in_any_order_and_another_for_others(spark):
    base = inputs(spark, planted())
    ids = [
        build_snapshot(base, TREE, training()).snapshot_id,
        build_snapshot(
            replace(base, labels=base.labels.repartition(3), features=base.features.repartition(3)), TREE, training()
        ).snapshot_id,
        build_snapshot(base, TREE, training(epochs=99, learning_rate=0.5)).snapshot_id,  # settings of training, not of the snapshot
    ]
    others = [
        build_snapshot(inputs(spark, planted()[1:]), TREE, training()).snapshot_id,
        build_snapshot(inputs(spark, [("v00", "b", 1), *planted()[1:]]), TREE, training()).snapshot_id,
        build_snapshot(base, TREE, training(visual_steps=2)).snapshot_id,
        build_snapshot(inputs(spark, planted(), source="corrected"), TREE, training()).snapshot_id,
        build_snapshot(inputs(spark, planted(), day=DAY + dt.timedelta(1)), TREE, training()).snapshot_id,  # features came anew
    ]
    assert len(set(ids)) == 1
    assert len({ids[0], *others}) == 6


def test_a_video_without_features_is_left_out(spark):
    got = rows(build_snapshot(inputs(spark, planted(), without_features=["v03"]), TREE, training()))
    assert "v03" not in got
    assert len(got) == 39


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "0 labelled videos with features for task category; a model needs training.minimum_labels = 4"),
        (planted(3), "3 labelled videos with features for task category; a model needs training.minimum_labels = 4"),
        ([(f"v{i}", "a", 1) for i in range(9)], "1 of the labels of task category have training.minimum_per_class = 3 videos"),
    ],
)
def test_too_few_labels_say_what_is_missing(spark, labels, message):
    with pytest.raises(TooFewLabelsError) as error:
        build_snapshot(inputs(spark, labels), TREE, training(evaluation_share=0.0))
    assert message in str(error.value)
