"""How a labelling budget is split, by hand and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.sampling.budget import Known, labels_for, least_share, most_share, split_budget

RULE = {"random_share": 0.1, "rare_share": 0.25, "half_width": 0.05}


def labels_of(budget: int, known: Known, **rule: float) -> list[int]:
    return [part.labels for part in split_budget(budget, known, **RULE | rule)]


def test_an_interval_takes_as_many_labels_as_the_textbook_says() -> None:
    assert labels_for(0.5, 0.05) == 385  # 1.96^2 x .25 / .0025 = 384.16
    assert labels_for(0.5, 0.1) == 97  # 96.04
    assert labels_for(0.9, 0.05) == 139  # 138.3
    assert labels_for(1.0, 0.05) == 0


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (Known(0.5, random=385, rare=0, suspects=0), [10, 0, 0, 90]),  # enough at random: the share that is always kept
        (Known(0.5, random=360, rare=0, suspects=0), [25, 0, 0, 75]),  # 25 are missing
        (Known(0.5, random=0, rare=0, suspects=0), [50, 0, 0, 50]),  # 385 are: half of the budget at most
        (Known(0.5, random=385, rare=9, suspects=0), [10, 9, 0, 81]),
        (Known(0.5, random=385, rare=99, suspects=7), [10, 25, 7, 58]),
        (Known(0.5, random=385, rare=99, suspects=99), [10, 25, 32, 33]),  # half of the 65 that are left
        (Known(0.5, random=385, rare=0, suspects=7, asked_again=3, changed=1), [10, 0, 0, 90]),  # (1 + 1) / (3 + 2) < 1/2
        (Known(0.5, random=385, rare=0, suspects=7, asked_again=3, changed=2), [10, 0, 7, 83]),
    ],
)
def test_a_hundred_labels_by_hand(known: Known, expected: list[int]) -> None:
    assert labels_of(100, known) == expected


def test_each_part_says_why() -> None:
    parts = split_budget(100, Known(0.5, random=360, rare=9, suspects=7, asked_again=3, changed=2), **RULE)
    assert [part.reason for part in parts] == [
        "an accuracy known to +-5% takes 385 labels drawn at random, there are 360; at least 10% of a budget",
        "9 videos have an item that speaks for a class of few labels; at most 25% of a budget",
        "7 labels look wrong, 2 of 3 that people were asked about again were wrong: one is worth 1.2 new labels",
        "the rest: what the model is least sure of, by density as long as that says nothing",
    ]


COUNT = st.integers(0, 2000)


@given(COUNT, st.floats(0, 1), COUNT, COUNT, COUNT, st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 0.999))
def test_the_parts_are_the_budget_whatever_is_known(
    budget: int, accuracy: float, random: int, rare: int, suspects: int, random_share: float, rare_share: float, half_width: float
) -> None:
    known = Known(accuracy, random, rare, suspects)
    parts = labels_of(budget, known, random_share=random_share, rare_share=rare_share, half_width=half_width)
    assert sum(parts) == budget
    assert min(parts) >= 0
    assert parts[0] >= min(budget, random_share * budget - 1e-6)
    assert parts[1] <= min(rare, rare_share * budget + 1e-6)
    assert parts[2] <= suspects


@pytest.mark.parametrize(("budget", "share", "least", "most"), [(100, 0.07, 7, 7), (100, 0.29, 29, 29), (5, 0.1, 1, 0), (0, 0.5, 0, 0)])
def test_a_share_of_a_budget_is_not_a_label_off_for_the_rounding_of_floats(budget: int, share: float, least: int, most: int) -> None:
    assert (least_share(budget, share), most_share(budget, share)) == (least, most)


def test_a_budget_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="a budget is a number of labels, 0 or more, got -1"):
        split_budget(-1, Known(0.5, 0, 0, 0), **RULE)
