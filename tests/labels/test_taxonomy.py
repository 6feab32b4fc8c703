"""Label trees: what resolves to what, what is refused, and trees made from category paths."""

import csv
import pickle
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.errors import TaxonomyError
from reelhouse.labels import Taxonomy, taxonomy_from_paths

FOOD = {
    "task": "category",
    "labels": [
        {"id": "food", "name": "美食", "aliases": ["Food"]},
        {"id": "food.baking", "parent": "food", "name": "烘焙", "aliases": ["baking"]},
        {"id": "food.tea", "parent": "food", "name": "奶茶"},
        {"id": "shows", "name": "影视/综艺"},
        {"id": "shows.baking", "parent": "shows", "name": "烘焙"},
    ],
}


@pytest.fixture
def tree() -> Taxonomy:
    return Taxonomy.from_dict(FOOD)


@pytest.mark.parametrize(
    ("text", "label_id"),
    [
        ("food.tea", "food.tea"),
        ("奶茶", "food.tea"),
        ("  ＢＡＫＩＮＧ ", "food.baking"),
        ("美食/烘焙", "food.baking"),
        ("food > 烘焙", "food.baking"),
        ("/美食//烘焙/", "food.baking"),
        ("影视/综艺", "shows"),
        ("影视/综艺/烘焙", "shows.baking"),
        ("烘焙", None),  # two labels have this name
        ("美食/烘焙/戚风", None),  # the longest known prefix is not enough
        ("烘焙/美食", None),
        ("tea", None),
        ("", None),
        (" / ", None),
        (None, None),
    ],
)
def test_only_an_exact_id_name_alias_or_path_resolves(tree: Taxonomy, text: str | None, label_id: str | None) -> None:
    assert tree.resolve(text) == label_id


def test_relations_in_the_tree(tree: Taxonomy) -> None:
    assert tree.ids == ["food", "food.baking", "food.tea", "shows", "shows.baking"]
    assert tree.leaves == ["food.baking", "food.tea", "shows.baking"]
    assert tree.ancestors("food.baking") == ["food"]
    assert tree.ancestors("food") == []
    assert tree.children("food") == ["food.baking", "food.tea"]
    assert (tree.parent("food"), tree.parent("food.tea")) == (None, "food")
    assert tree.path("shows.baking") == "影视/综艺/烘焙"
    assert "food" in tree
    assert "drinks" not in tree


def test_a_root_name_that_is_also_a_leaf_name_is_the_roots_path() -> None:
    tree = Taxonomy.from_dict({"task": "t", "labels": [{"id": "a", "name": "舞蹈"}, {"id": "b", "name": "舞蹈", "parent": "a"}]})
    assert (tree.resolve("舞蹈"), tree.resolve("舞蹈/舞蹈")) == ("a", "b")


def test_the_nearest_labels_are_named_by_path(tree: Taxonomy) -> None:
    assert tree.nearest("美食/烘培", count=1) == ["美食/烘焙"]
    assert tree.nearest("bakin", count=1) == ["美食/烘焙"]
    assert tree.nearest("zzzz") == []


