"""Renames, merges and retirements: the tree of each day, what old ids and names mean, and what a broken file is told."""

import datetime as dt
import json
import pickle
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reelhouse.errors import TaxonomyError
from reelhouse.labels import Taxonomy, load_taxonomy
from reelhouse.labels.lines import LABELS as LINES
from reelhouse.labels.lines import parse_line, resolve_label
from reelhouse.labels.migrations import with_migrations
from reelhouse.sources.values import RowError

MARCH, APRIL, MAY = dt.date(2026, 3, 1), dt.date(2026, 4, 1), dt.date(2026, 5, 1)
BEFORE = {
    "task": "category",
    "labels": [
        {"id": "food", "name": "美食"},
        {"id": "bakery", "parent": "food", "name": "烘焙店", "aliases": ["bread"]},
        {"id": "cats", "name": "猫"},
        {"id": "kittens", "name": "小猫"},
        {"id": "drones", "name": "无人机"},
        {"id": "racing", "parent": "drones", "name": "竞速"},
    ],
}
NOW = {
    "task": "category",
    "labels": [{"id": "food", "name": "美食"}, {"id": "baking", "parent": "food", "name": "烘焙"}, {"id": "cats", "name": "猫"}],
}
STEPS = [
    {"date": MARCH, "rename": "bakery", "to": "baking"},
    {"date": APRIL, "merge": ["cats", "kittens"], "into": "cats"},
    {"date": MAY, "retire": "racing", "into": "drones"},
    {"date": MAY, "retire": "drones"},
]
STOOD = {"bakery": {}, "kittens": {"after": "cats"}, "drones": {"after": "kittens"}, "racing": {"after": "drones"}}
LABELS = [one | STOOD[one["id"]] for one in BEFORE["labels"] if one["id"] in STOOD]


def migrated(labels: list | None = None, steps: list | None = None, tree: dict = NOW) -> Taxonomy:
    return with_migrations(Taxonomy.from_dict(tree), {"labels": LABELS if labels is None else labels, "steps": steps or STEPS})


def day_before(date: dt.date) -> dt.date:
    return date - dt.timedelta(days=1)


def test_each_day_has_the_tree_that_was_in_force() -> None:
    tree = migrated()
    assert tree.as_of(day_before(MARCH)).definitions == Taxonomy.from_dict(BEFORE).definitions, "in the order of the file"
    assert tree.as_of(MARCH).ids == ["food", "baking", "cats", "kittens", "drones", "racing"]
    assert tree.as_of(APRIL).ids == tree.as_of(day_before(MAY)).ids == ["food", "baking", "cats", "drones", "racing"]
    assert tree.as_of(MAY) is tree
    assert tree.as_of(dt.date(2030, 1, 1)).ids == ["food", "baking", "cats"]


def test_what_labels_became() -> None:
    tree = migrated()
    assert {old: tree.follow(old) for old in ("bakery", "kittens", "racing", "drones", "never", "cats")} == {
        "bakery": "baking", "kittens": "cats", "racing": None, "drones": None, "never": None, "cats": "cats",
    }  # fmt: skip
    assert [label for label in ("bakery", "kittens", "racing", "cats") if tree.is_part(label)] == ["kittens", "racing"]
    assert (tree.former_ids("baking"), tree.former_ids("cats"), tree.former_ids("food")) == (["bakery"], ["kittens"], [])
    april = tree.as_of(APRIL)
    assert (april.follow("bakery"), april.follow("racing"), april.moves.keys()) == ("baking", "racing", {"bakery", "kittens"})
    assert [row[-1] for row in april.rows() if row[1] == "baking"] == [["bakery"]]


def test_a_chain_of_steps_is_followed_to_its_end() -> None:
    labels = [{"id": "a", "name": "a"}, {"id": "b", "name": "b"}, {"id": "c", "name": "c"}]  # each where its target stands
    steps = [
        {"date": MARCH, "rename": "a", "to": "b"},
        {"date": APRIL, "merge": ["b", "c"], "into": "d"},
        {"date": MAY, "rename": "d", "to": "e"},
    ]
    tree = migrated([*labels, {"id": "d", "name": "a"}], steps, {"task": "t", "labels": [{"id": "e", "name": "e"}]})
    assert [tree.follow(one) for one in "abcd"] == ["e"] * 4
    assert [tree.is_part(one) for one in "abcd"] == [True, True, True, False]
    assert [sorted(tree.as_of(date).ids) for date in (day_before(MARCH), MARCH, APRIL, MAY)] == [["a", "c"], ["b", "c"], ["d"], ["e"]]


