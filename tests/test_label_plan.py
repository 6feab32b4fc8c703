"""`reelhouse labels plan` on a small planted lake."""

from __future__ import annotations

import re

import pytest

from reelhouse import tables
from reelhouse.errors import NotFoundError
from reelhouse.label_plan import plan_labels
from reelhouse.labels import Taxonomy
from tests.jobs.small_lake import DAY, LAYOUT, LEAVES, NEXT, TREE, SmallLake, _label
from tests.typed import typing_in

VIDEOS = 120
# by video: the label that looked wrong, what people together say of it on the next day and by what, and what was said then
ACCUSED = {
    "v000": ("food.baking", 1, "people", [("food.baking", 1, "ann")]),
    "v001": ("food.noodles", 0, "people", [("food.noodles", 0, "ann")]),
    "v002": ("pets", 0, "people", [("pets", 0, "ann")]),
    "v003": ("sport", 1, "people", [("pets", 0, "ann")]),
    "v004": ("food.baking", 1, "both", [("food", 1, "ann"), ("food.baking", 1, "manifest")]),
    "v008": ("food.baking", -1, "migration", [("food.baking", 0, "ann")]),
    "v009": ("food.noodles", -1, "people", [("pets", 1, "ann")]),
}


@pytest.fixture
def planned(spark, tmp_path):
    """120 labelled videos of four classes, every fourth held out. Seven labels look wrong. On the next day a person answered about v000 and
    ruled out v009; nobody did about v003, of which something else was said, or v004, of which the label above; v008's ended."""
    lake = SmallLake(spark, tmp_path / "lake", sampling__rare_labels=31)
    lake.plant(VIDEOS)
    splits = ["evaluation" if i // 4 % 4 == 3 else "calibration" if i % 10 == 0 else "train" for i in range(VIDEOS)]
    examples = [
        {"video_id": f"v{i:03d}", "split": split, "weight": 1.0, "targets": [float(i % 4 == c) for c in range(4)]}
        for i, split in enumerate(splits)
    ]
    lake.write(
        tables.TRAINING_EXAMPLES, [*examples, examples[0] | {"video_id": "unseen", "targets": [-1.0, 0.0, -1.0, -1.0]}], snapshot_id="s1"
    )
    rows = {f"{split}_rows": splits.count(split) for split in ("train", "calibration", "evaluation")}
    lake.write(tables.SNAPSHOTS, [{"snapshot_id": "s1", "task": "category", "label_ids": list(LEAVES), "layout": LAYOUT.to_json(), **rows}])
    lake.write(tables.LABEL_NOISE, [_label(v, label) | {"verdict": "wrong"} for v, (label, *_) in ACCUSED.items()])
    tree = Taxonomy.from_dict(TREE).rows()
    lake.write(tables.TAXONOMY, [dict(zip(tables.TAXONOMY.undated, row, strict=True)) for row in tree])
    folded = [_label(v, label, answer) | {"source": source} for v, (label, answer, source, *_) in ACCUSED.items()]
    lake.write(tables.LABELS, folded, NEXT)
    facts = {"task": "category", "taxonomy_version": "t", "source_row": 1, "batch": "b", "source_file": "f"}
    events = [
        {"event_id": v, "video_id": v, "label_id": label, "answer": answer, "annotator_id": who, **facts}
        for v, (*_, said) in ACCUSED.items()
        for label, answer, who in said
    ]
    lake.write(tables.LABEL_EVENTS, events, NEXT)
    lake.write(tables.ITEMS, [{"item_id": "cup", "category_path": "kitchen/cups"}], batch="b")
    cups = [f"v{i:03d}" for i in range(10, 50, 4)]  # of pets, all of them
    lake.write(tables.VIDEO_ARRIVALS, [{"video_id": v, "item_ids": ["cup"]} for v in [*cups, "unlabelled"]], batch="b")
    lake.write(tables.VIDEOS, [{"video_id": "unlabelled", "status": "text_only", "has_audio": False}], NEXT)
    drawn = {"task": "category", "rank": 1, "reason": "r", "is_random": True}
    lake.write(tables.SAMPLE_BATCH, [{"video_id": v, **drawn} for v in ("v005", "v006", "nobody answered")])
    lake.write(tables.ACTIVE_BATCH, [{"video_id": "v007", **drawn | {"is_random": False}}, {"video_id": "v006", **drawn}])
    lake.write(tables.SERVING, [{"model_version": "m1", "embedding_collection": "e", "hash_collection": "h", "videos": 1}])
    lake.write(tables.EVALUATIONS, [{"model_version": "m1", "slice": "all", "metric": "accuracy", "value": 0.75, "rows": 4}])
    return lake


def test_what_more_labels_bring_and_what_to_spend_them_on(planned):
    run = planned.run("plan", NEXT)
    found = plan_labels(run, 60)
    run.close()
    assert (found.day, found.labels, found.held_out, found.served) == (DAY, VIDEOS, 28, 0.75)
    assert [more for more, _ in found.ahead] == [0, 30, 60, 120]
    assert [e.labels for _, e in found.ahead] == [92, 115, 138, 184]  # 92 of 120 labels are learned from
    assert [size for size, *_ in found.measured] == [10, 11, 16, 23, 33, 46, 65, 92]
    assert found.measured[-1][1] > 0.9, "the classes are planted far apart"
    assert all(e.low <= e.accuracy <= e.high for _, e in found.ahead)
    parts = {part.kind: part for part in found.parts}
    assert sum(part.labels for part in found.parts) == 60
    assert parts["suspect"].labels == 2
    assert (
        parts["suspect"].reason == "2 labels look wrong, 3 of 4 that people were asked about again were wrong: one is worth 1.3 new labels"
    )
    assert (parts["rare"].labels, parts["rare"].reason) == (
        1, "1 videos have an item that speaks for a class of few labels; at most 25% of a budget",
    )  # fmt: skip
    assert "there are 2;" in parts["random"].reason
    assert found.notes == []


def test_the_same_day_plans_the_same_and_large_sets_are_cut(planned):
    small = SmallLake(planned.lake.spark, planned.lake.root, plan__rows_max=40)
    one, other = (plan_labels(small.run("plan", NEXT), 60) for _ in range(2))
    assert one == other
    assert one.measured[-1][0] == 40
    assert one.ahead[0][1].labels == 92, "the curve is carried on to all labels"
    assert one.notes == ["the curve was measured on 40 of 92 labels (plan.rows_max)"]


def test_what_is_missing_is_said(spark, tmp_path):
    lake = SmallLake(spark, tmp_path)
    rows = {"train_rows": 1, "calibration_rows": 0, "evaluation_rows": 0}
    lake.write(tables.SNAPSHOTS, [{"snapshot_id": "s1", "task": "category", "layout": LAYOUT.to_json(), **rows}], NEXT)
    with pytest.raises(
        NotFoundError, match=r"2026-01-02: there is no training snapshot of task category yet\. It takes training\.minimum_la"
    ):
        plan_labels(lake.run("plan", DAY), 60)
    with pytest.raises(NotFoundError, match=r"snapshot s1 of 2026-01-03 has 0 rows to learn from and 0 to be judged by"):
        plan_labels(lake.run("plan", NEXT), 60)


def test_as_typed(planned, spark, tmp_path, monkeypatch):
    type_ = typing_in(tmp_path, spark, monkeypatch)
    said = type_("labels", "plan", "--budget", "60", "--date", str(NEXT), "--root", str(planned.lake.root)).output
    assert "120 labels of 2026-01-02, judged by 28 of them; the served model has 0.750" in said
    assert re.search(r"^60 more +│ +180 │ +[01]\.\d{3} │ +[01]\.\d{3} │ +[01]\.\d{3}", said, re.MULTILINE)
    assert re.search(r"^suspect +│ +2 │ 2 labels look wrong", said, re.MULTILINE)
