"""Nearest neighbours by cells: against all pairs, and rows that are equal, many, or in another order."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from reelhouse.sampling import density, neighbours
from reelhouse.sampling.neighbours import nearest


def recall(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), exact.tolist(), strict=True)]))


def test_by_cells_most_of_the_nearest_are_found_and_their_distances_are_exact(planted: Callable) -> None:
    vectors, truth = planted(4000)
    distances, rows = nearest(vectors, 16, exact_max=0)
    _, exact = nearest(vectors, 16)
    grouped = truth >= 0
    assert recall(rows[grouped], exact[grouped]) >= 0.95
    gaps = np.linalg.norm(vectors[:, None].astype(float) - vectors[rows], axis=2)
    assert np.allclose(distances, gaps, atol=1e-6)
    assert (np.diff(distances, axis=1) >= 0).all()
    assert (rows != np.arange(4000)[:, None]).all()
    assert all(len(set(row)) == 16 for row in rows.tolist())


def test_by_cells_the_order_of_rows_does_not_matter(planted: Callable) -> None:
    vectors, _ = planted(3000, 32)
    order = np.random.default_rng(0).permutation(3000)
    distances, rows = nearest(vectors, 8, exact_max=0)
    shuffled_distances, shuffled = nearest(vectors[order], 8, exact_max=0)
    assert (shuffled_distances == distances[order]).all()
    assert (order[shuffled] == rows[order]).all()


@pytest.mark.parametrize("n", [1, 2, 40])
def test_by_cells_few_rows_and_copies_have_as_many_neighbours_as_others(n: int) -> None:
    vectors = np.concatenate([np.ones((600, 4)), np.zeros((n, 4))]).astype(np.float32)
    distances, rows = nearest(vectors, 40, exact_max=0)
    assert (distances[:600] == 0).all()
    assert (rows[:600] < 600).all()
    assert (distances[600:, : n - 1] == 0).all()
    assert (distances[600:, n - 1 :] == 2).all()
    assert (rows >= 0).all()


def test_clusters_over_cells_are_those_over_all_pairs(planted: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, truth = planted(6000)
    exact = density.density_clusters(vectors, minimum_size=10).labels
    monkeypatch.setattr(density, "nearest", lambda vectors, count: neighbours.nearest(vectors, count, exact_max=0))
    by_cells = density.density_clusters(vectors, minimum_size=10).labels
    assert adjusted_rand_score(exact, by_cells) >= 0.97
    assert adjusted_rand_score(truth, by_cells) >= 0.97