def test_labels_below_a_renamed_one_stay_below_it() -> None:
    now = {"task": "t", "labels": [{"id": "eat", "name": "e"}, {"id": "tea", "parent": "eat", "name": "t"}]}
    tree = migrated([{"id": "food", "name": "f"}], [{"date": MARCH, "rename": "food", "to": "eat"}], now)
    assert tree.as_of(day_before(MARCH)).definitions == (("food", None, "f", ()), ("tea", "food", "t", ()))


def test_old_ids_names_and_paths_mean_the_former_label_and_what_was_retired_is_told() -> None:
    tree = migrated()
    assert [resolve_label(tree, text) for text in ("bakery", "BREAD", "烘焙店", "美食/烘焙店", "小猫", "烘焙")] == [
        "bakery", "bakery", "bakery", "bakery", "kittens", "baking",
    ]  # fmt: skip
    assert [resolve_label(tree.as_of(day_before(MARCH)), text) for text in ("bakery", "bread")] == ["bakery", "bakery"]
    with pytest.raises(RowError, match=re.escape("'drones' was retired from category on 2026-05-01: give a label that is in use")):
        resolve_label(tree, "无人机")
    with pytest.raises(RowError, match="is no label of category"):
        resolve_label(tree, "never")


def test_a_name_of_today_means_todays_label() -> None:
    tree = migrated(
        [{"id": "old", "name": "x"}], [{"date": MARCH, "rename": "old", "to": "new"}],
        {"task": "t", "labels": [{"id": "new", "name": "y"}, {"id": "other", "name": "x", "parent": "new"}]},
    )  # fmt: skip
    assert (tree.resolve("x"), tree.resolve("old")) == ("other", "old")
    assert (resolve_label(tree, "x", day_before(MARCH)), resolve_label(tree, "x", MARCH)) == ("old", "other"), "each day means its own"
    two = {"id": "o2", "name": "x", "parent": "other"}
    now = {"task": "t", "labels": [{"id": "new", "name": "y"}, {"id": "other", "name": "x", "parent": "new"}, two]}
    assert migrated([{"id": "old", "name": "x"}], [{"date": MARCH, "rename": "old", "to": "new"}], now).resolve("x") is None


def test_a_line_says_the_same_whenever_it_is_read() -> None:
    tree, texts = migrated(), ("烘焙店", "美食/烘焙店", "kittens", "racing", "无人机")
    first = [parse_line(LINES, line(text, day_before(MARCH)), {"category": Taxonomy.from_dict(BEFORE)}) for text in texts]
    assert [event["label_id"] for event in first] == ["bakery", "bakery", "kittens", "racing", "drones"]
    for day in (day_before(MARCH), MARCH, APRIL, MAY):
        later = [parse_line(LINES, line(text, day_before(MARCH)), {"category": tree.as_of(day)}) for text in texts]
        assert later == first, day  # with the hash that stands for a missing event_id

    said_late = [parse_line(LINES, line(text, MAY), {"category": tree})["label_id"] for text in ("烘焙店", "小猫", "烘焙")]
    assert said_late == ["bakery", "kittens", "baking"]
    assert parse_line(LINES, line("baking", day_before(MARCH)), {"category": tree})["label_id"] == "baking", "a label that came later"
    with pytest.raises(RowError, match="'drones' was retired from category on 2026-05-01"):
        parse_line(LINES, line("无人机", MAY), {"category": tree})
    with pytest.raises(RowError, match="is no label of category"):  # of a run for an earlier day: it knows no later label
        parse_line(LINES, line("baking", MARCH), {"category": tree.as_of(day_before(MARCH))})


def line(label: str, day: dt.date) -> bytes:
    return json.dumps({"video_id": "v1", "label": label, "answer": 0, "annotator_id": "ann", "answered_at": f"{day}T09:00:00Z"}).encode()


def test_the_version_changes_from_a_steps_day_on_and_not_before() -> None:
    tree = migrated()
    versions = [tree.as_of(date).version for date in (day_before(MARCH), MARCH, day_before(APRIL), APRIL, MAY)]
    assert len(set(versions)) == 4
    assert versions[1] == versions[2]
    assert versions[0] == Taxonomy.from_dict(BEFORE).version, "days before stay as they are"
    assert tree.version != Taxonomy.from_dict(NOW).version
    assert pickle.loads(pickle.dumps(tree)).follow("bakery") == "baking"


