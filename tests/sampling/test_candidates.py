"""Which videos are settled, and the queue that people label from: both for one planted history."""

import datetime as dt

import numpy as np
import pytest

from reelhouse import tables
from reelhouse.labels import Taxonomy
from reelhouse.labels.fold import fold_answers
from reelhouse.lake import catalog
from reelhouse.sampling.candidates import groups_and_covered, keep_at_most, keep_with_settled, settled_videos
from tests.jobs.small_lake import TREE, SmallLake, _label

FIRST, SECOND, THIRD = (dt.date(2026, 1, day) for day in (1, 2, 3))
QUEUED = {"task": "category", "rank": 1, "reason": "r", "is_random": False}
# video: days of its batch, its export and its answer (None: never), the answer; whether it is settled on the third day; in the queue
HISTORY = {
    "fresh": (None, None, None, 0, False, False),
    "chosen": (FIRST, None, None, 0, True, True),
    "handed_out": (FIRST, FIRST, None, 0, True, False),
    "yes": (FIRST, FIRST, SECOND, 1, True, False),
    "no": (FIRST, FIRST, SECOND, 0, True, False),
    "disputed": (FIRST, FIRST, SECOND, -1, False, True),
    "disputed_at_once": (FIRST, SECOND, SECOND, -1, False, True),
    "handed_out_again": (FIRST, THIRD, SECOND, -1, True, False),
    "chosen_again": (THIRD, FIRST, SECOND, -1, True, True),
    "of_another_task": (FIRST, FIRST, SECOND, -1, False, True),
}


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    made = SmallLake(spark, tmp_path_factory.mktemp("lake"))
    for day in (FIRST, SECOND, THIRD):
        of_day = {n: [v for v, facts in HISTORY.items() if facts[n] == day] for n in range(3)}
        table = tables.ACTIVE_BATCH if day == THIRD else tables.SAMPLE_BATCH
        made.write(table, [{"video_id": v, **QUEUED} for v in of_day[0]], day)
        exports = [{"event_id": v, "video_id": v, "task": "category", "batch": "b"} for v in of_day[1]]
        made.write(tables.LABEL_EXPORTS, exports, day, batch="b")
        labels = [_label(v, "pets", HISTORY[v][3]) for v in of_day[2]]
        others = [_label("of_another_task", "x", 1) | {"task": "domain"}] if day == SECOND else []
        made.write(tables.LABELS, labels + others, day)
    # the batch from before it was disputed
    made.write(tables.SAMPLE_BATCH, [{"video_id": "chosen_again", **QUEUED}], SECOND)
    return made


def test_a_video_without_an_answer_is_settled_only_by_what_came_after_its_dispute(lake):
    run = lake.run(date=THIRD)
    batches = run.upto(tables.SAMPLE_BATCH), run.upto(tables.ACTIVE_BATCH)
    found = settled_videos("category", run.current(tables.LABELS), run.upto(tables.LABEL_EXPORTS), *batches)
    assert sorted(r.video_id for r in found.collect()) == sorted(v for v, facts in HISTORY.items() if facts[4])


def test_the_queue_shows_each_video_once_and_disputed_ones_again(lake):
    catalog.register(lake.lake, "SELECT * FROM gold.label_queue")
    rows = lake.lake.spark.sql("SELECT video_id, chosen_by, data_date FROM gold.label_queue ORDER BY video_id").collect()
    wanted = {v: facts[0] for v, facts in sorted(HISTORY.items()) if facts[5]}
    assert [(r.video_id, r.data_date) for r in rows] == list(wanted.items())
    assert [r.chosen_by for r in rows] == ["active" if day == THIRD else "density" for day in wanted.values()]


