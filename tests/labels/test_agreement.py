"""Krippendorff's alpha: the worked examples of his paper, and a second way to compute it."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelhouse.labels.agreement import Agreement, agreement_by_domain, coincidences, krippendorff_alpha, pairs_of
from tests.labels.trees import TREE

# Krippendorff 2011, section C: four observers, twelve units, some not observed
FOUR_OBSERVERS = ["1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."]
# section A: two observers, ten units, two values
TWO_OBSERVERS = ["0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"]


def units_of(observers: list[str]) -> list[list[str]]:
    return [[value for value in unit if value != "."] for unit in zip(*(line.split() for line in observers), strict=True)]


def alpha(units: list) -> float | None:
    return krippendorff_alpha(coincidences(pairs_of(units)))


@pytest.mark.parametrize(("observers", "expected"), [(FOUR_OBSERVERS, 0.743), (TWO_OBSERVERS, 0.095)])
def test_the_papers_examples(observers: list[str], expected: float) -> None:
    assert alpha(units_of(observers)) == pytest.approx(expected, abs=5e-4)


def test_the_papers_coincidence_matrix() -> None:
    matrix = coincidences(pairs_of(units_of(FOUR_OBSERVERS)))
    assert {value: matrix[value, value] for value in "12345"} == {"1": 7, "2": 10, "3": 8, "4": 4, "5": 3}
    assert sum(matrix.values()) == 40


@pytest.mark.parametrize("units", [[], [["a"]], [["a", "a"]], [["a", "a"], ["a", "a", "a"]]])
def test_where_nothing_different_was_said_there_is_no_alpha(units: list) -> None:
    assert alpha(units) is None


def by_brute_force(units: list[list[str]]) -> float | None:
    """1 - mean disagreement of two values of one unit / of any two values, straight from the definition."""
    kept = [unit for unit in units if len(unit) > 1]
    values = [value for unit in kept for value in unit]
    expected = [one != other for one, other in permutations(values, 2)]
    if not any(expected):
        return None
    observed = sum(sum(a != b for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in kept) / len(values)
    return 1 - observed / (sum(expected) / len(expected))


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=5), max_size=12))
def test_it_is_what_the_definition_says(units: list) -> None:
    expected = by_brute_force(units)
    assert alpha(units) == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_a_domain_counts_all_labels_outside_of_it_as_one() -> None:
    units = [["tea", "tea"], ["tea", "cake"], ["pets", "pets"], ["pets", "sport"], ["food"]]
    inside = [["tea", "tea"], ["tea", "cake"], ["x", "x"], ["x", "x"]]
    pets = [["x", "x"], ["x", "x"], ["pets", "pets"], ["pets", "x"]]
    sport = [["x", "x"], ["x", "x"], ["x", "x"], ["x", "sport"]]
    assert agreement_by_domain(pairs_of(units), TREE) == [
        Agreement(None, pytest.approx(by_brute_force(units)), 8),
        Agreement("food", pytest.approx(by_brute_force(inside)), 4),
        Agreement("pets", pytest.approx(by_brute_force(pets)), 3),
        Agreement("sport", pytest.approx(by_brute_force(sport)), 1),
    ]