@st.composite
def trees_and_steps(draw: st.DrawFn) -> tuple[list[dict], list[dict], list[dict], list[list[str]]]:
    """A flat tree, then steps as a person takes them: (the tree after all, labels that went, the steps, the ids after each step)."""
    tree = draw(st.permutations([{"id": one, "name": one} for one in "abcdefgh"]))
    labels, steps, after = [], [], [[one["id"] for one in tree]]
    for number in range(draw(st.integers(1, 4))):
        ids = after[-1]
        gone = draw(st.lists(st.sampled_from(ids), min_size=1, max_size=2, unique=True))
        into = draw(st.sampled_from(["new", "retired", *(one for one in ids if one not in gone and len(one) == 1)]))
        new = into == "new"
        target = f"new{number}" if new else into
        date = MARCH + dt.timedelta(days=number)
        if into == "retired":
            gone = gone[:1]
            steps.append({"date": date, "retire": gone[0]})
        elif new and len(gone) == 1:
            steps.append({"date": date, "rename": gone[0], "to": target})
        else:
            steps.append({"date": date, "merge": gone if new else [target, *gone], "into": target})
        labels += [{"id": one, "name": one, "after": ids[ids.index(one) - 1] if ids.index(one) else None} for one in gone]
        left = [one for one in ids if one not in gone]
        if new:  # anywhere
            left.insert(draw(st.integers(0, len(left))), target)
        after.append(left or ["last"])
    return [{"id": one, "name": one} for one in after[-1]], labels, steps, after


@settings(max_examples=200, deadline=None)
@given(trees_and_steps())
def test_whatever_steps_are_written_each_day_keeps_its_tree_and_its_version(drawn: tuple) -> None:
    now, labels, steps, after = drawn
    tree = migrated(labels, steps, {"task": "t", "labels": now})
    assert [tree.as_of(day_before(MARCH) + dt.timedelta(days=n)).ids for n in range(len(after))] == after
    first = Taxonomy.from_dict({"task": "t", "labels": [{"id": one, "name": one} for one in after[0]]})
    assert tree.as_of(day_before(MARCH)).version == first.version


def test_labels_that_stood_together_and_went_together_come_back_in_their_order() -> None:
    before = [{"id": one, "name": one} for one in "axyzb"]
    labels = [before[n] | {"after": before[n - 1]["id"]} for n in (3, 1, 2)]
    steps = [{"date": MARCH, "retire": "x"}, {"date": MARCH, "retire": "z"}, {"date": MARCH, "retire": "y"}]
    tree = migrated(labels, steps, {"task": "t", "labels": [before[0], before[4]]})
    assert tree.as_of(day_before(MARCH)).ids == ["a", "x", "y", "z", "b"]


def test_the_file_lies_beside_the_tree(tmp_path: Path) -> None:
    file = tmp_path / "tree.yml"
    file.write_text(yaml.safe_dump(NOW, allow_unicode=True), encoding="utf-8")
    assert load_taxonomy(file).moves == {}
    beside = tmp_path / "tree.migrations.yml"
    beside.write_text(yaml.safe_dump({"labels": LABELS, "steps": STEPS}, allow_unicode=True), encoding="utf-8")
    assert load_taxonomy(file).follow("bakery") == "baking"
    assert load_taxonomy(file).version == migrated().version
    for content in ("steps: [", "steps:\n  - {date: 2026-02-30, retire: a}", "- a"):
        beside.write_text(content)
        with pytest.raises(TaxonomyError, match=re.escape(str(beside))):
            load_taxonomy(file)


ONE = [{"id": "old", "name": "o", "after": "food"}]


