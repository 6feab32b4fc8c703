"""Greedy coverage: against a plain greedy over all pairs, and what must hold whatever the rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelhouse.sampling.coverage import _drawn, cover
from reelhouse.sampling.places import Quota


def nothing(n: int) -> np.ndarray:
    return np.zeros(n, bool)


def plain_kernel(vectors: np.ndarray, rank: int) -> np.ndarray:
    gaps = np.linalg.norm(vectors[:, None].astype(float) - vectors[None], axis=2)
    width = np.sort(gaps, axis=1)[:, rank]
    return np.exp(-(gaps**2) / (0.3 * width[:, None] * width))


def plain_greedy(kernel: np.ndarray, count: int, best: np.ndarray) -> list[float]:
    """Gains of the greedy choice, without any short cut."""
    gains = []
    for _ in range(count):
        added = np.maximum(kernel - best, 0).sum(axis=1)
        gains.append(float(added.max()))
        best = np.maximum(best, kernel[int(added.argmax())])
    return gains


@pytest.mark.parametrize("count", [4, 15])
def test_each_choice_adds_as_much_as_any_could(count: int) -> None:
    vectors = np.random.default_rng(3).normal(size=(60, 3)).astype(np.float32)
    found = cover(vectors, count, is_open=~nothing(60), is_covered=nothing(60))
    assert found.gains == pytest.approx(plain_greedy(plain_kernel(vectors, 60 // count), count, np.zeros(60)), rel=1e-4)
    assert len(set(found.rows)) == count
    assert found.gains == sorted(found.gains, reverse=True)


def test_what_is_covered_counts_and_is_never_chosen() -> None:
    vectors = np.random.default_rng(4).normal(size=(60, 3)).astype(np.float32)
    covered = nothing(60)
    covered[[5, 17, 40]] = True
    found = cover(vectors, 7, is_open=~covered, is_covered=covered)
    gaps = np.linalg.norm(vectors[:, None].astype(float) - vectors[covered][None], axis=2).min(axis=1)
    width = np.sort(np.linalg.norm(vectors[:, None].astype(float) - vectors[None], axis=2), axis=1)[:, 60 // (7 + 3)]
    best = np.exp(-(gaps**2) / (0.3 * width**2))
    assert found.gains == pytest.approx(plain_greedy(plain_kernel(vectors, 6), 7, best), rel=1e-4)
    assert not covered[found.rows].any()


def test_one_of_each_dense_group_comes_first_and_the_strays_after_them() -> None:
    rng = np.random.default_rng(0)
    sizes = [120, 60, 30]
    groups = [centre + rng.normal(scale=0.2, size=(size, 8)) for centre, size in zip(rng.normal(scale=3, size=(3, 8)), sizes, strict=True)]
    strays = rng.normal(scale=8, size=(10, 8))
    vectors = np.concatenate([*groups, strays]).astype(np.float32)
    of = np.repeat([0, 1, 2, 3], [*sizes, 10])
    few = of[cover(vectors, 12, is_open=~nothing(220), is_covered=nothing(220)).rows].tolist()
    assert few[0] == 0
    assert sorted(few[:3]) == [0, 1, 2]
    many = of[cover(vectors, 80, is_open=~nothing(220), is_covered=nothing(220)).rows].tolist()
    assert many.index(3) > 10
    assert many.count(3) >= 5


def test_quotas_hold_and_the_rest_of_the_budget_goes_to_the_other_kinds() -> None:
    vectors = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    domain, day = np.repeat([0, 1], [40, 10]), np.arange(50) % 5
    quotas = [Quota(domain, np.array([3, 99])), Quota(day, np.full(5, 2))]
    found = cover(vectors, 9, is_open=~nothing(50), is_covered=nothing(50), quotas=quotas)
    assert len(found.rows) == 9
    assert np.bincount(domain[found.rows]).tolist() == [3, 6]
    assert np.bincount(day[found.rows], minlength=5).max() <= 2
    assert quotas[1].places.tolist() == [2] * 5
    short = cover(vectors, 50, is_open=~nothing(50), is_covered=nothing(50), quotas=[Quota(domain, np.array([3, 4]))])
    assert len(short.rows) == 7


@pytest.mark.parametrize("weighed_max", [1, 8192])
def test_under_two_quotas_the_row_that_stands_best_waits_for_a_fuller_batch(weighed_max: int) -> None:
    vectors = np.array([[0.0], [0.1], [-0.1], [5.0], [-5.0]], np.float32)  # the first stands best
    is_open = np.array([True, False, False, True, True])
    domain, day = np.array([0, 2, 2, 0, 1]), np.array([0, 2, 2, 1, 0])  # (A, 1), -, -, (A, 2), (B, 1)
    quotas = [Quota(kind, np.array([1, 1, 9])) for kind in (domain, day)]
    assert cover(vectors, 1, is_open=is_open, is_covered=nothing(5)).rows == [0]
    found = cover(vectors, 2, is_open=is_open, is_covered=nothing(5), quotas=quotas, weighed_max=weighed_max)
    assert sorted(found.rows) == [3, 4]
    assert cover(vectors, 1, is_open=is_open, is_covered=nothing(5), quotas=quotas).rows == [0], "of one row it takes no place away"


def test_of_more_rows_than_are_weighed_some_are_drawn_and_all_regions_are_still_reached() -> None:
    rng = np.random.default_rng(2)
    of = np.repeat(np.arange(20), 100)
    vectors = (rng.normal(scale=5, size=(20, 16))[of] + rng.normal(scale=0.3, size=(2000, 16))).astype(np.float32)
    found = cover(vectors, 40, is_open=~nothing(2000), is_covered=nothing(2000), weighed_max=400)
    assert set(of[found.rows].tolist()) == set(range(20))
    assert 5 <= found.gains[0] <= 100, "a row stands for those that weren't drawn too: for five with itself, for its region at most"
    everything = cover(vectors, 2000, is_open=~nothing(2000), is_covered=nothing(2000), weighed_max=400)
    assert sorted(everything.rows) == list(range(2000))
    few = nothing(2000)
    few[[3, 1500]] = True
    assert sorted(cover(vectors, 2, is_open=few, is_covered=nothing(2000), weighed_max=100).rows) == [3, 1500]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(0, 70), st.integers(0, 10_000), st.sampled_from([20, 1000]))
def test_the_order_of_rows_does_not_change_what_is_chosen(n: int, count: int, seed: int, weighed_max: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, opened, order = rng.normal(size=(n, 3)).astype(np.float32), rng.random(n) < 0.7, rng.permutation(n)
    straight = cover(vectors, count, is_open=opened, is_covered=~opened, weighed_max=weighed_max).rows
    shuffled = cover(vectors[order], count, is_open=opened[order], is_covered=~opened[order], weighed_max=weighed_max).rows
    assert order[shuffled].tolist() == straight
    assert len(straight) == min(count, opened.sum())


@pytest.mark.parametrize("n", [301, 400, 2000])
def test_of_more_rows_than_are_weighed_those_of_more_worth_still_count_more(n: int) -> None:
    rng = np.random.default_rng(0)
    vectors, worth = rng.normal(size=(n, 4)), np.ones(n)
    sure = np.arange(n) < n // 2
    vectors[sure, 0] += 8
    for low, most in ((0.01, 1), (0, 0)):
        worth[sure] = low
        found = cover(vectors.astype(np.float32), 20, is_open=~nothing(n), is_covered=nothing(n), worth=worth, weighed_max=300)
        assert sure[found.rows].sum() <= most


def test_what_is_drawn_counts_on_average_as_much_as_all() -> None:
    rng = np.random.default_rng(1)
    worth, part = rng.exponential(size=60) ** 2, np.arange(60) < 20
    is_open = rng.random(60) < 0.7
    sums = []
    for _ in range(2000):
        rows, weights = _drawn(rng.permutation(60), worth, is_open, 30)
        assert len(set(rows.tolist())) == 30
        sums.append(weights[part[rows]].sum())
    assert np.mean(sums) == pytest.approx(worth[part].sum(), abs=4 * np.std(sums) / 2000**0.5)


def test_equal_rows_and_one_row() -> None:
    assert len(set(cover(np.ones((9, 3), np.float32), 4, is_open=~nothing(9), is_covered=nothing(9)).rows)) == 4
    assert cover(np.ones((1, 3), np.float32), 4, is_open=~nothing(1), is_covered=nothing(1)).rows == [0]
    assert cover(np.zeros((0, 3), np.float32), 4, is_open=nothing(0), is_covered=nothing(0)).rows == []
