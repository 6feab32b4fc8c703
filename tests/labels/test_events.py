"""Lines and categories as rows of the bronze tables, on Spark."""

import datetime as dt
import json
from dataclasses import astuple
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from reelhouse import tables
from reelhouse.labels import Taxonomy
from reelhouse.labels.delivered import delivered_files
from reelhouse.labels.events import CHUNK_SCHEMA, manifest_events, parse_chunks, split_new, without_told
from reelhouse.labels.lines import LABELS, REVIEWS, LineKind

LABEL_ROWS = [{"id": "food", "name": "美食"}, {"id": "tea", "name": "奶茶", "parent": "food"}, {"id": "sport", "name": "体育"}]
TREE = Taxonomy.from_dict({"task": "category", "labels": LABEL_ROWS})
TREES = {"category": TREE}
D1, D2 = dt.date(2026, 1, 1), dt.date(2026, 1, 2)


def answer(event_id: str | None = "e1", video_id: str = "v1", label: str = "tea", value: object = 1) -> str:
    content = {"event_id": event_id, "video_id": video_id, "label": label, "answer": value, "annotator_id": "ann"}
    return json.dumps(content | {"answered_at": "2026-01-02T09:00:00Z"}) + "\n"


def parsed(spark: SparkSession, root: Path, files: dict[str, str], kind: LineKind = LABELS, block_bytes: int = 64) -> DataFrame:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    chunks = [
        astuple(chunk) for file in delivered_files("", str(root), D2, block_bytes) if file.folder == kind.folder for chunk in file.chunks
    ]
    return parse_chunks(spark.createDataFrame(chunks, CHUNK_SCHEMA), kind, TREES)


def earlier(spark: SparkSession, *rows: dict) -> DataFrame:
    schema = tables.LABEL_EVENTS.spark_schema()
    base = dict.fromkeys(schema.names) | {"task": "category", "annotator_id": "ann", "answer": 1, "batch": "b", "source_row": 1}
    base |= {"answered_at": dt.datetime(2026, 1, 2, 9), "data_date": D1, "taxonomy_version": "t"}
    return spark.createDataFrame([{**base, **row} for row in rows], schema)


def test_lines_of_many_chunks_keep_their_file_and_number(spark: SparkSession, tmp_path: Path) -> None:
    content = answer("a") + "\n" + "not json\n" + answer("b", value=7) + answer("c", label="体育")
    rows = parsed(spark, tmp_path, {"labels/x.jsonl": content, "labels/y.jsonl": answer("d")}).orderBy("batch", "source_row").collect()
    assert [(r.batch, r.source_row, r.event_id, r.label_id, r.rule) for r in rows] == [
        ("inbox/labels/x.jsonl", 1, "a", "tea", None),
        ("inbox/labels/x.jsonl", 3, None, None, "bad_json"),
        ("inbox/labels/x.jsonl", 4, None, None, "bad_answer"),
        ("inbox/labels/x.jsonl", 5, "c", "sport", None),
        ("inbox/labels/y.jsonl", 1, "d", "tea", None),
    ]
    assert rows[0].source_file == str(tmp_path / "labels/x.jsonl")
    assert rows[0].answered_at == dt.datetime(2026, 1, 2, 9)
    assert rows[1].row == "not json"


def test_known_events_add_nothing_and_an_id_that_is_used_twice_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    old = answer("old", "v1")
    files = {
        "labels/a.jsonl": old + answer("new", "v2") + answer("used", "v3", "sport"),
        "labels/b.jsonl": answer("new", "v2") + answer("new", "v2", "food") + "oops\n",
    }
    before = earlier(
        spark,
        {"event_id": "old", "video_id": "v1", "label_id": "tea"},
        {"event_id": "used", "video_id": "v3", "label_id": "tea"},
    )
    new, refused = split_new(parsed(spark, tmp_path, files), before, LABELS)
    assert [(r.event_id, r.video_id, r.batch, r.source_row) for r in new.collect()] == [("new", "v2", "inbox/labels/a.jsonl", 2)]
    found = {(r.rule, r.row_key, r.video_id) for r in refused.collect()}
    assert found == {
        ("duplicate_event_id", "inbox/labels/a.jsonl:3", "v3"),
        ("duplicate_event_id", "inbox/labels/b.jsonl:2", "v2"),
        ("bad_json", "inbox/labels/b.jsonl:3", None),
    }


