"""import_labels on a real lake: what two days of deliveries and an inbox leave in the tables."""

import datetime as dt
import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import fold_labels, import_labels
from reelhouse import tables
from reelhouse.errors import QuarantineLimitError
from reelhouse.labelling.desk import Desk, key_of
from reelhouse.labelling.inbox import AnswerLog, new_answer
from reelhouse.labelling.queue import read_queue
from reelhouse.labels import Taxonomy
from reelhouse.labels.migrations import with_migrations
from tests.jobs.small_lake import DAY, NEXT, TREE, SmallLake
from tests.turns import JOBS

TURN = (JOBS, 140)


class Labelling(SmallLake):
    def __init__(self, spark: SparkSession, root: Path, **values: object) -> None:
        self.box, self.delivered = root / "box", root / "in"
        super().__init__(spark, root / "lake", sources__inbox=str(self.box), sources__deliveries=str(self.delivered), **values)

    def put(self, path: Path, *lines: dict | str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def events(self, date: object) -> list[tuple]:
        return sorted((r.event_id, r.video_id, r.label_id, r.answer, r.annotator_id, r.batch) for r in self.rows(tables.LABEL_EVENTS, date))

    def labels(self, date: object) -> list[tuple]:
        self.do(fold_labels, date)
        return sorted((r.video_id, r.label_id, r.answer, r.agreement, r.annotators, r.source) for r in self.rows(tables.LABELS, date))

    def refused(self, date: object) -> list[tuple]:
        return sorted((r.table, r.rule, r.row_key) for r in self.rows(tables.QUARANTINE, date))


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Labelling:
    return Labelling(spark, tmp_path)


def answer(event_id: str, video_id: str, label: str, value: object = 1, annotator: str = "ann", day: object = DAY) -> dict:
    at = f"{day}T09:00:00Z"
    return {"event_id": event_id, "video_id": video_id, "label": label, "answer": value, "annotator_id": annotator, "answered_at": at}


def test_two_days_of_answers_categories_and_bad_lines(lake: Labelling) -> None:
    a, inbox = lake.delivered / str(DAY) / "labels" / "a.jsonl", lake.box / "labels" / "web.jsonl"
    lake.write(
        tables.VIDEO_ARRIVALS,
        [
            {"video_id": "v1", "batch": "m.csv", "source_row": 1, "category": "美食/烘焙"},
            {"video_id": "v2", "batch": "m.csv", "source_row": 2, "category": "nonsense"},
            {"video_id": "v3", "batch": "m.csv", "source_row": 3},
        ],
    )
    lake.put(a, answer("e1", "v1", "pets"), answer("e2", "v3", "sport", 5), "oops\n")
    lake.put(inbox, answer("w1", "v3", "宠物"), "not json\n", '{"event_id": "half')
    exported = {"event_id": "x1", "video_id": "v9", "task": "category", "exported_at": "2026-01-02T01:00:00Z"}
    lake.put(lake.box / "exports" / "e.jsonl", exported)
    reviewed = {"phrase": "手冲咖啡", "decision": "accept", "reviewer_id": "ann", "reviewed_at": "2026-01-02T01:00:00Z"}
    lake.put(lake.box / "tag_reviews" / "r.jsonl", reviewed)

    record = lake.do(import_labels)

    first, manifest = lake.events(DAY), [e for e in lake.events(DAY) if e[4] == "manifest"]
    assert [e[1:] for e in manifest] == [("v1", "food.baking", 1, "manifest", "m.csv")]
    assert [e for e in first if e not in manifest] == [
        ("e1", "v1", "pets", 1, "ann", "labels/a.jsonl"),
        ("w1", "v3", "pets", 1, "ann", "inbox/labels/web.jsonl"),
    ]
    assert lake.refused(DAY) == [
        ("bronze.label_events", "bad_answer", "labels/a.jsonl:2"),
        ("bronze.label_events", "bad_json", "inbox/labels/web.jsonl:2"),
        ("bronze.label_events", "bad_json", "labels/a.jsonl:3"),
        ("bronze.label_events", "unknown_label", "m.csv:v2"),
    ]
    assert [(r.event_id, r.video_id) for r in lake.rows(tables.LABEL_EXPORTS)] == [("x1", "v9")]
    assert [(r.phrase, r.decision, r.batch) for r in lake.rows(tables.TAG_REVIEWS)] == [("手冲咖啡", "accept", "inbox/tag_reviews/r.jsonl")]
    assert set(record.inputs) == {
        "labels/a.jsonl", "inbox/labels/web.jsonl", "inbox/exports/e.jsonl", "inbox/tag_reviews/r.jsonl", "taxonomy category",
    }  # fmt: skip
    assert lake.labels(DAY) == [
        ("v1", "food.baking", 0, 1.0, 1, "both"),
        ("v1", "pets", 1, 1.0, 1, "both"),
        ("v3", "pets", 1, 1.0, 1, "people"),
    ]

    # the next day the inbox has grown: only what is new counts, and what was refused is not told again
    lake.put(inbox, answer("w1", "v3", "宠物"), "not json\n", answer("half", "v3", "sport", 1, "bob", NEXT))
    lake.do(import_labels, NEXT)
    assert lake.events(NEXT) == [("half", "v3", "sport", 1, "bob", "inbox/labels/web.jsonl")]
    assert lake.refused(NEXT) == []
    assert lake.rows(tables.LABEL_EXPORTS, NEXT) == []
    assert lake.labels(NEXT) == [("v3", "pets", -1, 0.5, 2, "people"), ("v3", "sport", -1, 0.5, 2, "people")]
    assert lake.rows(tables.LABELS, DAY), "the day before is left alone"


def test_a_corrected_file_replaces_its_batch_and_running_again_changes_nothing(lake: Labelling) -> None:
    a, b = (lake.delivered / str(DAY) / "labels" / f"{name}.jsonl" for name in "ab")
    lake.put(a, answer("e1", "v1", "pets"))
    lake.put(b, answer("e2", "v2", "pets"))
    lake.do(import_labels)
    before = lake.events(DAY)
    assert import_labels.inputs(lake.run()) == lake.do(import_labels).inputs
    assert lake.events(DAY) == before

    lake.put(a, answer("e1", "v1", "sport"), answer("e3", "v3", "sport"))
    lake.do(import_labels)
    assert lake.events(DAY) == [
        ("e1", "v1", "sport", 1, "ann", "labels/a.jsonl"),
        ("e2", "v2", "pets", 1, "ann", "labels/b.jsonl"),
        ("e3", "v3", "sport", 1, "ann", "labels/a.jsonl"),
    ]
    lake.put(a)
    lake.do(import_labels)
    assert [e[0] for e in lake.events(DAY)] == ["e2"], "an empty file withdraws what its namesake brought"


def test_what_people_said_stays_when_the_file_that_brought_it_is_gone(lake: Labelling) -> None:
    a = lake.delivered / str(DAY) / "labels" / "a.jsonl"
    inbox, exports = lake.box / "labels" / "web.jsonl", lake.box / "exports" / "e.jsonl"
    lake.write(tables.VIDEO_ARRIVALS, [{"video_id": "v7", "batch": "m.csv", "source_row": 1, "category": "nonsense"}])
    lake.put(a, answer("e1", "v1", "pets"), "oops\n")
    lake.put(inbox, answer("w1", "v3", "pets"), answer("w2", "v4", "pets"))
    lake.put(exports, {"event_id": "x1", "video_id": "v9", "task": "category", "exported_at": f"{DAY}T01:00:00Z"})
    assert lake.do(import_labels).rows_in == 5
    taken = lake.events(DAY)
    refused = [("bronze.label_events", "bad_json", "labels/a.jsonl:2"), ("bronze.label_events", "unknown_label", "m.csv:v7")]
    assert lake.refused(DAY) == refused

    # the delivery and the hand-outs are archived, the inbox's file is begun anew; a new file uses an id that is taken
    a.unlink()
    exports.unlink()
    lake.put(inbox, answer("w3", "v5", "sport"))
    lake.put(a.with_name("b.jsonl"), answer("e1", "v1", "sport"))
    record = lake.do(import_labels)
    assert lake.events(DAY) == [*taken, ("w3", "v5", "sport", 1, "ann", "inbox/labels/web.jsonl")]
    assert [r.event_id for r in lake.rows(tables.LABEL_EXPORTS)] == ["x1"]
    assert lake.refused(DAY) == sorted([*refused, ("bronze.label_events", "duplicate_event_id", "labels/b.jsonl:1")])
    stay = "rows of {} files stay that are gone: {} (deliver an empty file of the name to withdraw them)"
    assert record.note == (
        f"bronze.label_events: {stay.format(2, 'inbox/labels/web.jsonl, labels/a.jsonl')}; "
        f"bronze.label_exports: {stay.format(1, 'inbox/exports/e.jsonl')}"
    )

    # a line that is corrected where it stands replaces what it said; an empty delivery withdraws, an inbox that was emptied does not
    lake.put(inbox, answer("w3", "v5", "pets"))
    lake.put(a)
    lake.do(import_labels)
    lake.put(inbox)
    lake.do(import_labels)
    assert [e[:3] for e in lake.events(DAY)] == [("e1", "v1", "sport"), ("w1", "v3", "pets"), ("w2", "v4", "pets"), ("w3", "v5", "pets")]
    assert lake.refused(DAY) == refused[1:]


def test_lines_that_are_read_again_after_labels_moved_say_what_they_said(lake: Labelling) -> None:
    """noodles are renamed, sport is merged into pets, baking is retired into food and drones for good, all on the next day."""
    before = {**TREE, "labels": [*TREE["labels"], {"id": "drones", "name": "无人机"}]}
    lake.services._taxonomies["category"] = Taxonomy.from_dict(before)
    inbox = lake.box / "labels" / "web.jsonl"
    unnamed = {name: value for name, value in answer("", "v5", "sport").items() if name != "event_id"}
    lines = [
        answer("e1", "v1", "面条"), answer("e2", "v2", "sport", 0), answer("e3", "v3", "美食/烘焙", 0),
        answer("e4", "v4", "drones"), unnamed,
    ]  # fmt: skip
    lake.put(inbox, *lines)
    lake.do(import_labels)
    first = lake.events(DAY)
    assert sorted(event[1:4] for event in first) == [
        ("v1", "food.noodles", 1), ("v2", "sport", 0), ("v3", "food.baking", 0), ("v4", "drones", 1), ("v5", "sport", 1),
    ]  # fmt: skip

    stood = {"food.baking": "food", "food.noodles": "food.baking", "sport": "pets", "drones": "sport"}
    gone = [one | {"after": stood[one["id"]]} for one in before["labels"] if one["id"] in stood]
    now = [{"id": "food", "name": "美食"}, {"id": "food.pasta", "parent": "food", "name": "面食"}, {"id": "pets", "name": "宠物"}]
    steps = [
        {"date": NEXT, "rename": "food.noodles", "to": "food.pasta"}, {"date": NEXT, "merge": ["pets", "sport"], "into": "pets"},
        {"date": NEXT, "retire": "food.baking", "into": "food"}, {"date": NEXT, "retire": "drones"},
    ]  # fmt: skip
    lake.services._taxonomies["category"] = with_migrations(
        Taxonomy.from_dict({"task": "category", "labels": now}), {"labels": gone, "steps": steps}
    )
    # late: an answer of the day before under an old name, and a retired label on the day on which it is one no longer
    late = [answer("l1", "v6", "烘焙", 0), answer("l2", "v7", "drones", day=NEXT), answer("l3", "v8", "food.noodles", day=NEXT)]
    lake.put(inbox, *lines, *late)
    lake.do(import_labels, NEXT)
    assert [event[1:4] for event in lake.events(NEXT)] == [("v6", "food.baking", 0), ("v8", "food.noodles", 1)]
    assert lake.refused(NEXT) == [("bronze.label_events", "unknown_label", "inbox/labels/web.jsonl:7")]
    lake.do(fold_labels, DAY)
    assert [row[:3] for row in lake.labels(NEXT)] == [
        ("v1", "food.noodles", -1), ("v1", "food.pasta", 1), ("v2", "pets", -1), ("v2", "sport", -1),  # not sport is not `not pets`
        ("v3", "food", -1), ("v3", "food.baking", -1), ("v4", "drones", -1), ("v5", "pets", 1), ("v5", "sport", -1),
        ("v6", "food", -1), ("v8", "food.pasta", 1),
    ]  # fmt: skip
    lake.put(inbox, *lines)
    lake.do(import_labels)
    assert lake.events(DAY) == first, "the first day, run again"


def test_a_tie_comes_back_to_the_page_for_one_more_person(lake: Labelling) -> None:
    inbox = lake.box / "labels" / "web.jsonl"
    batch = [{"video_id": f"v{n}", "task": "category", "rank": n, "reason": "r", "is_random": False} for n in (1, 2, 3)]
    lake.write(tables.SAMPLE_BATCH, batch)
    lines = [answer("e1", "v1", "pets"), answer("e2", "v1", "sport", annotator="bob"), answer("e3", "v2", "pets", -1)]
    lake.put(inbox, *lines)
    lake.do(import_labels)
    lake.do(fold_labels)
    lake.put(inbox, *lines, answer("e4", "v3", "pets", day=NEXT))
    lake.do(import_labels, NEXT)  # and not folded yet: its question has its answer
    queue = read_queue(lake.lake, 10)
    assert [(video.video_id, video.undecided) for video in queue] == [("v1", {"e1", "e2"}), ("v2", {"e3"}), ("v3", frozenset())]
    trees = {"category": Taxonomy.from_dict(TREE)}
    desk, log = Desk(queue, 1, 300.0, lambda: 0.0), AnswerLog(lake.box)
    for one in log.read({"v1", "v2", "v3"}, trees):
        desk.record(one)
    assert [desk.next(person) for person in ("ann", "bob", "cy", "di")] == [None, key_of(queue[1]), key_of(queue[0]), None]
    desk.record(new_answer("v1", "category", "pets", 1, "cy", dt.datetime(2026, 1, 3, 10, tzinfo=dt.UTC)))
    assert (desk.progress().answered, desk.progress().total) == (2, 3)


def test_answers_of_the_inbox_arrive_on_their_own_day_also_when_an_old_day_is_run_again(lake: Labelling) -> None:
    inbox = lake.box / "labels" / "web.jsonl"
    late = {**answer("late", "v1", "pets"), "answered_at": f"{DAY}T23:59:59.999Z"}
    east = {**answer("east", "v2", "pets"), "answered_at": f"{NEXT}T07:59:00+08:00"}  # still the day in UTC
    first = {**answer("first", "v3", "pets"), "answered_at": f"{NEXT}T00:00:00Z"}
    review = {"event_id": "r1", "phrase": "咖啡", "decision": "accept", "reviewer_id": "ann", "reviewed_at": f"{NEXT}T01:00:00Z"}
    delivered = lake.delivered / str(DAY) / "labels" / "a.jsonl"
    lake.put(inbox, late, east, first, "no time\n")
    lake.put(lake.box / "tag_reviews" / "r.jsonl", review)
    lake.put(delivered, answer("given", "v4", "pets", day=NEXT))  # what is delivered for a day is the day's, whenever it was said
    record = lake.do(import_labels)
    assert [e[0] for e in lake.events(DAY)] == ["east", "given", "late"]
    assert lake.refused(DAY) == [("bronze.label_events", "bad_json", "inbox/labels/web.jsonl:4")]
    assert lake.rows(tables.TAG_REVIEWS) == []
    assert record.note == (
        "bronze.label_events: 1 lines of the inbox are of later days and wait for these; "
        "bronze.tag_reviews: 1 lines of the inbox are of later days and wait for these"
    )
    lake.do(import_labels, NEXT)
    assert [e[0] for e in lake.events(NEXT)] == ["first"]
    assert [r.event_id for r in lake.rows(tables.TAG_REVIEWS, NEXT)] == ["r1"]


def test_a_last_line_without_newline_counts_in_a_delivery_and_waits_in_the_inbox(lake: Labelling) -> None:
    labels = lake.delivered / str(DAY) / "labels"
    whole = json.dumps(answer("e2", "v2", "pets"))
    lake.put(labels / "a.jsonl", answer("e1", "v1", "pets"), whole)
    lake.put(labels / "b.jsonl", whole[: len(whole) // 2])
    lake.put(lake.box / "labels" / "web.jsonl", answer("w1", "v3", "pets"), whole.replace("e2", "w2"))
    record = lake.do(import_labels)
    assert [e[0] for e in lake.events(DAY)] == ["e1", "e2", "w1"]
    assert lake.refused(DAY) == [("bronze.label_events", "bad_json", "labels/b.jsonl:1")]
    assert record.note == "the last line has no newline yet and is left for next time: inbox/labels/web.jsonl"


def test_a_day_without_anything_leaves_empty_tables(lake: Labelling) -> None:
    record = lake.do(import_labels)
    assert (record.rows_out, record.quarantined) == (0, 0)
    assert lake.labels(DAY) == []


def test_too_many_bad_lines_stop_the_job_and_are_named(spark: SparkSession, tmp_path: Path) -> None:
    lake = Labelling(spark, tmp_path, storage__quarantine_rows_free=1)
    lake.put(
        lake.box / "labels" / "a.jsonl", answer("e1", "v1", "no such label"), answer("e2", "v1", "pets", 3), answer("e3", "v1", "pets")
    )
    with pytest.raises(QuarantineLimitError, match=r"bronze.label_events for 2026-01-02: 2 of 3 rows were refused.*inbox/labels/a.jsonl:2"):
        lake.do(import_labels)
    assert lake.events(DAY) == []
