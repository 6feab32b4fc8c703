"""build_training_set on a real lake: what is in the files that the ranks read."""

from types import SimpleNamespace

import numpy as np
import pytest
from pyarrow import parquet

from jobs import build_training_set
from reelhouse import tables
from reelhouse.run import StepAside
from tests.jobs.small_lake import DAY, LEAVES, NEXT, SmallLake, _features, _label

PLANTED = [f"v{i:03d}" for i in range(60)]
GROUPS = {name: PLANTED[i - i % 5] for i, name in enumerate(PLANTED)}
MORE = ["long", "short", "words"]
FRAMES = np.arange(30.0).reshape(5, 6)  # five where two fit
VERDICTS = {"v000": "wrong", "v001": "hard", "v002": "clean", "v007": "wrong"}


def build(lake, date=DAY):
    """The day's snapshot and its examples by video."""
    lake.do(build_training_set, date)
    (snapshot,) = lake.rows(tables.SNAPSHOTS, date)
    return snapshot, {row.video_id: row for row in lake.rows(tables.TRAINING_EXAMPLES, date)}


def content(rows):
    """All of the rows but the date."""
    return {name: {n: v for n, v in row.asDict().items() if n != "data_date"} for name, row in rows.items()}


@pytest.fixture(scope="module")
def built(spark, tmp_path_factory):
    """One day: groups of five copies, some labels that were judged, and videos with too many, too few and no frames."""
    lake = SmallLake(spark, tmp_path_factory.mktemp("lake")).plant(len(PLANTED))
    given = [r.asDict() for r in lake.rows(tables.FEATURES)]
    lake.write(tables.FEATURES, [*given, _features("long", "visual", "v1", FRAMES), _features("short", "visual", "v1", FRAMES[:1])])
    texts = [r.asDict() for r in lake.rows(tables.TEXT_FEATURES)]
    lake.write(tables.TEXT_FEATURES, [*texts, _features("words", "text", "t1", np.ones((1, 5)))])
    lake.write(tables.VIDEOS, [{"video_id": v, "status": "text_only", "has_audio": False} for v in PLANTED + MORE])
    lake.arrive(PLANTED + MORE)
    nowhere = [_label("nothing is known of this one", "pets")]
    lake.write(tables.LABELS, [r.asDict() for r in lake.rows(tables.LABELS)] + [_label(v, "pets") for v in MORE] + nowhere)
    lake.write(tables.COPIES, [{"video_id": v, "copy_group": g} for v, g in GROUPS.items()])
    noise = [{"video_id": v, "label_id": LEAVES[int(v[1:]) % 4], "task": "category", "verdict": w} for v, w in VERDICTS.items()]
    # another label of v003 was wrong, not the one that stands
    lake.write(tables.LABEL_NOISE, [*noise, {"video_id": "v003", "label_id": LEAVES[0], "task": "category", "verdict": "wrong"}])
    snapshot, rows = build(lake)
    files = lake.run().files(tables.TRAINING_EXAMPLES, snapshot_id=snapshot.snapshot_id)
    vectors = {(r.video_id, r.modality): r["values"] for t in (tables.FEATURES, tables.TEXT_FEATURES) for r in lake.rows(t)}
    return SimpleNamespace(lake=lake, snapshot=snapshot, rows=rows, files=files, vectors=vectors)


def test_a_row_holds_the_videos_class_and_features(built):
    assert (built.snapshot.label_ids, built.snapshot.task) == (list(LEAVES), "category")
    for number, name in enumerate(PLANTED):
        if name not in built.rows:
            continue
        row = built.rows[name]
        assert (row.snapshot_id, row.weight) == (built.snapshot.snapshot_id, 1.0)
        assert row.targets == [float(number % 4 == place) for place in range(4)]
        assert (row.visual, row.visual_mask) == (built.vectors[name, "visual"], [1.0, 1.0])
        there = number % 5 > 0
        assert (row.text, row.text_mask) == (built.vectors[name, "text"] if there else [0.0] * 5, [float(there)])
        assert (row.audio, row.audio_mask) == ([], [])


