import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.labels import Taxonomy
from reelhouse.training.targets import choose_classes, targets_of, teaches

TREE = Taxonomy.from_dict(
    {
        "task": "category",
        "labels": [
            {"id": "food", "name": "food"},
            {"id": "baking", "parent": "food", "name": "baking"},
            {"id": "bread", "parent": "baking", "name": "bread"},
            {"id": "noodles", "parent": "food", "name": "noodles"},
            {"id": "pets", "name": "pets"},
            {"id": "dogs", "parent": "pets", "name": "dogs"},
        ],
    }
)
ALL = choose_classes(TREE, dict.fromkeys(TREE.ids, 9), dict.fromkeys(TREE.ids, 9), 3)


def names(targets, classes=ALL):
    signs = {1.0: "+", 0.0: "-", -1.0: "?"}
    return " ".join(f"{signs[float(t)]}{label}" for t, label in zip(targets, classes.label_ids, strict=True))


def test_labels_with_enough_videos_are_classes_in_the_order_of_the_tree():
    assert ALL.label_ids == ("food", "baking", "bread", "noodles", "pets", "dogs")


def test_a_rare_label_is_folded_to_the_nearest_ancestor_that_has_enough_with_its_descendants():
    # bread 1 + baking 1 are too few, with noodles they make food; pets and dogs together are too few
    subtree = {"bread": 1, "baking": 2, "noodles": 5, "food": 7, "dogs": 1, "pets": 2}
    classes = choose_classes(TREE, subtree, {"bread": 1, "baking": 1, "noodles": 5, "dogs": 1, "pets": 1}, 3)
    assert classes.label_ids == ("food", "noodles")
    assert {label: classes.label_ids[i] for label, i in classes.class_of.items()} == {
        "food": "food", "baking": "food", "bread": "food", "noodles": "noodles",
    }  # fmt: skip


def test_a_class_without_a_training_video_is_dropped_with_its_labels():
    classes = choose_classes(TREE, {"noodles": 5, "food": 5, "dogs": 4, "pets": 4}, {"dogs": 3}, 3)
    assert classes.label_ids == ("dogs",)
    assert dict(classes.class_of) == {"dogs": 0}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([("bread", 1)], "?food ?baking +bread -noodles -pets -dogs"),
        ([("baking", 1)], "?food +baking ?bread -noodles -pets -dogs"),
        ([("baking", 1), ("bread", 0)], "?food +baking -bread -noodles -pets -dogs"),
        ([("food", 1), ("bread", 1)], "?food ?baking +bread -noodles -pets -dogs"),  # the deeper one counts
        ([("bread", 1), ("noodles", 1)], "?food ?baking +bread +noodles -pets -dogs"),  # two branches
        ([("bread", 1), ("food", 0)], "?food ?baking +bread -noodles -pets -dogs"),  # a no above a yes is not believed
        ([("food", 0)], "-food -baking -bread -noodles ?pets ?dogs"),
        ([("dogs", 0)], "?food ?baking ?bread ?noodles ?pets -dogs"),
        ([], "?food ?baking ?bread ?noodles ?pets ?dogs"),
    ],
)
def test_targets_by_hand(answers, expected):
    assert names(targets_of(answers, ALL)) == expected


def test_a_no_to_a_folded_label_says_nothing_of_its_class():
    classes = choose_classes(TREE, {"bread": 1, "baking": 4, "food": 4, "dogs": 4, "pets": 4}, {"bread": 1, "baking": 3, "dogs": 3}, 3)
    assert names(targets_of([("bread", 0)], classes), classes) == "?baking ?dogs"
    assert names(targets_of([("bread", 1)], classes), classes) == "+baking -dogs"


def test_which_rows_teach():
    rows = [[1, 0], [1, -1], [0, -1], [-1, -1], [0, 0]]
    assert [teaches(np.array(r, np.float32)) for r in rows] == [True, True, True, False, False]


@given(st.permutations([("bread", 1), ("noodles", 0), ("dogs", 0), ("baking", 1)]))
def test_the_order_of_answers_does_not_matter(answers):
    assert names(targets_of(answers, ALL)) == "?food ?baking +bread -noodles -pets -dogs"


@given(st.dictionaries(st.sampled_from(TREE.ids), st.sampled_from([0, 1])))
def test_a_yes_is_never_beside_a_yes_of_its_own_line_and_every_class_is_one_of_three(answers):
    targets = targets_of(answers.items(), ALL)
    yes = {ALL.label_ids[i] for i in np.flatnonzero(targets == 1)}
    assert all(not (yes & set(TREE.ancestors(label))) for label in yes)
    assert set(targets.tolist()) <= {1.0, 0.0, -1.0}
    assert yes <= {label for label, answer in answers.items() if answer == 1}