# who said what, oldest first; whether the video is answered
SAID = {
    "a tie": ([("food.noodles", "ann", 1), ("pets", "bob", 1)], False),
    "a tie, and no to a third": ([("sport", "ann", 0), ("pets", "ann", 1), ("food.noodles", "bob", 1)], False),
    "a tie below what a third says": ([("food.noodles", "ann", 1), ("food.baking", "bob", 1), ("food", "cy", 1)], False),
    "settled by a third": ([("food.noodles", "ann", 1), ("food.baking", "bob", 1), ("food.baking", "cy", 1)], True),
    "yes to both levels": ([("food.noodles", "ann", 1), ("food", "bob", 1)], True),
    "no, then cannot say": ([("pets", "ann", 0), ("sport", "ann", -1)], True),
    "cannot say": ([("pets", "ann", -1)], False),
}


def test_a_contest_keeps_a_video_open_whatever_else_was_said_of_it(spark, tmp_path):
    made, tree = SmallLake(spark, tmp_path), Taxonomy.from_dict(TREE)
    rows = [
        {"video_id": video, "task": "category", **vars(row), "taxonomy_version": tree.version}
        for video, (answers, _) in SAID.items()
        for row in fold_answers(answers, tree, 0.6)
    ]
    made.write(tables.LABELS, rows, FIRST)
    made.write(tables.SAMPLE_BATCH, [{"video_id": video, **QUEUED} for video in SAID], FIRST)
    run, is_open = made.run(date=FIRST), sorted(video for video, (_, is_answered) in SAID.items() if not is_answered)
    found = settled_videos("category", run.current(tables.LABELS), run.upto(tables.LABEL_EXPORTS))
    assert sorted(SAID.keys() - {r.video_id for r in found.collect()}) == is_open
    catalog.register(made.lake, "SELECT * FROM gold.label_queue")
    assert [r.video_id for r in made.lake.spark.sql("SELECT video_id FROM gold.label_queue ORDER BY video_id").collect()] == is_open


def test_of_too_many_videos_those_of_the_smallest_hash_are_kept(spark):
    vectors = spark.createDataFrame([(f"v{n}", [float(n)]) for n in range(10)], "video_id string, vector array<double>")
    kept, left_out = keep_at_most(vectors, 4)
    # xxhash64 puts them in the order v4, v1, v3, v5, v0, v2, v6, ...
    assert ({(r.video_id, r.vector[0]) for r in kept.collect()}, left_out) == ({("v4", 4.0), ("v1", 1.0), ("v3", 3.0), ("v5", 5.0)}, 6)
    kept, left_out = keep_at_most(vectors, 10)
    assert (kept.count(), left_out) == (10, 0)


def test_those_that_are_settled_are_kept_besides_as_many_again_at_most(spark):
    rows = spark.createDataFrame([(f"v{n}",) for n in range(10)], "video_id string")
    settled = spark.createDataFrame([("v6",), ("v4",), ("v2",), ("gone",)], "video_id string")
    for most, ids in ((4, {"v4", "v1", "v3", "v5", "v2", "v6"}), (1, {"v4", "v2"}), (10, {f"v{n}" for n in range(10)})):
        kept, left_out = keep_with_settled(rows, settled, most)
        assert ({r.video_id for r in kept.collect()}, left_out) == (ids, 10 - most)


def test_a_group_is_covered_where_one_of_its_videos_is_settled_whether_that_is_asked_for_or_not(spark):
    copies = spark.createDataFrame([("a", "a"), ("b", "a"), ("c", "a"), ("d", "d"), ("e", None)], "video_id string, copy_group string")
    settled = spark.createDataFrame([("c",), ("d",), ("gone",)], "video_id string")
    videos = spark.createDataFrame([(v,) for v in ("f", "e", "b", "without a vector", "a", "d")], "video_id string")
    groups, covered = groups_and_covered(np.array(["a", "b", "d", "e", "f"]), videos, copies, settled)
    # a and b are copies of c; f is in no row of copies
    assert groups.tolist() == [0, 0, 1, 2, 3]
    assert covered.tolist() == [True, True, True, False, False]
