"""What annotators together say: cases computed by hand, and what must hold for any answers."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from reelhouse import tables
from reelhouse.labels import Taxonomy
from reelhouse.labels.fold import MANIFEST, Crowd, FoldedLabel, fold_answers, fold_labels
from reelhouse.labels.migrations import with_migrations
from reelhouse.labels.reliability import Reliability

TREE = Taxonomy.from_dict(
    {
        "task": "category",
        "labels": [
            {"id": "food", "name": "美食"},
            {"id": "baking", "name": "烘焙", "parent": "food"},
            {"id": "tea", "name": "奶茶", "parent": "food"},
            {"id": "coffee", "name": "咖啡", "parent": "food"},
            {"id": "sport", "name": "体育"},
        ],
    }
)


def fold(*answers: tuple[str, str, int], agreement_min: float = 0.6) -> list[tuple]:
    rows = fold_answers(answers, TREE, agreement_min)
    return [(r.label_id, r.answer, None if r.agreement is None else round(r.agreement, 3), r.annotators, r.source) for r in rows]


def test_two_of_three_people_settle_it_and_the_other_leaf_gets_a_no() -> None:
    assert fold(("baking", "ann", 1), ("tea", "bob", 1), ("baking", "cy", 1)) == [
        ("baking", 1, 0.667, 3, "people"),
        ("tea", 0, 0.667, 3, "people"),
    ]


def test_a_tie_sends_all_labels_back_to_the_queue() -> None:
    assert fold(("baking", "ann", 1), ("tea", "bob", 1)) == [("baking", -1, 0.5, 2, "people"), ("tea", -1, 0.5, 2, "people")]
    assert fold(("baking", "ann", 1), ("tea", "bob", 1), ("sport", "cy", 1)) == [
        ("baking", -1, 0.667, 3, "people"),
        ("sport", -1, 0.667, 3, "people"),
        ("tea", -1, 0.667, 3, "people"),
    ]


def test_too_little_agreement_is_no_answer() -> None:
    answers = [("sport", f"a{i}", 1) for i in range(4)] + [("sport", f"b{i}", 0) for i in range(3)]
    assert fold(*answers) == [("sport", -1, 0.571, 7, "people")]
    assert fold(*answers, agreement_min=0.55) == [("sport", 1, 0.571, 7, "people")]


def test_an_explicit_majority_of_noes_is_a_no() -> None:
    assert fold(("tea", "ann", 1), ("tea", "bob", 0), ("tea", "cy", 0)) == [("tea", 0, 0.667, 3, "people")]


def test_the_newest_answer_of_an_annotator_counts() -> None:
    assert fold(("tea", "ann", 1), ("sport", "ann", 1)) == [("sport", 1, 1.0, 1, "people"), ("tea", 0, 1.0, 1, "people")]
    assert fold(("tea", "ann", 1), ("tea", "ann", 0)) == [("tea", 0, 1.0, 1, "people")]
    assert fold(("tea", "ann", 0), ("tea", "ann", 1)) == [("tea", 1, 1.0, 1, "people")]
    assert fold(("tea", "ann", 1), ("tea", "ann", -1)) == [("tea", -1, None, 1, "people")]


def test_people_outvote_the_manifest_and_confirm_it() -> None:
    assert fold(("tea", MANIFEST, 1)) == [("tea", 1, 1.0, 0, "manifest")]
    assert fold(("tea", MANIFEST, 1), ("sport", "ann", 1)) == [("sport", 1, 1.0, 1, "both"), ("tea", 0, 1.0, 1, "both")]
    assert fold(("tea", "ann", 1), ("tea", MANIFEST, 1)) == [("tea", 1, 1.0, 1, "both")]
    assert fold(("tea", MANIFEST, 1), ("tea", "ann", -1)) == [("tea", 1, 1.0, 1, "both")]


def test_a_new_category_of_the_manifest_replaces_the_old_one() -> None:
    assert fold(("tea", MANIFEST, 1), ("sport", MANIFEST, 1)) == [("sport", 1, 1.0, 0, "manifest"), ("tea", 0, 1.0, 0, "manifest")]


def test_a_leaf_supports_its_ancestors_and_an_ancestor_says_nothing_of_its_leaves() -> None:
    assert fold(("food", "ann", 1), ("tea", "bob", 1), ("baking", "cy", 1)) == [
        ("baking", -1, 0.5, 2, "people"),  # Ann's `food` is silent about it
        ("food", 1, 1.0, 3, "people"),
        ("tea", -1, 0.5, 2, "people"),
    ]


def test_contested_leaves_below_a_settled_parent_stay_open() -> None:
    assert fold(("food", "ann", 1), ("tea", "bob", 1), ("baking", "cy", 1), ("coffee", "di", 1)) == [
        ("baking", -1, 0.667, 3, "people"),  # most say no to it, but nothing that excludes it won
        ("coffee", -1, 0.667, 3, "people"),
        ("food", 1, 1.0, 4, "people"),
        ("tea", -1, 0.667, 3, "people"),
    ]


def test_a_no_to_a_parent_is_a_no_to_its_leaves() -> None:
    assert fold(("food", "ann", 0), ("tea", "bob", -1)) == [("food", 0, 1.0, 1, "people"), ("tea", 0, 1.0, 2, "people")]


def test_labels_that_the_tree_no_longer_holds_are_left_out() -> None:
    assert fold(("gone", "ann", 1), ("tea", "bob", 1)) == [("tea", 1, 1.0, 1, "people")]
    assert fold(("gone", "ann", 1)) == []


ANSWER = st.tuples(st.sampled_from(TREE.ids), st.sampled_from(["ann", "bob", "cy", "di", MANIFEST]), st.sampled_from([1, 0, -1]))


@settings(max_examples=300)
@given(st.lists(ANSWER, max_size=12), st.sampled_from([0.0, 0.5, 0.6, 0.8, 1.0]))
def test_for_any_answers_the_yes_labels_are_one_chain_and_every_answered_label_has_one_row(answers: list, agreement_min: float) -> None:
    rows = fold_answers(answers, TREE, agreement_min)
    assert [r.label_id for r in rows] == sorted({label for label, _, _ in answers})
    chosen = [r.label_id for r in rows if r.answer == 1]
    assert all(a == b or a in TREE.ancestors(b) or b in TREE.ancestors(a) for a in chosen for b in chosen)
    assert all(r.agreement is not None and r.agreement >= max(agreement_min, 0.5) for r in rows if r.answer != -1)
    assert all(r.annotators <= len({a for _, a, _ in answers if a != MANIFEST}) for r in rows)


@settings(max_examples=100)
@given(st.lists(ANSWER, max_size=8), st.randoms())
def test_the_order_of_different_annotators_does_not_matter(answers: list, random: object) -> None:
    by_annotator = {a: [x for x in answers if x[1] == a] for a in {x[1] for x in answers}}
    order = [a for a, mine in by_annotator.items() for _ in mine]
    random.shuffle(order)
    queues = {a: iter(mine) for a, mine in by_annotator.items()}
    assert fold_answers([next(queues[a]) for a in order], TREE, 0.6) == fold_answers(answers, TREE, 0.6)


CROWD = Crowd({"ann": Reliability(0.95, 20), "bob": Reliability(0.5, 20), "cy": Reliability(0.5, 20)}, 0.8)


def weighed(*answers: tuple[str, str, int], crowd: Crowd = CROWD) -> list[tuple]:
    return [(r.label_id, r.answer, r.agreement and round(r.agreement, 3), r.confidence and round(r.confidence, 3))
            for r in fold_answers(answers, TREE, 0.6, crowd)]  # fmt: skip


def test_one_reliable_person_outweighs_another_and_the_agreement_stays_a_share_of_votes() -> None:
    # baking: .95 * .5 / 5, tea: .05 / 5 * .5, each of the four others: .05 / 5 * .5 / 5
    total = 0.095 + 0.005 + 4 * 0.001
    assert weighed(("baking", "ann", 1), ("tea", "bob", 1)) == [
        ("baking", 1, 0.5, round(0.095 / total, 3)),
        ("tea", 0, 0.5, round(1 - 0.005 / total, 3)),
    ]


def test_a_tie_of_equals_and_too_little_confidence_go_back_to_the_queue() -> None:
    assert [row[:3] for row in weighed(("baking", "bob", 1), ("tea", "cy", 1))] == [("baking", -1, 0.5), ("tea", -1, 0.5)]
    sure = Crowd(CROWD.reliabilities, 0.95)
    assert [row[1] for row in weighed(("baking", "ann", 1), ("tea", "bob", 1), crowd=sure)] == [-1, -1], "no tea, but nothing instead"


def test_what_one_votes_on_alone_is_counted_also_where_others_speak_of_the_video() -> None:
    rows = weighed(("baking", "bob", 1), ("tea", "cy", 0))
    assert rows[0] == ("baking", 1, 1.0, None), "Cy's `no tea` says nothing of baking"
    assert rows[1][:3] == ("tea", 0, 1.0)


def test_weighing_needs_a_yes_for_a_yes_and_a_no_for_a_no() -> None:
    liars = Crowd({"ann": Reliability(0.02, 50), "bob": Reliability(0.02, 50)}, 0.9)
    assert [row[:2] for row in weighed(("tea", "ann", 0), ("tea", "bob", 0), crowd=liars)] == [("tea", -1)]
    assert [row[:2] for row in weighed(("tea", "ann", 1), ("tea", "bob", 1), crowd=liars)] == [("tea", -1)]


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(TREE.ids), st.sampled_from(["ann", MANIFEST]), st.sampled_from([1, 0, -1])), max_size=8))
def test_where_one_person_answers_the_crowd_changes_nothing(answers: list) -> None:
    assert fold_answers(answers, TREE, 0.6, CROWD) == fold_answers(answers, TREE, 0.6)


@settings(max_examples=300)
@given(st.lists(ANSWER, max_size=12), st.lists(st.floats(0.02, 0.99), min_size=4, max_size=4), st.sampled_from([0.51, 0.8, 0.9, 0.99]))
def test_for_any_crowd_the_yes_labels_are_one_chain_and_what_is_settled_is_likely(answers: list, people: list, least: float) -> None:
    crowd = Crowd({name: Reliability(p, 1) for name, p in zip(["ann", "bob", "cy", "di"], people, strict=True)}, least)
    rows = fold_answers(answers, TREE, 0.6, crowd)
    assert [r.label_id for r in rows] == sorted({label for label, _, _ in answers})
    chosen = [r.label_id for r in rows if r.answer == 1]
    assert all(a == b or a in TREE.ancestors(b) or b in TREE.ancestors(a) for a in chosen for b in chosen)
    assert all(r.confidence is None or r.confidence >= least for r in rows if r.answer != -1)
    assert all(r.agreement for r in rows if r.answer != -1), "nobody's answer is nobody's"


MIGRATED = with_migrations(
    Taxonomy.from_dict({"task": "category", "labels": [{"id": one, "name": one} for one in ("food", "drinks", "sport")]}),
    {
        "labels": [{"id": one, "name": one, "after": None} for one in ("tea", "coffee", "eat", "gone")],
        "steps": [
            {"date": dt.date(2026, 1, 1), "rename": "eat", "to": "food"},
            {"date": dt.date(2026, 1, 1), "merge": ["tea", "coffee"], "into": "drinks"},
            {"date": dt.date(2026, 1, 1), "retire": "gone"},
        ],
    },
)  # fmt: skip


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([("eat", "ann", 1)], [("food", 1)]),
        ([("eat", "ann", 0)], [("food", 0)]),  # a rename keeps its no
        ([("tea", "ann", 1), ("coffee", "bob", 1)], [("drinks", 1)]),  # what was a contest is one answer
        ([("tea", "ann", 0)], [("drinks", -1)]),  # not tea is not `not drinks`
        ([("tea", "ann", 1), ("coffee", "ann", 0)], [("drinks", 1)]),
        ([("tea", "ann", 1), ("tea", "ann", 0)], [("drinks", -1)]),  # taken back
        ([("tea", "ann", 1), ("drinks", "ann", 0)], [("drinks", 0)]),  # answered anew
        ([("gone", "ann", 1)], []),
        ([("gone", "ann", 1), ("sport", "bob", 1)], [("sport", 1)]),
    ],
)
def test_answers_to_labels_that_moved_count_for_what_they_became(answers: list, expected: list) -> None:
    assert [(r.label_id, r.answer) for r in fold_answers(answers, MIGRATED, 0.6)] == expected


D1, D2 = dt.date(2026, 1, 1), dt.date(2026, 1, 2)
EVENT = "event_id string, video_id string, task string, label_id string, answer int, annotator_id string, answered_at timestamp, " \
    "batch string, source_row bigint, data_date date"  # fmt: skip


def event(event_id: str, video_id: str | None, label: str, annotator: str, answer: int, day: dt.date, hour: int | None = 9) -> tuple:
    at = None if hour is None else dt.datetime(day.year, day.month, day.day, hour)
    return (event_id, video_id, "category", label, answer, annotator, at, "labels/a.jsonl", 1, day)


def test_rows_are_folded_for_every_label_of_a_video_touched_today(spark: SparkSession) -> None:
    events = spark.createDataFrame(
        [
            event("1", "v1", "tea", "ann", 1, D1),
            event("2", "v2", "tea", "ann", 1, D1),
            event("3", "v1", "sport", "ann", 1, D2),
            event("4", "v3", "food", MANIFEST, 1, D2, hour=None),
            event("5", None, "food", "bob", 1, D2),
            ("6", "v3", "genre", "x", 1, "bob", None, "labels/a.jsonl", 1, D2),
        ],
        EVENT,
    )
    folded = fold_labels(events, events.where("data_date = '2026-01-02'"), {"category": TREE}, 0.6)
    names = tables.LABELS.undated
    assert folded.columns == names
    assert sorted(map(tuple, folded.collect())) == [
        ("v1", "category", "sport", 1, 1.0, None, 1, "people", TREE.version),
        ("v1", "category", "tea", 0, 1.0, None, 1, "people", TREE.version),
        ("v3", "category", "food", 1, 1.0, None, 0, "manifest", TREE.version),
    ]


def test_an_old_answer_that_is_delivered_late_does_not_undo_a_newer_one(spark: SparkSession) -> None:
    late = ("2", "v1", "category", "tea", 0, "ann", dt.datetime(2025, 12, 31), "labels/b.jsonl", 1, D2)
    events = spark.createDataFrame([event("1", "v1", "tea", "ann", 1, D1), late], EVENT)
    assert [row.answer for row in fold_labels(events, events, {"category": TREE}, 0.6).collect()] == [1]


def test_nothing_touched_gives_no_rows(spark: SparkSession) -> None:
    events = spark.createDataFrame([], EVENT)
    assert fold_labels(events, events, {"category": TREE}, 0.6).collect() == []


def test_a_folded_row_can_be_compared() -> None:
    assert fold_answers([("tea", "ann", 1)], TREE, 0.6) == [FoldedLabel("tea", 1, 1.0, 1, "people")]


@pytest.mark.parametrize("answers", [[], [("gone", "ann", 1)]])
def test_no_answers_fold_to_nothing(answers: list) -> None:
    assert fold_answers(answers, TREE, 0.6) == []
