"""Sampling by density: what is chosen, in which order, and what never is."""

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelhouse.errors import VectorError
from reelhouse.sampling import NOISE, DensityClusters, density_clusters, sample_by_density
from reelhouse.sampling.places import Quota


def clusters_of(vectors: np.ndarray, minimum_size: int = 3) -> DensityClusters:
    return density_clusters(vectors, minimum_size=minimum_size)


# two dense groups (5 and 4 rows around 0 and 10, densest in their middle) and two strays
LINE = np.array([[0.0], [0.1], [0.2], [0.3], [0.4], [10.0], [10.1], [10.2], [10.3], [50.0], [80.0]])


def test_each_dense_region_gets_a_row_before_the_long_tail() -> None:
    sample = sample_by_density(LINE, budget=3, seed=1, clusters=clusters_of(LINE))
    assert sample.clusters.labels.tolist() == [0] * 5 + [1] * 4 + [NOISE] * 2
    assert sorted(sample.clusters.labels[sample.indices[:2]].tolist()) == [0, 1]
    assert sample.clusters.labels[sample.indices[2]] == NOISE
    everything = sample_by_density(LINE, budget=99, seed=1, clusters=clusters_of(LINE))
    assert sorted(everything.indices.tolist()) == list(range(11))


def test_a_region_that_is_covered_waits_for_those_that_are_not() -> None:
    covered = np.zeros(11, bool)
    covered[[0, 2, 4]] = True
    sample = sample_by_density(LINE, budget=2, seed=1, clusters=clusters_of(LINE), covered=covered)
    assert sorted(sample.clusters.labels[sample.indices].tolist()) == [NOISE, 1], "what is covered gets no more rows"


def test_one_of_a_copy_group_is_chosen_and_none_if_one_of_it_is_covered() -> None:
    groups = np.array([0, 0, 0, 0, 0, 5, 5, 6, 6, 9, 9])
    covered = np.zeros(11, bool)
    covered[5] = True
    sample = sample_by_density(LINE, budget=99, seed=1, clusters=clusters_of(LINE), groups=groups, covered=covered)
    assert sorted(groups[sample.indices].tolist()) == [0, 6, 9]


def test_the_random_share_is_drawn_from_all_candidates_and_spread_over_the_order() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 3))
    clusters = clusters_of(vectors)
    sample = sample_by_density(vectors, budget=20, seed=5, clusters=clusters, random_share=0.2)
    assert sample.is_random.sum() == 4
    assert np.flatnonzero(sample.is_random).tolist() == [2, 7, 12, 17]
    assert len(set(sample.indices.tolist())) == 20
    assert np.isnan(sample.gains).tolist() == sample.is_random.tolist()
    assert (np.diff(sample.gains[~sample.is_random]) <= 0).all(), "in the order of what each adds"
    one = sample_by_density(vectors, budget=1, seed=5, clusters=clusters, random_share=0.1)
    assert one.is_random.tolist() == [True], "a share is always kept"
    drawn, clusters = np.zeros(20), clusters_of(vectors[:20])
    for seed in range(200):
        drawn[sample_by_density(vectors[:20], budget=5, seed=seed, clusters=clusters, random_share=1.0).indices] += 1
    assert drawn.sum() == 1000
    assert ((drawn - 50) ** 2 / 50).sum() < 19 + 4 * np.sqrt(2 * 19), "no row more often than chance allows (chi-square)"


def test_planted_groups_are_reached_with_fewer_labels_than_at_random(planted: Callable) -> None:
    vectors, truth = planted(3000, 64, 40)
    large = [g for g in range(40) if (truth == g).sum() >= 10]
    chosen = sample_by_density(vectors, budget=60, seed=0, clusters=clusters_of(vectors, 5)).indices
    ours = len(set(truth[chosen].tolist()) & set(large))
    at_random = [len(set(truth[np.random.default_rng(s).choice(3000, 60, replace=False)].tolist()) & set(large)) for s in range(20)]
    assert ours >= 0.9 * len(large)
    assert ours > max(at_random)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.integers(0, 50), st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.integers(0, 10_000))