def test_the_snapshot_counts_the_rows_of_each_split(built):
    splits = [row.split for row in built.rows.values()]
    counts = [splits.count(s) for s in ("train", "calibration", "evaluation")]
    assert counts == [built.snapshot.train_rows, built.snapshot.calibration_rows, built.snapshot.evaluation_rows]
    assert counts[0] > counts[2] > 0 == counts[1]  # too few for calibration


def test_labels_that_were_judged_wrong_and_videos_without_features_are_left_out(built):
    assert set(built.rows) == {*PLANTED, *MORE} - {"v000", "v007"}


def test_the_copies_of_a_video_are_all_learned_from_or_all_held_out(built):
    splits = {}
    for name in PLANTED:
        if name in built.rows:
            splits.setdefault(GROUPS[name], set()).add(built.rows[name].split)
    assert all(len(found) == 1 for found in splits.values())
    assert set.union(*splits.values()) == {"train", "evaluation"}


def test_of_many_frames_evenly_spaced_ones_are_kept_and_few_are_padded_and_masked(built):
    long, short, words = (built.rows[name] for name in MORE)
    assert (long.visual, long.visual_mask) == ([*FRAMES[0], *FRAMES[2]], [1, 1])
    assert (short.visual, short.visual_mask) == ([*FRAMES[0], *[0] * 6], [1, 0])
    assert (words.visual, words.visual_mask, words.text, words.text_mask) == ([0] * 12, [0, 0], [1] * 5, [1])


def test_the_files_hold_no_null_and_no_ragged_list_and_each_rank_gets_one(built):
    widths = {"targets": 4, "visual": 12, "visual_mask": 2, "audio": 0, "audio_mask": 0, "text": 5, "text_mask": 1}
    seen = []
    for file in built.files:
        table = parquet.ParquetFile(file.removeprefix("file://").removeprefix("file:")).read()
        seen.append(table["video_id"].to_pylist())
        assert [name for name in table.column_names if table[name].null_count] == []
        for name, width in widths.items():
            lists = table[name].combine_chunks()
            assert set(lists.value_lengths().to_pylist()) == {width}, name
            assert lists.flatten().null_count == 0, name
    assert len(seen) == 2  # training.ranks
    assert all(seen)
    assert sorted(seen[0] + seen[1]) == sorted(built.rows)


def test_the_id_holds_until_a_label_changes_and_then_the_new_snapshot_replaces_the_old_one(built):
    again, rows_again = build(built.lake)
    later, rows_later = build(built.lake, NEXT)
    assert len(built.snapshot.snapshot_id) == 12
    assert again.snapshot_id == later.snapshot_id == built.snapshot.snapshot_id
    assert content(rows_again) == content(rows_later) == content(built.rows)

    changed = [r.asDict() | ({"label_id": "pets"} if r.video_id == "v008" else {}) for r in built.lake.rows(tables.LABELS)]
    built.lake.write(tables.LABELS, changed)
    other, rows = build(built.lake)
    assert other.snapshot_id != again.snapshot_id
    assert (rows_again["v008"].targets, rows["v008"].targets) == ([1, 0, 0, 0], [0, 0, 1, 0])
    assert {row.snapshot_id for row in rows.values()} == {other.snapshot_id}
    assert set(rows) == set(rows_again)


def test_too_few_labels_step_aside_and_say_how_many_are_missing(spark, tmp_path):
    lake = SmallLake(spark, tmp_path).plant(29)
    with pytest.raises(StepAside, match=r"29 labelled videos with features for task category; .*minimum_labels = 30"):
        lake.do(build_training_set)
    assert lake.rows(tables.SNAPSHOTS) == lake.rows(tables.TRAINING_EXAMPLES) == []
