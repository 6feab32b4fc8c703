"""fold_labels on a real lake: which events count, which videos are folded, what a rerun replaces."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import fold_labels
from reelhouse import tables
from reelhouse.errors import TaxonomyError
from reelhouse.labels import Taxonomy
from reelhouse.labels.migrations import with_migrations
from reelhouse.lake import catalog
from tests.jobs.small_lake import DAY, NEXT, TREE, SmallLake

VERSION = Taxonomy.from_dict(TREE).version


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> SmallLake:
    return SmallLake(spark, tmp_path)


def answers(lake: SmallLake, *rows: tuple[str, str, str, int], date: dt.date = DAY, batch: str = "a", task: str = "category") -> None:
    """(video, label, annotator, answer), answered one after the other on the day; replaces what the batch held."""
    events = [
        {
            "event_id": f"{date}{batch}{n}", "video_id": video, "task": task, "label_id": label, "answer": answer,
            "annotator_id": annotator, "answered_at": dt.datetime(date.year, date.month, date.day, 9, n),
            "taxonomy_version": VERSION, "batch": batch, "source_row": n,
        }
        for n, (video, label, annotator, answer) in enumerate(rows)
    ]  # fmt: skip
    lake.write(tables.LABEL_EVENTS, events, date, batch=batch)


def folded(lake: SmallLake, date: dt.date = DAY) -> list[tuple]:
    return sorted((r.video_id, r.label_id, r.answer, r.agreement, r.annotators, r.source) for r in lake.rows(tables.LABELS, date))


def test_the_day_holds_what_all_answers_up_to_it_say_of_the_videos_answered_on_it(lake: SmallLake) -> None:
    answers(lake, ("v1", "pets", "ann", 1), ("v2", "sport", "ann", 1), ("v3", "food", "manifest", 1))
    answers(lake, ("v1", "pets", "bob", 1), ("v1", "sport", "cy", 1), ("v3", "food.baking", "ann", 1), date=NEXT)
    record = lake.do(fold_labels)
    assert folded(lake) == [
        ("v1", "pets", 1, 1.0, 1, "people"),
        ("v2", "sport", 1, 1.0, 1, "people"),
        ("v3", "food", 1, 1.0, 0, "manifest"),
    ]
    assert record.rows_out == 3 + 5, "labels, and the tree"
    assert {(r.task, r.taxonomy_version, r.data_date) for r in lake.rows(tables.LABELS)} == {("category", VERSION, DAY)}

    lake.do(fold_labels, NEXT)
    assert folded(lake, NEXT) == [
        ("v1", "pets", 1, pytest.approx(2 / 3), 3, "people"),
        ("v1", "sport", 0, pytest.approx(2 / 3), 3, "people"),
        ("v3", "food", 1, 1.0, 1, "both"),
        ("v3", "food.baking", 1, 1.0, 1, "people"),  # the manifest's `food` says nothing of it
    ]
    now = lake.lake.current(tables.LABELS, f"data_date <= date'{NEXT}'").collect()
    assert sorted((r.video_id, r.label_id, r.answer) for r in now) == [
        ("v1", "pets", 1), ("v1", "sport", 0), ("v2", "sport", 1), ("v3", "food", 1), ("v3", "food.baking", 1),
    ]  # fmt: skip


def test_a_rerun_gives_the_same_rows_and_a_corrected_file_replaces_them(lake: SmallLake) -> None:
    answers(lake, ("v1", "pets", "ann", 1), ("v2", "pets", "ann", 1))
    answers(lake, ("v1", "sport", "bob", 1), batch="b")
    first = lake.do(fold_labels)
    rows = lake.rows(tables.LABELS)
    again = lake.do(fold_labels)
    assert sorted(lake.rows(tables.LABELS)) == sorted(rows)
    assert [w.fingerprint for w in again.writes] == [w.fingerprint for w in first.writes]
    assert ("v1", "pets", -1, 0.5, 2, "people") in folded(lake)

    answers(lake, ("v1", "pets", "ann", 1))  # v2 was a mistake
    lake.do(fold_labels)
    assert folded(lake) == [("v1", "pets", -1, 0.5, 2, "people"), ("v1", "sport", -1, 0.5, 2, "people")]


def test_the_agreement_that_is_needed_is_the_settings(spark: SparkSession, tmp_path: Path) -> None:
    lake = SmallLake(spark, tmp_path, labels__aggregation="majority", labels__agreement_min=0.7)
    answers(lake, ("v1", "pets", "ann", 1), ("v1", "pets", "bob", 1), ("v1", "pets", "cy", 0))
    lake.do(fold_labels)
    assert folded(lake) == [("v1", "pets", -1, pytest.approx(2 / 3), 3, "people")]


def test_answers_that_cannot_count_make_no_rows_and_what_the_table_refuses_is_quarantined(lake: SmallLake) -> None:
    answers(lake, ("v1", "pets", "ann", 1), ("v2", "gone", "ann", 1), ("v" * 257, "pets", "ann", 1))
    answers(lake, ("v1", "sport", "bob", 1), ("v3", "pets", "bob", 1), batch="g", task="genre")
    record = lake.do(fold_labels)
    assert folded(lake) == [("v1", "pets", 1, 1.0, 1, "people")]
    assert record.quarantined == 1
    (refused,) = lake.rows(tables.QUARANTINE)
    assert refused.table == "silver.labels"
    assert "video_id must have 1 to 256 bytes" in refused.reason

    assert lake.do(fold_labels, NEXT).rows_out == 5, "a day without answers has the tree alone"
    assert folded(lake, NEXT) == []


def test_the_day_holds_the_tree_whole_with_what_is_above_each_label(lake: SmallLake) -> None:
    lake.do(fold_labels)
    rows = {r.label_id: r for r in lake.rows(tables.TAXONOMY)}
    assert {name: (r.parent_id, r.path, r.ancestors, r.depth, r.is_leaf) for name, r in rows.items()} == {
        "food": (None, "美食", [], 0, False),
        "food.baking": ("food", "美食/烘焙", ["food"], 1, True),
        "food.noodles": ("food", "美食/面条", ["food"], 1, True),
        "pets": (None, "宠物", [], 0, True),
        "sport": (None, "运动", [], 0, True),
    }
    assert {(r.task, r.name, r.taxonomy_version) for r in rows.values()} >= {("category", "烘焙", VERSION)}


def test_its_input_is_the_version_of_the_tree_and_a_missing_tree_is_named(lake: SmallLake) -> None:
    assert fold_labels.inputs(lake.run()) == {"taxonomy category": VERSION}
    other = Taxonomy.from_dict({**TREE, "labels": TREE["labels"][:1]})
    lake.services._taxonomies["category"] = other
    assert fold_labels.inputs(lake.run()) == {"taxonomy category": other.version}
    lake.services._taxonomies.clear()
    lake.settings.taxonomy.__dict__["category"] = "/nowhere/tree.yml"
    with pytest.raises(TaxonomyError, match=r"the taxonomy /nowhere/tree\.yml can't be read"):
        fold_labels.main(lake.run("fold_labels"))


AFTER = NEXT + dt.timedelta(days=1)
MIGRATED = with_migrations(
    Taxonomy.from_dict(
        {
            "task": "category",
            "labels": [one for one in TREE["labels"] if one["id"] not in ("food.noodles", "sport")]
            + [{"id": "food.pasta", "parent": "food", "name": "面食"}],
        }
    ),
    {
        "labels": [TREE["labels"][2] | {"after": "food.baking"}, TREE["labels"][4] | {"after": "pets"}],
        "steps": [
            {"date": NEXT, "rename": "food.noodles", "to": "food.pasta"},
            {"date": NEXT, "merge": ["pets", "sport"], "into": "pets"},
        ],
    },
)


def migrated(lake: SmallLake) -> None:
    lake.services._taxonomies["category"] = MIGRATED


def said(lake: SmallLake, rows: list) -> list[tuple]:
    return sorted((r.video_id, r.label_id, r.answer, r.annotators, r.source) for r in rows)


FIRST_DAY = (
    ("v1", "food.noodles", "ann", 1), ("v2", "pets", "ann", 1), ("v2", "sport", "bob", 1), ("v3", "food.baking", "ann", 1),
    ("v4", "sport", "ann", 0),
)  # fmt: skip


def test_a_migration_folds_the_videos_with_its_labels_again_on_its_day_and_ends_the_old_labels(lake: SmallLake) -> None:
    migrated(lake)
    answers(lake, *FIRST_DAY)
    lake.do(fold_labels)
    old = [
        ("v1", "food.noodles", 1, 1, "people"), ("v2", "pets", -1, 2, "people"), ("v2", "sport", -1, 2, "people"),
        ("v3", "food.baking", 1, 1, "people"), ("v4", "sport", 0, 1, "people"),
    ]  # fmt: skip
    assert said(lake, lake.rows(tables.LABELS)) == old

    lake.do(fold_labels, NEXT)
    moved = [
        ("v1", "food.noodles", -1, 0, "migration"), ("v1", "food.pasta", 1, 1, "people"),
        ("v2", "pets", 1, 2, "people"), ("v2", "sport", -1, 0, "migration"),  # the contest is one answer now
        ("v4", "pets", -1, 1, "people"), ("v4", "sport", -1, 0, "migration"),  # not sport is not `not pets`
    ]  # fmt: skip
    assert said(lake, lake.rows(tables.LABELS, NEXT)) == moved
    assert {r.label_id: r.former_ids for r in lake.rows(tables.TAXONOMY, NEXT) if r.former_ids} == {
        "food.pasta": ["food.noodles"], "pets": ["sport"],
    }  # fmt: skip

    answers(lake, ("v1", "food.noodles", "bob", 1), date=AFTER)  # a line of a tool that has the old tree
    lake.do(fold_labels, AFTER)
    assert said(lake, lake.rows(tables.LABELS, AFTER)) == [("v1", "food.pasta", 1, 2, "people")], "ended once"
    now = lake.lake.current(tables.LABELS, f"data_date <= date'{AFTER}'").where("answer <> -1").collect()
    assert sorted((r.video_id, r.label_id) for r in now) == [("v1", "food.pasta"), ("v2", "pets"), ("v3", "food.baking")]

    lake.do(fold_labels)  # the first day is what it was, though the tree is another
    assert said(lake, lake.rows(tables.LABELS)) == old
    lake.do(fold_labels, NEXT)
    assert said(lake, lake.rows(tables.LABELS, NEXT)) == moved


def test_a_migration_whose_day_was_not_run_comes_into_force_with_the_next_run(lake: SmallLake) -> None:
    answers(lake, *FIRST_DAY)
    lake.do(fold_labels)
    migrated(lake)
    lake.do(fold_labels, AFTER)
    assert [row[:3] for row in said(lake, lake.rows(tables.LABELS, AFTER))] == [
        ("v1", "food.noodles", -1), ("v1", "food.pasta", 1), ("v2", "pets", 1), ("v2", "sport", -1), ("v4", "pets", -1),
        ("v4", "sport", -1),
    ]  # fmt: skip


def test_the_tree_of_a_day_is_an_input_so_that_only_days_from_a_step_on_are_stale(lake: SmallLake) -> None:
    before = {day: fold_labels.inputs(lake.run(date=day)) for day in (DAY, NEXT)}
    migrated(lake)
    assert fold_labels.inputs(lake.run(date=DAY)) == before[DAY]
    assert fold_labels.inputs(lake.run(date=NEXT)) != before[NEXT]
    assert fold_labels.inputs(lake.run(date=AFTER)) == fold_labels.inputs(lake.run(date=NEXT))


def test_views_show_what_labels_became_and_undecided_videos_come_back_to_the_queue(lake: SmallLake) -> None:
    migrated(lake)
    batch = [{"video_id": v, "task": "category", "rank": n, "reason": "r", "score": 1.0, "is_random": False} for n, v in enumerate(VIDEOS)]
    lake.write(tables.SAMPLE_BATCH, batch, DAY)
    handed = [{"event_id": v, "video_id": v, "task": "category", "source_row": n} for n, v in enumerate(VIDEOS)]
    lake.write(tables.LABEL_EXPORTS, handed, DAY, batch="a")
    answers(lake, *FIRST_DAY)
    lake.do(fold_labels)
    assert queue(lake) == ["v2"], "people contradict each other; v4's no is an answer"
    lake.do(fold_labels, NEXT)
    assert queue(lake) == ["v4"], "of v4 nothing is known any more"
    asked = "select video_id, label_id from gold.labels_current order by 1, 2"
    catalog.register(lake.lake, asked)
    assert [tuple(row) for row in lake.lake.spark.sql(asked).collect()] == [
        ("v1", "food.pasta"), ("v2", "pets"), ("v3", "food.baking"), ("v4", "pets"),
    ]  # fmt: skip
    asked = "select annotator_id, answers, shared_answers, agreed_answers from gold.annotator_quality order by 1"
    catalog.register(lake.lake, asked)
    assert [tuple(row) for row in lake.lake.spark.sql(asked).collect()] == [("ann", 3, 1, 1), ("bob", 1, 1, 1)]


VIDEOS = ("v1", "v2", "v3", "v4")


def queue(lake: SmallLake) -> list[str]:
    asked = "select video_id from gold.label_queue order by video_id"
    catalog.register(lake.lake, asked)
    return [row.video_id for row in lake.lake.spark.sql(asked).collect()]


def test_several_days_of_answers_are_weighed_by_who_was_right_before_and_a_day_knows_nothing_of_later_ones(lake: SmallLake) -> None:
    """Cy contradicts two others everywhere on the first day; on the second he and Ann contradict each other."""
    first = [(f"v{n}", label, who, 1) for n in range(12) for who, label in (("ann", "pets"), ("bob", "pets"), ("cy", "sport"))]
    answers(lake, *first)
    answers(lake, ("w", "food.baking", "ann", 1), ("w", "food.noodles", "cy", 1), ("x", "sport", "di", 1), date=NEXT)
    lake.do(fold_labels)
    stood = by_key(lake.rows(tables.LABELS))
    assert {(r.label_id, r.answer) for r in stood} == {("pets", 1), ("sport", 0)}
    people = {r.annotator_id: r for r in lake.rows(tables.ANNOTATORS)}
    assert people["ann"].reliability > 0.9
    assert people["cy"].reliability < 0.3
    assert (people["cy"].agreement, people["cy"].sensitivity, people["cy"].learned_from) == (0.0, 0.0, 12)
    assert (people["cy"].confused_label_id, people["cy"].confused_given_label_id, people["cy"].confused_videos) == ("pets", "sport", 12)
    assert {(r.annotator_id, r.label_id, r.given_label_id, r.videos) for r in lake.rows(tables.ANNOTATOR_CONFUSION)} == {
        ("ann", "pets", "pets", 12), ("bob", "pets", "pets", 12), ("cy", "pets", "sport", 12),
    }  # fmt: skip
    # 12 units of pets, pets, sport: o(pets, pets) = 12, 24 pets and 12 sport of 36
    alpha = 1 - 35 * (36 - 12) / (36**2 - 24**2 - 12**2)
    assert {(r.domain, r.path, round(r.alpha, 9), r.answers) for r in lake.rows(tables.LABEL_AGREEMENT)} == {
        ("*", None, round(alpha, 9), 36), ("pets", "宠物", round(alpha, 9), 24), ("sport", "运动", round(alpha, 9), 12),
    }  # fmt: skip

    lake.do(fold_labels, NEXT)
    assert [(r.video_id, r.label_id, r.answer, r.agreement) for r in by_key(lake.rows(tables.LABELS, NEXT))] == [
        ("w", "food.baking", 1, 0.5), ("w", "food.noodles", 0, 0.5), ("x", "sport", 1, 1.0),
    ]  # fmt: skip
    lake.do(fold_labels)
    assert by_key(lake.rows(tables.LABELS)) == stood, "what came later is not looked at"


def by_key(rows: list) -> list:
    return sorted(rows, key=lambda r: (r.video_id, r.label_id))


def test_where_nobody_answers_the_same_video_nothing_is_said_of_agreement(lake: SmallLake) -> None:
    answers(lake, ("v1", "pets", "ann", 1), ("v2", "pets", "bob", 1))
    lake.do(fold_labels)
    for table in (tables.ANNOTATORS, tables.ANNOTATOR_CONFUSION, tables.LABEL_AGREEMENT):
        assert lake.rows(table) == []
