"""The queue of a small planted lake: which videos in which order, as of a day and now, and what a person needs to see of each."""

import datetime as dt

import pytest

from reelhouse import tables
from reelhouse.labelling.queue import Frame, QueuedVideo, Suggestion, read_queue
from tests.jobs.small_lake import DAY, NEXT, SmallLake
from tests.labelling.planted import BLUE, RED, jpeg

BEFORE = DAY - dt.timedelta(days=1)


def chosen(video, rank, **values):
    return {"video_id": video, "task": "category", "rank": rank, "reason": f"why {video}", "is_random": False} | values


def labelled(video, answer):
    facts = {"agreement": 1.0, "annotators": 1, "source": "people", "taxonomy_version": "t"}
    return {"video_id": video, "task": "category", "label_id": "pets", "answer": answer, **facts}


def handed_out(event, video):
    return {"event_id": event, "video_id": video, "task": "category"}


def frame(video, number, colour):
    return {
        "video_id": video, "frame_index": number, "timestamp_seconds": 1.5 * number, "jpeg": jpeg(colour), "perceptual_hash": 0,
    }  # fmt: skip


@pytest.fixture(scope="module")
def small(spark, tmp_path_factory):
    """DAY: v1, v2, v3, v6 by density, v4, v5 by active learning; v3 was labelled, v5 handed out, v6 taken down. NEXT: v1 was labelled."""
    made = SmallLake(spark, tmp_path_factory.mktemp("queue") / "w")
    ids = [f"v{n}" for n in range(1, 7)]
    made.write(tables.SAMPLE_BATCH, [chosen("v1", 2), chosen("v2", 1), chosen("v3", 3), chosen("v6", 1)])
    made.write(tables.ACTIVE_BATCH, [chosen("v4", 1, is_random=True), chosen("v5", 2)])
    made.write(tables.LABELS, [labelled("v3", 1)])
    made.write(tables.LABELS, [labelled("v1", 0)], NEXT)
    made.write(tables.LABEL_EXPORTS, [handed_out("e1", "v5")], BEFORE, batch="inbox/exports/a.jsonl")
    made.write(tables.DELETIONS, [{"video_id": "v6"}], NEXT)
    made.write(tables.VIDEOS, [{"video_id": v, "status": "ok", "has_audio": False, "uri": f"/videos/{v}.mp4"} for v in ids])
    words = {"text": "t", "language": "en", "is_meaningful": True}
    texts = {"title": "a title", "caption": "a caption", "hashtags": ["one", "two"], "ocr_text": "read", "asr_text": None}
    made.write(tables.VIDEO_TEXT, [{"video_id": v, **words, **(texts if v == "v2" else {})} for v in ids])
    made.write(tables.FRAMES, [frame("v2", 1, BLUE), frame("v2", 0, RED)])
    top = [("food.baking", "美食/烘焙", 0.75), ("pets", "宠物", 0.125)]
    for model, rows in (("m1", [("x", "old", 1.0)]), ("m2", top)):
        made.write(tables.PREDICTIONS, [{"video_id": "v2", "task": "category", "top": rows}], model_version=model)
    served = {"embedding_collection": "e", "hash_collection": "h", "videos": 1}
    made.write(tables.SERVING, [{"model_version": "m1", **served}], BEFORE)
    made.write(tables.SERVING, [{"model_version": "m2", **served}])
    return made


def test_a_question_carries_what_a_person_needs_to_see(small):
    first = read_queue(small.lake, 1, DAY)
    assert first == [
        QueuedVideo(
            "v2", "category", 1, "why v2", "density", DAY, False,
            title="a title",
            texts=(("caption", "a caption"), ("hashtags", "#one #two"), ("in the picture", "read")),
            suggestions=(Suggestion("food.baking", "美食/烘焙", 0.75), Suggestion("pets", "宠物", 0.125)),
            frames=(Frame(0.0, jpeg(RED)), Frame(1.5, jpeg(BLUE))),
            uri="/videos/v2.mp4",
        )
    ]  # fmt: skip


def test_the_queue_of_a_day_goes_by_rank_without_what_was_answered_handed_out_or_taken_down_by_then(small):
    found = read_queue(small.lake, 10, DAY)
    assert [(v.video_id, v.rank, v.chosen_by, v.is_random) for v in found] == [
        ("v2", 1, "density", False), ("v4", 1, "active", True), ("v1", 2, "density", False),
    ]  # fmt: skip
    assert [v.video_id for v in read_queue(small.lake, 2, DAY)] == ["v2", "v4"]
    assert found[1].frames == found[1].suggestions == found[1].texts == ()
    assert read_queue(small.lake, 10, BEFORE) == []


def test_now_is_as_of_the_newest_day(small):
    assert [v.video_id for v in read_queue(small.lake, 10)] == ["v2", "v4"], "v1 was answered on the next day"


def test_hand_outs_that_wait_in_the_inbox_count_and_those_that_were_taken_in_do_not_twice(small):
    waiting = [("e2", "v2", "category"), ("e3", "v4", "another task")]
    assert [v.video_id for v in read_queue(small.lake, 10, DAY, waiting)] == ["v4", "v1"]
    # v5 was handed out by e1 and has come back without an answer: it is open again, although the inbox's file is still there
    back = small.lake.root + "-back"
    made = SmallLake(small.lake.spark, back)
    made.write(tables.ACTIVE_BATCH, [chosen("v5", 1)])
    made.write(tables.LABEL_EXPORTS, [handed_out("e1", "v5")], BEFORE, batch="inbox/exports/a.jsonl")
    made.write(tables.LABELS, [labelled("v5", -1)])
    assert [v.video_id for v in read_queue(made.lake, 10, DAY, [("e1", "v5", "category")])] == ["v5"]


def test_the_view_that_analysts_ask_says_the_same(small):
    from reelhouse.lake import catalog

    statement = "select video_id from gold.label_queue order by rank, chosen_by desc, video_id"
    catalog.register(small.lake, statement)
    assert [r.video_id for r in small.lake.spark.sql(statement).collect()] == [v.video_id for v in read_queue(small.lake, 10)]