@pytest.mark.parametrize(
    ("labels", "steps", "problem"),
    [
        (ONE, [{"date": MARCH, "rename": "old", "to": "none"}], "step 1 (2026-03-01): 'none' is no label of the tree"),
        (
            [],
            [{"date": MARCH, "rename": "old", "to": "cats"}],
            "step 1 (2026-03-01): 'old' is not listed: write it under `labels` as it was in",
        ),
        ([], [{"date": MARCH, "retire": "cats"}], "step 1 (2026-03-01): 'cats' is in the tree still: cut it out there and list it under"),
        ([*ONE, {"id": "cats", "name": "c"}], [{"date": MARCH, "retire": "old"}], "label 'cats' is listed, but the tree holds it"),
        ([*ONE, {"id": "x", "name": "x"}], [{"date": MARCH, "retire": "old"}], "label 'x' is listed, but no step moves it"),
        ([*ONE, *ONE], [{"date": MARCH, "retire": "old"}], "label 'old' is listed twice"),
        (
            ONE,
            [{"date": MARCH, "retire": "old"}, {"date": APRIL, "retire": "old"}],
            "step 2 (2026-04-01): 'old' was moved by a step before",
        ),
        (
            [*ONE, {"id": "x", "name": "x"}],
            [{"date": MARCH, "rename": "old", "to": "x"}, {"date": APRIL, "rename": "x", "to": "old"}],
            "step 2 (2026-04-01): 'old' was moved before: a label that went can't come back; give it another id",
        ),
        (
            [*ONE, {"id": "x", "name": "x"}],
            [{"date": APRIL, "retire": "old"}, {"date": MARCH, "retire": "x"}],
            "step 2 (2026-03-01): its day is before that of the step before (2026-04-01): steps are written in order",
        ),
        (
            [*ONE, {"id": "x", "name": "x"}],
            [{"date": MARCH, "retire": "x", "into": "cats"}, {"date": APRIL, "rename": "old", "to": "cats"}],
            "step 2 (2026-04-01): 'cats' was there before: write merge: [old, cats], into: cats",
        ),
        (
            [*ONE, {"id": "x", "name": "x"}],
            [{"date": MARCH, "retire": "x", "into": "cats"}, {"date": APRIL, "merge": ["old", "food"], "into": "baking"}],
            "step 2 (2026-04-01): 'food' is in the tree still",
        ),
        (
            [*ONE, {"id": "x", "name": "x"}],
            [{"date": MARCH, "retire": "x", "into": "cats"}, {"date": APRIL, "rename": "old", "to": "cats"}][::-1],
            "step 2 (2026-03-01): its day is before",
        ),
        (
            ONE,
            [{"date": MARCH, "split": "old", "into": ["food", "cats"]}],
            "step 1: a label can't be split: nobody knows which of the new ones",
        ),
        (
            ONE,
            [{"date": MARCH, "merge": ["old"], "into": "cats"}],
            "step 1: `merge` names all labels that become one, the target too if it was",
        ),
        (ONE, [{"date": MARCH, "merge": "old", "into": "cats"}], "step 1: `merge` must name different labels by their ids, got 'old'"),
        (
            ONE,
            [{"date": "2026-03-01", "retire": "old"}],
            "step 1: `date` must be a day such as 2026-03-01, without quotes, got '2026-03-01'",
        ),
        (ONE, [{"date": MARCH, "rename": "old"}], "step 1: `to` must be the id of a label, got None"),
        (ONE, [{"date": MARCH, "rename": "old", "into": "cats"}], "step 1: there is no key 'into' with rename"),
        (ONE, [{"date": MARCH, "retire": "old", "rename": "old"}], "step 1 must be {date, rename, to}, {date, merge: [...], into} or"),
        (ONE, ["old"], "step 1 must be {date, rename, to}"),
        ([{"id": "old"}], [{"date": MARCH, "retire": "old"}], "label 1 (old): `id` and `name` must both be text"),
        (
            [{"id": "old", "name": "o", "parent": "gone", "after": "food"}],
            [{"date": MARCH, "retire": "old"}],
            "the tree before step 1: 'old' has the unknown parent 'gone'",
        ),
        (
            [{"id": "old", "name": "猫", "after": None}],
            [{"date": MARCH, "retire": "old"}],
            "the tree before step 1: 'old' and 'cats' have the same parent and",
        ),
        (
            [{"id": "old", "name": "o"}],
            [{"date": MARCH, "retire": "old"}],
            "step 1 (2026-03-01): where did 'old' stand? Write `after: ID` with it, the label that stood above it",
        ),
    ],
)
def test_a_broken_file_is_refused_and_the_problem_named(labels: list, steps: list, problem: str) -> None:
    with pytest.raises(TaxonomyError) as caught:
        migrated(labels, steps)
    assert f"\n  {problem}" in str(caught.value)


@pytest.mark.parametrize("above", ["never", "old", "new"])
def test_a_place_below_what_was_not_there_then_is_refused(above: str) -> None:
    now = {"task": "t", "labels": [{"id": "new", "name": "n"}]}
    steps = [{"date": MARCH, "rename": "b", "to": "new"}, {"date": MARCH, "retire": "old"}]
    labels = [{"id": "old", "name": "o", "after": above}, {"id": "b", "name": "b"}]
    if above == "new":
        steps = steps[::-1]
    with pytest.raises(TaxonomyError, match=f"label 'old' stood after '{above}', which is not in the tree before 'old' went: write"):
        migrated(labels, steps, now)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(TaxonomyError) as caught:
        with_migrations(Taxonomy.from_dict(NOW), {"labels": [{"id": "a"}], "steps": [{"date": MARCH}, {"date": 1, "retire": "a"}], "x": 1})
    assert str(caught.value).count("\n  ") == 4
