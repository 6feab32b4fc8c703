"""Density clusters: by hand, against scikit-learn's HDBSCAN, and what must hold for any rows."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score

from reelhouse.errors import VectorError
from reelhouse.sampling import NOISE, density_clusters
from reelhouse.sampling.neighbours import nearest
from reelhouse.sampling.spanning import spanning_tree

SEVEN = [[1, 0], [1, 0.01], [1, -0.01], [0, 1], [0.01, 1], [-0.01, 1], [-1, -1]]


def unit(rows: list) -> np.ndarray:
    vectors = np.asarray(rows, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_two_tight_groups_are_found_and_the_stray_is_noise() -> None:
    found = density_clusters(unit(SEVEN), minimum_size=3)
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1, NOISE]
    assert found.labels.dtype == np.int64
    # the density of the first row: its second nearest other row lies 0.01 away
    assert found.density[0] == pytest.approx(1 / 1.01, abs=1e-5)
    assert found.density[1] == pytest.approx(1 / 1.02, abs=1e-5)
    assert found.density.argmin() == 6


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(7)))
def test_the_order_of_rows_does_not_change_the_clusters(order: list[int]) -> None:
    labels = density_clusters(unit(SEVEN)[order], minimum_size=3).labels
    groups = {frozenset(order[i] for i in np.flatnonzero(labels == label)) for label in range(labels.max() + 1)}
    assert groups == {frozenset({0, 1, 2}), frozenset({3, 4, 5})}
    assert order[int(np.flatnonzero(labels == NOISE)[0])] == 6


@pytest.mark.parametrize("minimum_size", [5, 15])
def test_the_order_of_planted_rows_does_not_change_the_clusters(planted: Callable, minimum_size: int) -> None:
    vectors, _ = planted(900, 32, 12)
    order = np.random.default_rng(0).permutation(len(vectors))
    back = np.empty(len(vectors), np.int64)
    back[order] = density_clusters(vectors[order], minimum_size=minimum_size).labels
    straight = density_clusters(vectors, minimum_size=minimum_size).labels
    assert adjusted_rand_score(straight, back) == 1.0
    assert ((straight == NOISE) == (back == NOISE)).all()


@pytest.mark.parametrize(("minimum_size", "agreement"), [(5, 0.98), (15, 0.95)])
def test_agrees_with_scikit_learn_on_two_thousand_planted_vectors(planted: Callable, minimum_size: int, agreement: float) -> None:
    # scikit-learn breaks ties between merges by row order: against itself, rows shuffled, it agrees to .995
    vectors, truth = planted(2000)
    ours = density_clusters(vectors, minimum_size=minimum_size).labels
    theirs = HDBSCAN(min_cluster_size=minimum_size, algorithm="brute", copy=True).fit(vectors.astype(float)).labels_
    assert adjusted_rand_score(theirs, ours) >= agreement
    assert adjusted_rand_score(truth, ours) >= adjusted_rand_score(truth, theirs) - 0.02


def test_planted_groups_of_five_thousand_vectors_are_recovered(planted: Callable) -> None:
    vectors, truth = planted(5000)
    assert adjusted_rand_score(truth, density_clusters(vectors, minimum_size=5).labels) >= 0.97


@pytest.mark.parametrize("minimum_size", [5, 15])
def test_vectors_of_1280_values_are_clustered_as_scikit_learn_does(planted: Callable, minimum_size: int) -> None:
    vectors, truth = planted(400, 1280, 6)
    ours = density_clusters(vectors, minimum_size=minimum_size).labels
    theirs = HDBSCAN(min_cluster_size=minimum_size, algorithm="brute", copy=True).fit(vectors.astype(float)).labels_
    assert adjusted_rand_score(theirs, ours) >= 0.98
    assert adjusted_rand_score(truth, ours) >= 0.95


def test_persistence_by_hand() -> None:
    # cores 2 1 2 and 4 2 4: within the groups all edges are 2 and 4 long, between them one of 18; of lambda 1/18 both begin
    found = density_clusters(np.array([[20.0], [22], [24], [0], [1], [2]]), minimum_size=3)
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.persistence == pytest.approx([(1 / 4 - 1 / 18) / (1 / 2), (1 / 2 - 1 / 18) / (1 / 2)])
    for copies in (np.ones((6, 4)), np.repeat(np.eye(2), 5, axis=0)):
        found = density_clusters(copies, minimum_size=3)
        assert found.persistence.tolist() == [1.0] * (found.labels.max() + 1)
    assert density_clusters(np.arange(5.0)[:, None], minimum_size=3).persistence.tolist() == []
    assert density_clusters(unit(SEVEN)[:2], minimum_size=3).persistence.tolist() == []


@pytest.mark.parametrize(
    ("seed", "known"), [(0, [0.51992, 0.30501, 0.76583, 0.16425]), (3, [0.47738, 0.34063, 0.75625, 0.20002])]
)  # `cluster_persistence_` of hdbscan 0.8.44, min_cluster_size 6, min_samples 5 (there a row does not count itself), exact tree
def test_persistence_is_that_of_the_hdbscan_library(seed: int, known: list[float]) -> None:
    rng = np.random.default_rng(seed)
    groups = [((0, 0, 0), 0.3, 40), ((5, 0, 0), 0.5, 60), ((0, 6, 0), 0.2, 30), ((9, 9, 9), 1, 50)]
    vectors = np.concatenate([rng.normal(centre, scale, (size, 3)) for centre, scale, size in groups]).astype(np.float32)
    found = density_clusters(vectors, minimum_size=6)
    assert found.persistence == pytest.approx(known, abs=2e-5)
    order = rng.permutation(len(vectors))
    again = density_clusters(vectors[order], minimum_size=6)
    of = [again.labels[np.flatnonzero(order == first)[0]] for first in (0, 40, 100, 130)]
    assert again.persistence[of] == pytest.approx(known, abs=2e-5)


def test_fewer_rows_than_a_cluster_are_noise() -> None:
    for n in range(3):
        found = density_clusters(unit(SEVEN)[:n], minimum_size=3)
        assert found.labels.tolist() == [NOISE] * n
        assert found.density.shape == (n,)
    assert density_clusters(np.zeros((0, 0)), minimum_size=3).labels.tolist() == []
    assert density_clusters(unit(SEVEN)[:1], minimum_size=3).density.tolist() == [0.0]


def test_copies_of_one_vector_are_one_cluster_and_two_sets_of_copies_are_two() -> None:
    assert density_clusters(np.ones((6, 4)), minimum_size=3).labels.tolist() == [0] * 6
    two = np.array([[1.0, 0], [0, 1.0]] * 100 + [[-1.0, 0]])
    found = density_clusters(two, minimum_size=5)
    assert found.labels.tolist() == [0, 1] * 100 + [NOISE]
    assert np.isfinite(found.density).all()


def test_rows_that_never_split_are_noise() -> None:
    line = np.arange(5.0)[:, None] * [1.0, 0.0]
    assert density_clusters(line, minimum_size=3).labels.tolist() == [NOISE] * 5


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_named(value: float) -> None:
    vectors = unit(SEVEN)
    vectors[4, 1] = value
    with pytest.raises(VectorError, match=r"row 4 holds NaN or infinite values \(1 of 7 such rows\)"):
        density_clusters(vectors, minimum_size=3)


@pytest.mark.parametrize("broken", [np.zeros(3), np.zeros((2, 2, 2)), [["a", "b"]]])
def test_an_array_of_another_shape_is_refused(broken: object) -> None:
    with pytest.raises(VectorError, match="vectors must"):
        density_clusters(broken, minimum_size=3)
    with pytest.raises(ValueError, match="minimum_size must be at least 2, got 1"):
        density_clusters(np.zeros((3, 2)), minimum_size=1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(1, 3), st.integers(2, 6), st.integers(0, 10_000))
def test_every_cluster_has_its_minimum_size_and_the_input_is_left_alone(n: int, d: int, minimum_size: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).integers(-3, 4, (n, d)).astype(np.float32)  # many ties and copies
    before = vectors.copy()
    labels = density_clusters(vectors, minimum_size=minimum_size).labels
    assert (vectors == before).all()
    assert sorted(set(labels.tolist()) - {NOISE}) == list(range(labels.max(initial=-1) + 1))
    assert all((labels == label).sum() >= minimum_size for label in range(labels.max(initial=-1) + 1))
    again = density_clusters(vectors, minimum_size=minimum_size).labels
    assert labels.tolist() == again.tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(1, 5), st.integers(0, 10_000))
def test_the_spanning_tree_is_that_of_all_pairs_or_over_few_neighbours_a_longer_one(n: int, neighbours: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, cores = rng.normal(size=(n, 3)).astype(np.float32), rng.random(n)
    gaps = np.linalg.norm(vectors[:, None].astype(float) - vectors[None], axis=2)
    reach = np.maximum(np.maximum(cores[:, None], cores[None]), gaps)
    shortest = _prim(reach)
    for count in (n - 1, min(neighbours, n - 1)):
        source, target, length = spanning_tree(vectors, cores, *nearest(vectors, count))
        assert np.allclose(reach[source, target], length)
        assert _connects_all(source, target, n)
        assert length.sum() == pytest.approx(shortest) if count == n - 1 else length.sum() >= shortest - 1e-9


def test_far_groups_that_the_neighbour_graph_does_not_connect_are_joined() -> None:
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(loc=(1000 * i, 0), size=(30, 2)) for i in range(4)]).astype(np.float32)
    _, _, length = spanning_tree(vectors, np.zeros(120), *nearest(vectors, 5))
    assert sorted(np.round(length[length > 500], -3).tolist()) == [1000.0, 1000.0, 1000.0]
    assert len(length) == 119


def _prim(gaps: np.ndarray) -> float:
    """Length of the minimum spanning tree of all pairs."""
    inside, total, near = {0}, 0.0, gaps[0].copy()
    while len(inside) < len(gaps):
        outside = [i for i in range(len(gaps)) if i not in inside]
        best = min(outside, key=lambda i: near[i])
        total += near[best]
        inside.add(best)
        near = np.minimum(near, gaps[best])
    return total


def _connects_all(source: np.ndarray, target: np.ndarray, n: int) -> bool:
    reached, edges = {0}, list(zip(source.tolist(), target.tolist(), strict=True))
    for _ in range(n):
        reached |= {b for a, b in edges if a in reached} | {a for a, b in edges if b in reached}
    return len(edges) == n - 1 and len(reached) == n
