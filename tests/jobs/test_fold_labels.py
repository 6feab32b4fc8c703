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
    lake = SmallLake(spark, tmp_path, labels__agreement_min=0.7)  # two of three settle it by default, see above
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