def test_inbox_lines_that_were_refused_before_are_not_told_again_and_others_are(spark: SparkSession) -> None:
    names = "rule string, row_key string, reason string, row string, video_id string"
    rows = [
        ("bad_json", "inbox/labels/a.jsonl:1", "r", "old", None),
        ("bad_json", "inbox/labels/a.jsonl:2", "r", "changed", None),
        ("bad_json", "labels/a.jsonl:1", "r", "old", None),
    ]
    before = [("inbox/labels/a.jsonl:1", "old"), ("inbox/labels/a.jsonl:2", "other"), ("labels/a.jsonl:1", "old")]
    told = spark.createDataFrame([("bad_json", *row) for row in before], "rule string, row_key string, row string")
    left = without_told(spark.createDataFrame([(*row, "b") for row in rows], names + ", batch string"), told)
    assert sorted(r.row_key for r in left.collect()) == ["inbox/labels/a.jsonl:2", "labels/a.jsonl:1"]


def test_reviews_have_no_video(spark: SparkSession, tmp_path: Path) -> None:
    review = {"phrase": "奶茶", "decision": "accept", "reviewer_id": "ann", "reviewed_at": "2026-01-02T00:00:00Z"}
    files = {"tag_reviews/r.jsonl": json.dumps(review) + "\n" + json.dumps({**review, "decision": "?"}) + "\n"}
    new, refused = split_new(parsed(spark, tmp_path, files, REVIEWS), spark.createDataFrame([], tables.TAG_REVIEWS.spark_schema()), REVIEWS)
    assert [(r.phrase, r.decision) for r in new.collect()] == [("奶茶", "accept")]
    assert [(r.rule, r.video_id) for r in refused.collect()] == [("bad_decision", None)]


def arrivals(spark: SparkSession, *rows: tuple) -> DataFrame:
    schema = tables.VIDEO_ARRIVALS.spark_schema()
    base = dict.fromkeys(schema.names) | {"hashtags": [], "item_ids": [], "data_date": D2, "source_file": "m.csv"}
    names = ("video_id", "category", "batch", "source_row")
    return spark.createDataFrame([{**base, **dict(zip(names, row, strict=True))} for row in rows], schema)


def test_categories_of_the_manifest_become_events_of_the_annotator_manifest(spark: SparkSession) -> None:
    given = arrivals(
        spark,
        ("v1", "美食/奶茶", "m.csv", 1),
        ("v2", None, "m.csv", 2),
        ("v3", "  ", "m.csv", 3),
        ("v4", "nonsense", "m.csv", 4),
        ("v5", "food", "m.csv", 5),
        ("v5", "tea", "n.csv", 1),  # the later batch counts
        ("v6", "tea", "m.csv", 6),
    )
    before = earlier(spark, {"event_id": "o", "video_id": "v6", "label_id": "tea", "annotator_id": "manifest", "answered_at": None})
    events, refused = manifest_events(given, before, TREE)
    rows = sorted(events.collect(), key=lambda r: r.video_id)
    assert [(r.video_id, r.task, r.label_id, r.answer, r.annotator_id, r.answered_at, r.batch, r.source_row) for r in rows] == [
        ("v1", "category", "tea", 1, "manifest", None, "m.csv", 1),
        ("v5", "category", "tea", 1, "manifest", None, "n.csv", 1),
    ]
    assert len({r.event_id for r in rows} - {None}) == 2
    assert [(r.rule, r.row_key, r.video_id, r.row) for r in refused.collect()] == [
        ("unknown_label", "m.csv:v4", "v4", '{"video_id":"v4","category":"nonsense"}')
    ]


@pytest.mark.parametrize(("said", "expected"), [("food", ["tea"]), ("tea", [])])
def test_a_category_that_returns_to_an_older_value_is_new_again(spark: SparkSession, said: str, expected: list[str]) -> None:
    manifest = {"video_id": "v1", "annotator_id": "manifest", "answered_at": None}
    before = earlier(
        spark,
        {**manifest, "event_id": "1", "label_id": "tea", "data_date": dt.date(2025, 12, 30)},
        {**manifest, "event_id": "2", "label_id": said, "data_date": D1},
    )
    events, _ = manifest_events(arrivals(spark, ("v1", "tea", "m.csv", 1)), before, TREE)
    assert [r.label_id for r in events.collect()] == expected