def test_the_budget_is_met_nothing_twice_no_copies_and_the_same_again(n: int, budget: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(0, 4, (n, 2)).astype(np.float32)
    groups, covered = rng.integers(0, max(n, 1), n), rng.random(n) < 0.3
    free = set(groups.tolist()) - set(groups[covered].tolist())
    asked = {"budget": budget, "seed": seed, "groups": groups, "covered": covered, "random_share": share, "clusters": clusters_of(vectors)}
    sample = sample_by_density(vectors, **asked)
    assert len(sample.indices) == min(budget, len(free)) == len(sample.is_random)
    assert sample.indices.dtype == np.int64
    assert len(set(groups[sample.indices].tolist())) == len(sample.indices)
    assert set(groups[sample.indices].tolist()) <= free
    assert sample.is_random.sum() == math.ceil(min(budget, len(free)) * share - 1e-9)
    again = sample_by_density(vectors, **asked)
    assert again.indices.tolist() == sample.indices.tolist()


def test_all_equal_rows_and_wrong_input() -> None:
    of = clusters_of(np.ones((9, 3)))
    assert len(sample_by_density(np.ones((9, 3)), budget=4, seed=0, clusters=of).indices) == 4
    with pytest.raises(VectorError, match="row 2 holds NaN"):
        sample_by_density(np.array([[0.0], [1.0], [np.nan]]), budget=1, seed=0, clusters=of)
    with pytest.raises(ValueError, match=r"must have shape \(2,\), got \(3,\) and \(2,\)"):
        sample_by_density(np.ones((2, 3)), budget=1, seed=0, clusters=of, groups=np.arange(3))
    three = [Quota(np.zeros(9, int), np.array([9]))] * 3
    with pytest.raises(ValueError, match="a batch is filled exactly under two quotas at most, got 3"):
        sample_by_density(np.ones((9, 3)), budget=1, seed=0, clusters=of, quotas=three)


def test_quotas_hold_for_the_whole_batch_what_is_drawn_included() -> None:
    rng = np.random.default_rng(0)
    vectors, day = rng.normal(size=(40, 3)), np.repeat([0, 1], [38, 2])
    clusters, quota = clusters_of(vectors), Quota(day, np.array([3, 20]))
    for seed in range(20):
        sample = sample_by_density(vectors, budget=20, seed=seed, clusters=clusters, random_share=0.5, quotas=[quota])
        assert np.bincount(day[sample.indices]).tolist() == [3, 2]
        assert sample.is_random.sum() == 3, "the share is of what can be chosen"
    assert quota.places.tolist() == [3, 20]


def test_within_the_quotas_rows_of_a_kind_are_drawn_alike_and_in_any_order_of_rows() -> None:
    rng = np.random.default_rng(0)
    vectors, domain = rng.normal(size=(60, 3)), np.repeat([0, 1, 2], [40, 15, 5])
    asked = {"budget": 20, "clusters": clusters_of(vectors), "random_share": 0.5}
    quota, times = Quota(domain, np.array([6, 9, 99])), np.zeros(60)
    for seed in range(300):
        drawn = sample_by_density(vectors, seed=seed, quotas=[quota], **asked)
        times[drawn.indices[drawn.is_random]] += 1
    for kind in range(3):
        of_kind = times[domain == kind]
        freedom = len(of_kind) - 1
        statistic = ((of_kind - of_kind.mean()) ** 2 / of_kind.mean()).sum()
        assert statistic < freedom + 4 * np.sqrt(2 * freedom), "no row more often than chance allows (chi-square)"
    straight, order = sample_by_density(vectors, seed=5, quotas=[quota], **asked), rng.permutation(60)
    asked["clusters"] = clusters_of(vectors[order])
    again = sample_by_density(vectors[order], seed=5, quotas=[Quota(domain[order], quota.places)], **asked)
    assert order[again.indices].tolist() == straight.indices.tolist()


def fullest(kinds: list[np.ndarray], places: list[np.ndarray], rows: np.ndarray, budget: int) -> int:
    """Rows of the greatest batch within all quotas, by trying all."""
    for size in range(min(budget, len(rows)), 0, -1):
        for batch in combinations(rows.tolist(), size):
            if all((np.bincount(k[list(batch)], minlength=len(p)) <= p).all() for k, p in zip(kinds, places, strict=True)):
                return size
    return 0


@settings(max_examples=400, deadline=None)
@given(st.integers(1, 9), st.integers(1, 8), st.sampled_from([2, 2, 1, 0]), st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.integers(0, 100_000))
def test_within_two_quotas_a_batch_is_as_full_as_can_be_whatever_is_drawn(n: int, budget: int, count: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, groups, covered = rng.normal(size=(n, 2)), rng.integers(0, 2 * n, n), rng.random(n) < 0.1
    clusters = clusters_of(vectors)
    kinds, places = [rng.integers(0, 4, n) for _ in range(count)], [rng.choice([0, 1, 1, 1, 1, 2], 4) for _ in range(count)]
    quotas = [Quota(kind, place) for kind, place in zip(kinds, places, strict=True)]
    asked = {"budget": budget, "clusters": clusters, "groups": groups, "covered": covered, "random_share": share, "quotas": quotas}
    sample = sample_by_density(vectors, seed=seed, **asked)
    for kind, place in zip(kinds, places, strict=True):
        assert (np.bincount(kind[sample.indices], minlength=4) <= place).all()
    assert len(set(groups[sample.indices].tolist())) == len(sample.indices)
    free = np.flatnonzero(~np.isin(groups, groups[covered]))
    densest = np.array([max(free[groups[free] == g], key=lambda i: (clusters.density[i], -i)) for g in np.unique(groups[free])], int)
    size = fullest(kinds, places, densest, budget)
    assert len(sample.indices) == size
    assert sample.is_random.sum() == math.ceil(share * size - 1e-9)
