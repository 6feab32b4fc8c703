"""The queue of a small planted lake: which videos in which order, as of a day and now, and what a person needs to see of each."""

import datetime as dt

import pytest

from reelhouse import tables
from reelhouse.labelling.desk import Desk, key_of
from reelhouse.labelling.inbox import Answer
from reelhouse.labelling.queue import Frame, QueuedVideo, Suggestion, read_queue, suggested
from tests.jobs.small_lake import DAY, NEXT, SmallLake
from tests.labelling.planted import BLUE, MOVED, RED, jpeg

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


def test_what_people_disagree_about_is_asked_of_others_whatever_brought_the_answers(spark, tmp_path):
    """Nobody ever chose v1 to v5. Of v1 and v2 people say different things, of v3 all could not say, v4 is agreed on, v5 was handed out."""
    made = SmallLake(spark, tmp_path)
    said = {"v1": (-1, 0.5), "v2": (-1, 0.55), "v3": (-1, None), "v4": (1, 0.6), "v5": (-1, 0.5), "v6": (-1, 0.5)}
    made.write(tables.LABELS, [labelled(v, answer) | {"agreement": share} for v, (answer, share) in said.items()])
    made.write(tables.SAMPLE_BATCH, [chosen("v6", 7)], BEFORE)
    made.write(tables.LABEL_EXPORTS, [handed_out("e0", "v1")], DAY, batch="inbox/exports/a.jsonl")
    made.write(tables.LABEL_EXPORTS, [handed_out("e1", "v5")], NEXT, batch="inbox/exports/b.jsonl")
    made.write(tables.LABEL_EVENTS, [event("a1", "v1", "ann"), event("a2", "v1", "bob", label_id="sport")], batch="b", source_file="f")
    asked = read_queue(made.lake, 10)
    assert [(v.video_id, v.rank, v.reason, v.chosen_by, v.chosen_on) for v in asked] == [
        ("v1", 1, "people disagree about it", "disagreement", DAY), ("v2", 3, "people disagree about it", "disagreement", DAY),
        ("v6", 7, "why v6", "density", BEFORE),
    ]  # fmt: skip
    assert asked[0].undecided == {"a1", "a2"}
    made.write(tables.LABELS, [labelled("v1", 1), labelled("v5", -1) | {"agreement": 0.5}], NEXT)
    assert [v.video_id for v in read_queue(made.lake, 10)] == ["v5", "v2", "v6"], "v1 is settled, v5 came back"


def event(event_id, video, person, answer=1, label_id="pets"):
    facts = {"task": "category", "label_id": label_id, "answer": answer, "annotator_id": person, "taxonomy_version": "t"}
    return {"event_id": event_id, "video_id": video, "source_row": 1, **facts}


def verdict(video, score, suggestion="food.pasta", verdict="wrong"):
    found = {"suggested_label_id": suggestion, "suggestion_confidence": 0.75}
    return {"video_id": video, "task": "category", "label_id": "pets", "score": score, "verdict": verdict, **found}


@pytest.fixture(scope="module")
def suspected(spark, tmp_path_factory):
    """DAY: v1 waits; labels of s1 to s8 look wrong, of h1 hard. s8 was answered with no. NEXT: people said something of s1, s2, s3; s4
    was handed out; the manifest said s5 again; s6 is judged again; s7 waits in a batch."""
    made = SmallLake(spark, tmp_path_factory.mktemp("suspects") / "w")
    ids = [f"s{n}" for n in range(1, 9)]
    made.write(tables.TAXONOMY, [dict(zip(tables.TAXONOMY.undated, row, strict=True)) for row in MOVED.rows()])
    made.write(tables.SAMPLE_BATCH, [chosen("v1", 3), chosen("s7", 4), chosen("s6", 9)])
    made.write(tables.LABELS, [labelled(v, int(v != "s8")) for v in [*ids, "h1"]])
    made.write(tables.LABEL_NOISE, [verdict(v, n / 10) for n, v in enumerate(ids)] + [verdict("h1", 2.0, verdict="hard")])
    made.write(tables.LABEL_EXPORTS, [handed_out(v, v) for v in ids], DAY, batch="inbox/exports/a.jsonl")
    made.write(tables.LABEL_EVENTS, [event(f"{v} first", v, "ann") for v in ids], batch="b", source_file="f")
    said = [event("1", "s1", "bob"), event("2", "s2", "bob", label_id="sport"), event("3", "s3", "bob", -1, "food.noodles")]
    made.write(tables.LABEL_EVENTS, [*said, event("5", "s5", "manifest")], NEXT, batch="c", source_file="f")
    made.write(tables.LABEL_EXPORTS, [handed_out("again", "s4")], NEXT, batch="inbox/exports/b.jsonl")
    made.write(tables.LABEL_NOISE, [verdict("s1", 0.9), verdict("s6", 0.1, None)], NEXT)
    made.write(tables.LABELS, [labelled("s7", 1), labelled("s7", -1) | {"label_id": "sport"}], NEXT)
    return made


def test_labels_that_look_wrong_come_after_all_else_worst_first(suspected):
    asked = read_queue(suspected.lake, 10, DAY)
    assert [(v.video_id, v.rank) for v in asked] == [
        ("v1", 3), ("s7", 4), ("s6", 5), ("s5", 6), ("s4", 7), ("s3", 8), ("s2", 9), ("s1", 10),
    ]  # fmt: skip
    first = asked[3]
    assert (first.chosen_by, first.chosen_on, first.undecided) == ("suspect", DAY, {"s5 first"})
    assert first.reason == "given 宠物, which looks like 美食/面条 (noise score 0.40)"
    assert suggested(first, MOVED) == [Suggestion("food.noodles", "美食/面条", 0.75)]
    assert [v.video_id for v in read_queue(suspected.lake, 3, DAY)] == ["v1", "s7", "s6"], "no more than asked for"


def test_whatever_a_person_says_of_a_suspect_ends_it_and_so_does_a_hand_out(suspected):
    asked = read_queue(suspected.lake, 10)
    assert [(v.video_id, v.chosen_by) for v in asked] == [("v1", "density"), ("s7", "density"), ("s5", "suspect"), ("s6", "suspect")]
    assert (asked[-1].reason, asked[-1].proposed, asked[-1].chosen_on) == ("given 宠物, which looks wrong (noise score 0.10)", None, DAY)
    assert [v.video_id for v in read_queue(suspected.lake, 10, handed_out=[("e", "s5", "category")])] == ["v1", "s7", "s6"]


def test_a_suspect_is_asked_of_others_than_who_gave_it(suspected):
    (asked,) = [v for v in read_queue(suspected.lake, 10) if v.video_id == "s5"]
    desk = Desk([asked], 1, 300.0, lambda: 0.0)
    desk.record(Answer("s5 first", "s5", "category", "pets", 1, "ann", "2026-01-02T00:00:00+00:00"))
    assert (desk.next("ann"), desk.next("bob")) == (None, key_of(asked))
    desk.record(Answer("later", "s5", "category", "pets", 1, "bob", "2026-01-03T00:00:00+00:00"))
    assert (desk.next("cy"), desk.progress().answered) == (None, 1), "that merely says it again"


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
