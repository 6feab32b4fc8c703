import datetime as dt

import pytest

from reelhouse.sample import Truth, score_sample
from reelhouse.sample.score import NOT_RUN

DAY = dt.date(2026, 1, 1)


def video(video_id, label="food.coffee", **values):
    plain = {"date": "2026-01-01", "kind": "original", "damage": None, "has_picture": True, "has_sound": True, "text": "leaf"}
    return {"video_id": video_id, "label_id": label, "title_kind": "plain", "is_labelled": False, **plain, **values}


TRUTH = Truth(
    videos=[
        video("a"),
        video("b", title_kind="file_name"),
        video("c", title_kind="timestamp", has_sound=False),
        video("w", text="none", is_labelled=True),
        video("t", has_picture=False, has_sound=False, is_labelled=True),
        video("d", "pets.cats", text="none", is_labelled=True),
        video("e", "pets.cats", is_labelled=True),
        video("x", damage="truncated"),
        video("y", damage="zero_byte"),
    ],
    copies=[{"video_id": "b", "copy_of": "a"}, {"video_id": "c", "copy_of": "a"}],
    wrong_labels=[
        {"video_id": "d", "task": "category", "label_id": "pets.dogs", "true_label_id": "pets.cats"},
        {"video_id": "e", "task": "category", "label_id": "pets.birds", "true_label_id": "pets.cats"},
    ],
    refused_rows=[
        {"rule": "bad_timestamp", "video_id": "bad", "date": "2026-01-01"},
        {"rule": "duplicate_id", "video_id": "a", "date": "2026-01-01"},
    ],
    unknown_labels=[{"date": "2026-01-01", "event_id": "outside-1"}],
    tags=[
        {"phrase": "手工咖啡", "is_born": False, "date": "2026-01-01"},
        {"phrase": "Street Dance", "is_born": False, "date": "2026-01-01"},
        {"phrase": "围炉煮茶", "is_born": True, "date": "2026-01-01"},
    ],
)  # fmt: skip


@pytest.fixture(scope="module")
def tables(spark):
    best = "array<struct<label_id:string,path:string,probability:double>>"
    made = {
        "ops.quarantine": (
            "table string, rule string, row_key string, row string, video_id string",
            [
                ("bronze.video_arrivals", "bad_timestamp", "m:1", "{}", "bad"),
                ("silver.videos", "not_a_video", "x", None, "x"),
                ("silver.videos", "no_frames", "b", None, "b"),
                ("silver.videos", "no_frames", "z", None, "not of the sample"),
                ("bronze.label_events", "unknown_label", "annotator1.jsonl:9", '{"event_id": "outside-1"}', "a"),
            ],
        ),
        "silver.video_text": (
            "video_id string, meaningless_reason string, is_meaningful boolean",
            [
                ("a", "file_name", True),
                ("b", "file_name", False),
                ("c", None, True),
                ("d", "empty", False),
                ("x", "timestamp", False),
            ],
        ),
        "gold.embeddings": ("video_id string", [("a",), ("c",), ("x",)]),
        "silver.videos": (
            "video_id string, has_audio boolean, status string",
            [("a", True, "ok"), ("b", False, "ok"), ("c", False, "ok"), ("d", False, "text_only")],
        ),
        "silver.copies": ("video_id string, copy_group string", [("a", "a"), ("b", "a"), ("c", "c"), ("d", "d"), ("e", "d")]),
        "gold.label_noise": (
            "video_id string, task string, label_id string, verdict string, score double, suggested_label_id string",
            [
                ("d", "category", "pets.dogs", "wrong", 0.9, "pets.cats"),
                ("a", "category", "food.coffee", "wrong", 0.8, "food.baking"),
                ("e", "category", "pets.birds", "hard", 0.1, None),
            ],
        ),
        "gold.tag_library": (
            "tag_id string, tag string, state string, first_seen date",
            [("1", "手工咖啡", "active", DAY), ("2", "street dance", "candidate", DAY), ("3", "围炉煮茶", "rejected", DAY)],
        ),
        "gold.predictions": (
            f"video_id string, model_version string, task string, top {best}",
            [
                ("a", "m1", "category", [("food.coffee", "", 0.9)]),
                ("b", "m1", "category", [("food.baking", "", 0.9)]),
                ("d", "m1", "category", [("pets.cats", "", 0.9)]),
                ("c", "old", "category", [("food.coffee", "", 0.9)]),
            ],
        ),
        "ops.serving": ("model_version string", [("m1",)]),
    }
    return {
        name: spark.createDataFrame([(*row, DAY) for row in rows], f"{schema}, data_date date") for name, (schema, rows) in made.items()
    }


def test_every_planted_thing_is_counted_by_hand(tables):
    scores = {s.what: (s.planted, s.found, s.precision) for s in score_sample(TRUTH, tables)}
    assert scores == {
        "broken files refused": (2, 1, 0.5),  # x was found; b was refused and is whole
        "bad manifest rows refused": (2, 1, None),
        "labels outside the tree refused": (1, 1, None),
        "meaningless titles": (2, 1, 0.5),  # b found, c missed, a flagged wrongly; broken x does not count
        "videos without sound": (1, 1, 0.5),
        "videos without words": (2, 1, 0.5),  # d found, w missed, b flagged wrongly; broken x does not count
        "videos without sound: with a vector nonetheless": (1, 1, None),
        "videos without words: with a vector nonetheless": (2, 0, None),
        "texts without a video: with a vector nonetheless": (1, 0, None),
        "pairs of near-copies": (3, 1, 0.5),  # a-b of a-b, a-c, b-c; d-e is none
        "wrong labels": (2, 1, 0.5),
        "wrong labels among as many of the highest score": (2, 1, None),
        "wrong labels found: right class suggested": (1, 1, None),
        "common phrases in the tag library": (2, 2, None),
        "phrases born on the last day": (1, 0, None),
        "class of unlabelled videos": (3, 1, None),
        "top class of unlabelled videos": (3, 2, None),
        "class of unlabelled videos, mid classes": (3, 1, None),
        "class of unlabelled videos, no sound": (1, 0, None),
    }


def test_a_newer_row_of_a_key_replaces_the_older(tables, spark):
    newer = spark.createDataFrame(
        [("c", "timestamp", True, dt.date(2026, 1, 2)), ("a", None, True, dt.date(2026, 1, 2))], tables["silver.video_text"].schema
    )
    both = tables | {"silver.video_text": newer.unionByName(tables["silver.video_text"])}
    titles = next(s for s in score_sample(TRUTH, both) if s.what == "meaningless titles")
    assert (titles.found, titles.recall, titles.precision) == (2, 1.0, 1.0)


def test_what_was_not_run_says_so(tables):
    empty = {name: frame.limit(0) for name, frame in tables.items()}
    for given in ({}, empty, lambda name: None):
        scores = score_sample(TRUTH, given)
        assert [(s.found, s.precision, s.recall) for s in scores] == [(None, None, None)] * len(scores)
        assert {s.note for s in scores} == {NOT_RUN}
        assert {s.what: s.planted for s in scores}["wrong labels"] == 2
