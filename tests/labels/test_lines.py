"""One line -> one event, or the rule that it broke."""

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.labels import Taxonomy
from reelhouse.labels.lines import EXPORTS, LABELS, REVIEWS, line_fields, parse_line
from reelhouse.sources.values import RowError

TREES = {
    "category": Taxonomy.from_dict(
        {"task": "category", "labels": [{"id": "food", "name": "美食"}, {"id": "tea", "name": "奶茶", "parent": "food"}]}
    )
}
AT = "2026-01-02T08:30:00+08:00"
GOOD = {"event_id": "e1", "video_id": "v1", "label": "美食/奶茶", "answer": 1, "annotator_id": "ann", "answered_at": AT}
NEEDED = "(a line of labels/ needs video_id, label, answer, annotator_id, answered_at)"


def line(**changes: object) -> bytes:
    content = {**GOOD, **changes}
    return json.dumps({k: v for k, v in content.items() if v is not ...}, ensure_ascii=False).encode()


def test_a_label_line_becomes_an_event_in_utc_with_the_default_task() -> None:
    assert parse_line(LABELS, line(extra="ignored", video_id=17), TREES) == {
        "event_id": "e1",
        "video_id": "17",
        "task": "category",
        "label_id": "tea",
        "answer": 1,
        "annotator_id": "ann",
        "answered_at": dt.datetime(2026, 1, 2, 0, 30, tzinfo=dt.UTC),
    }


def test_every_field_of_a_line_is_explained_and_the_examples_of_a_folder_make_a_line_that_is_taken() -> None:
    rows = line_fields()
    of_review = {row["column"]: (row["needed"], row["meaning"]) for row in rows if row["file"] == "tag_reviews/*.jsonl"}
    assert of_review["decision"] == ("yes", "what is decided: accept, reject, block")
    assert {name for name, (needed, _) in of_review.items() if needed == "yes"} == {"phrase", "decision", "reviewer_id", "reviewed_at"}
    for kind in (LABELS, EXPORTS, REVIEWS):
        example = {row["column"]: row["example"] for row in rows if row["file"] == f"{kind.folder}/*.jsonl"}
        example |= {"label": "奶茶", "answer": 1} if kind is LABELS else {}
        parse_line(kind, json.dumps(example).encode(), TREES)


def test_without_an_event_id_the_content_names_the_event() -> None:
    first = parse_line(LABELS, line(event_id=...), TREES)
    same = parse_line(LABELS, line(event_id="", label="tea", answered_at="2026-01-02T00:30:00Z", extra=1), TREES)
    other = parse_line(LABELS, line(event_id=..., answer=0), TREES)
    assert first["event_id"] == same["event_id"] != other["event_id"]
    assert len(first["event_id"]) == 32


def test_hand_outs_and_reviews() -> None:
    at = {"exported_at": "2026-01-02T00:00:00Z"}
    assert parse_line(EXPORTS, json.dumps({"event_id": "x", "video_id": "v", "task": "category", **at}).encode(), TREES) == {
        "event_id": "x",
        "video_id": "v",
        "task": "category",
        "exported_at": dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
    }
    review = {"event_id": "r", "phrase": " 手工咖啡 ", "decision": "block", "reviewer_id": "ann", "reviewed_at": "2026-01-02"}
    assert parse_line(REVIEWS, json.dumps(review).encode(), TREES)["phrase"] == "手工咖啡"
    with pytest.raises(RowError, match="decision must be one of accept, reject, block, got 'maybe'"):
        parse_line(REVIEWS, json.dumps({**review, "decision": "maybe"}).encode(), TREES)


@pytest.mark.parametrize(
    ("broken", "rule", "reason"),
    [
        (line(answer=2), "bad_answer", "answer must be 1 (yes), 0 (no) or -1 (cannot say), got 2"),
        (line(answer=True), "bad_answer", "answer must be 1 (yes), 0 (no) or -1 (cannot say), got True"),
        (line(answer="1"), "bad_answer", "answer must be 1 (yes), 0 (no) or -1 (cannot say), got '1'"),
        (line(answer=1.0), "bad_answer", "answer must be 1 (yes), 0 (no) or -1 (cannot say), got 1.0"),
        (
            line(video_id=..., annotator_id="  ", answered_at=None),
            "missing_field",
            f"video_id, annotator_id, answered_at must be given {NEEDED}",
        ),
        (
            line(annotator_id=" manifest "),
            "bad_annotator",
            "annotator_id 'manifest' stands for what came with the videos: give the name of who answered",
        ),
        (line(task="mood"), "unknown_task", "there is no label tree for task 'mood' (known: category)"),
        (
            line(label="奶荼"),
            "unknown_label",
            "'奶荼' is no label of category, or more than one; nearest: 美食/奶茶. Give its id or its whole path.",
        ),
        (
            line(label="zzz"),
            "unknown_label",
            "'zzz' is no label of category, or more than one; nothing in it looks like that. Give its id or its whole path.",
        ),
        (line(answered_at="soon"), "bad_timestamp", "answered_at must be a time like 2026-01-02T08:30:00Z or Unix seconds, got 'soon'"),
        (line(video_id="x" * 257), "bad_id", "video_id must be one line of at most 256 bytes"),
        (line(label=["tea"]), "bad_type", "label must be text, got list ['tea']"),
        (
            line(label=["tea", "?"]).replace(b"?", b"\\ud800"),
            "several_labels",
            "a video has one label of a tree, at any level: keep one of ['tea', '\\ud800']",
        ),
        (b"[1]", "bad_json", "the line must be a JSON object {...}, got a list"),
        (b'{"video_id": ', "bad_json", "the line is no JSON: "),
        (b"[" * 100_000, "bad_json", "the line is no JSON: "),
        (b'{"a": "\xff"}', "bad_encoding", "the line is not UTF-8 (invalid start byte at byte 7): save the file as UTF-8"),
        (b" " * 1_000_001, "too_long", "the line has 1,000,001 bytes, more than 1,000,000: is a newline missing?"),
    ],
)
def test_a_broken_line_names_its_rule_and_the_way_out(broken: bytes, rule: str, reason: str) -> None:
    with pytest.raises(RowError) as caught:
        parse_line(LABELS, broken, TREES)
    assert caught.value.rule == rule
    assert str(caught.value).startswith(reason)


TEXTS = ["", " ", "tea", "\ud800", "\x00", "2026-02-30"]
ODD = st.sampled_from([None, True, 0, -1, 3, 1.5, float("nan"), 10**30, [], ["tea"], {}, {"a": 1}, *TEXTS])


@given(st.dictionaries(st.sampled_from([*GOOD, "task"]), ODD), st.sampled_from([LABELS, EXPORTS, REVIEWS]))
def test_any_json_gives_an_event_of_the_right_types_or_a_named_rule(values: dict, kind: object) -> None:
    rule = None
    try:
        event = parse_line(kind, json.dumps({**GOOD, **values}).encode(), TREES)
    except RowError as error:
        rule = error.rule
    assert rule != "" if rule is not None else None not in event.values()
    assert rule is not None or kind is not LABELS or event["answer"] in (1, 0, -1)


@given(st.binary(max_size=60))
def test_any_bytes_give_an_event_or_a_named_rule(data: bytes) -> None:
    with pytest.raises(RowError):
        parse_line(LABELS, data, TREES)