def test_the_version_follows_the_content_and_not_the_layout(tmp_path: Path, tree: Taxonomy) -> None:
    file = tmp_path / "categories.yml"
    file.write_text("# a comment\n" + yaml.safe_dump(FOOD, allow_unicode=True), encoding="utf-8")
    loaded = Taxonomy.load(file)
    assert loaded.version == tree.version
    renamed = {**FOOD, "labels": [{**FOOD["labels"][0], "name": "吃"}, *FOOD["labels"][1:]]}
    assert Taxonomy.from_dict(renamed).version != tree.version
    assert pickle.loads(pickle.dumps(tree)).resolve("奶茶") == "food.tea"


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ([{"id": "a", "name": "x"}, {"id": "a", "name": "y"}], "the id 'a' is there twice"),
        ([{"id": "a", "name": "x", "parent": "b"}], "'a' has the unknown parent 'b'"),
        (
            [{"id": "a", "name": "x", "parent": "b"}, {"id": "b", "name": "y", "parent": "a"}],
            "a cycle of parents: a -> b -> a",
        ),
        ([{"id": "a", "name": "x", "parent": "a"}], "a cycle of parents: a -> a"),
        ([{"id": "a", "name": "x"}, {"id": "b", "name": "X"}], "'a' and 'b' have the same parent and both answer to 'x'"),
        ([{"id": "a", "name": "x"}, {"id": "b", "name": "y", "aliases": ["A"]}], "'a' and 'b' have the same parent and both answer to 'a'"),
        ([{"id": "a", "name": "x", "colour": "red"}], "label 1 (a): there is no key colour (known: aliases, id, name, parent)"),
        ([{"id": "a", "name": False}], "label 1 (a): `id` and `name` must both be text (quote words like no, yes, 1.0)"),
        ([{"id": "a", "name": "x", "aliases": "b"}], "label 1 (a): `aliases` must be a list of texts, got 'b'"),
        (["a"], "label 1 must be {id, name, parent?, aliases?}, got 'a'"),
    ],
)
def test_a_broken_tree_is_refused_and_the_problem_named(labels: list, problem: str) -> None:
    with pytest.raises(TaxonomyError) as caught:
        Taxonomy.from_dict({"task": "category", "labels": labels})
    assert f"\n  {problem}" in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    labels = [{"id": "a", "name": "x", "parent": "b"}, {"id": "c", "name": "y", "parent": "c"}]
    with pytest.raises(TaxonomyError) as caught:
        Taxonomy.from_dict({"task": "", "labels": labels, "color": 1})
    assert str(caught.value) == (
        "the taxonomy is broken:\n  there is no key 'color' (known: labels, task)\n"
        "  `task` must be the name of the task, e.g. category\n  'a' has the unknown parent 'b'\n  a cycle of parents: c -> c"
    )


@pytest.mark.parametrize("content", ["labels: [", "- a", "task: x", "task: x\nlabels: []"])
def test_a_file_that_is_no_taxonomy_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "t.yml"
    file.write_text(content)
    with pytest.raises(TaxonomyError, match=re.escape(str(file))):
        Taxonomy.load(file)
    with pytest.raises(TaxonomyError, match=r"missing\.yml can't be read"):
        Taxonomy.load(tmp_path / "missing.yml")


def test_paths_become_a_tree_with_stable_ids() -> None:
    some = taxonomy_from_paths(["食品/烘焙", " 食品 > 奶茶", None, "", "//", "食品/烘焙/"], "domain")
    more = taxonomy_from_paths(["乐器", "食品/烘焙", "食品/奶茶"], "domain")
    assert [(label["name"], "parent" in label) for label in some["labels"]] == [("食品", False), ("奶茶", True), ("烘焙", True)]
    assert [label for label in more["labels"] if label["name"] != "乐器"] == some["labels"]
    with pytest.raises(TaxonomyError, match="no category path was given"):
        taxonomy_from_paths([None, " / "], "domain")


@given(st.lists(st.lists(st.sampled_from("甲乙Aa丙"), min_size=1, max_size=3), min_size=1, max_size=12))
def test_every_path_that_made_a_tree_resolves_to_its_own_label(parts: list[list[str]]) -> None:
    paths = ["/".join(part) for part in parts]
    tree = Taxonomy.from_dict(taxonomy_from_paths(paths, "t"))
    assert all(tree.path(tree.resolve(path)).casefold() == path.casefold() for path in paths)
    assert all(tree.resolve(tree.path(label_id)) == label_id for label_id in tree.ids)


@pytest.mark.data
def test_the_categories_of_real_videos_make_a_tree(shared_data: Path) -> None:
    with open(shared_data / "kuairec" / "videos.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [[row[f"{level}_level_category_name"] for level in ("first", "second", "third")] for row in rows]
    paths = {"/".join(name for name in parts if name.strip() and name != "UNKNOWN") for parts in names} - {""}
    tree = Taxonomy.from_dict(taxonomy_from_paths(paths, "category"))
    assert "教育/学业教育/k12" in paths, "one category is written K12 and k12: they are one label"
    assert {tree.path(tree.resolve(path)) for path in paths} == paths - {"教育/学业教育/k12"}
