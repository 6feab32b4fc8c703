"""Neighbours by cosine, against scikit-learn and against all pairs sorted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from reelhouse.noise import neighbours
from reelhouse.noise.neighbours import nearest, votes


def unit_rows(n: int, d: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def test_the_nearest_rows_by_hand() -> None:
    angles = np.radians([0, 10, 25, 90, 180])
    unit = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert nearest(unit, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1], [3, 2]]


def test_neighbours_are_those_of_scikit_learn_over_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 64)
    unit = unit_rows(300, 8, seed=1)
    oracle = NearestNeighbors(n_neighbors=7, metric="cosine", algorithm="brute").fit(unit.astype(np.float64)).kneighbors()[1]
    assert (nearest(unit, 7) == oracle).all()


def test_beyond_the_reference_rows_neighbours_come_from_the_reference_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "REFERENCE_MAX", 40)
    monkeypatch.setattr(neighbours, "_BLOCK", 16)
    unit = unit_rows(100, 6, seed=2)
    similar = unit.astype(np.float64) @ unit[:40].T.astype(np.float64)
    similar[np.arange(40), np.arange(40)] = -np.inf
    assert (nearest(unit, 5) == np.argsort(-similar, axis=1)[:, :5]).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([(1, 0), (0, 1), (-1, 0), (0, -1), (0, 0)]), min_size=1, max_size=60), st.integers(1, 8))
def test_of_rows_that_are_equally_near_those_of_least_index_are_taken(points: list, count: int) -> None:
    unit = np.array(points, np.float32)
    similar = unit @ unit.T
    np.fill_diagonal(similar, -np.inf)
    want = np.argsort(-similar, axis=1, kind="stable")[:, : min(count, len(unit) - 1)]
    assert nearest(unit, count).tolist() == want.tolist()


def test_there_are_never_more_neighbours_than_other_rows() -> None:
    unit = unit_rows(3, 4, seed=0)
    assert [sorted(row) for row in nearest(unit, 10).tolist()] == [[1, 2], [0, 2], [0, 1]]
    assert nearest(unit[:1], 10).shape == (1, 0)
    assert nearest(unit, 0).shape == (3, 0)
    assert nearest(unit[:0], 10).shape == (0, 0)


def test_votes_count_the_labels_of_the_neighbours() -> None:
    found = np.array([[1, 2, 3], [0, 2, 3], [3, 0, 1], [2, 1, 0]])
    assert votes(found, np.array([0, 2, 2, 0]), 3).tolist() == [[1, 0, 2], [2, 0, 1], [2, 0, 1], [1, 0, 2]]
    assert votes(np.zeros((2, 0), np.int64), np.array([0, 1]), 2).tolist() == [[0, 0], [0, 0]]
