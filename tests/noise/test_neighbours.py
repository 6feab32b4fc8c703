"""Neighbours by cosine, against scikit-learn and against all pairs sorted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from reelhouse.noise import neighbours
from reelhouse.noise.neighbours import nearest, reference_rows, votes


def unit_rows(n: int, d: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def test_the_nearest_rows_by_hand() -> None:
    angles = np.radians([0, 10, 25, 90, 180])
    unit = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert nearest(unit, 2, np.arange(5)).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1], [3, 2]]


def test_neighbours_are_those_of_scikit_learn_over_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 64)
    unit = unit_rows(300, 8, seed=1)
    oracle = NearestNeighbors(n_neighbors=7, metric="cosine", algorithm="brute").fit(unit.astype(np.float64)).kneighbors()[1]
    assert (nearest(unit, 7, np.arange(300)) == oracle).all()


def test_neighbours_come_from_the_reference_rows_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 16)
    unit = unit_rows(100, 6, seed=2)
    reference = np.sort(np.random.default_rng(1).permutation(100)[:40])
    similar = unit.astype(np.float64) @ unit[reference].T.astype(np.float64)
    similar[reference, np.arange(40)] = -np.inf
    assert (nearest(unit, 5, reference) == reference[np.argsort(-similar, axis=1)[:, :5]]).all()


def test_the_reference_rows_are_spread_over_the_keys_whatever_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = np.array([f"video-{i:04d}" for i in range(1000)])
    assert reference_rows(keys).tolist() == list(range(1000)), "all, where they are few"
    monkeypatch.setattr(neighbours, "REFERENCE_MAX", 200)
    rows = reference_rows(keys)
    assert len(rows) == 200
    assert (np.diff(rows) > 0).all()
    for tenth in np.bincount(rows // 100, minlength=10).tolist():
        assert 8 <= tenth <= 32, "20 of each 100 on average, within three standard deviations"
    order = np.random.default_rng(1).permutation(1000)
    assert set(keys[order][reference_rows(keys[order])]) == set(keys[rows])
    more = np.concatenate([keys, [f"later-{i:03d}" for i in range(100)]])
    assert len(set(more[reference_rows(more)]) & set(keys[rows])) > 170, "most stay when rows are added"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([(1, 0), (0, 1), (-1, 0), (0, -1), (0, 0)]), min_size=1, max_size=60), st.integers(1, 8))
def test_of_rows_that_are_equally_near_those_of_least_index_are_taken(points: list, count: int) -> None:
    unit = np.array(points, np.float32)
    similar = unit @ unit.T
    np.fill_diagonal(similar, -np.inf)
    want = np.argsort(-similar, axis=1, kind="stable")[:, : min(count, len(unit) - 1)]
    assert nearest(unit, count, np.arange(len(unit))).tolist() == want.tolist()


def test_there_are_never_more_neighbours_than_other_rows() -> None:
    unit = unit_rows(3, 4, seed=0)
    assert [sorted(row) for row in nearest(unit, 10, np.arange(3)).tolist()] == [[1, 2], [0, 2], [0, 1]]
    assert nearest(unit[:1], 10, np.arange(1)).shape == (1, 0)
    assert nearest(unit, 0, np.arange(3)).shape == (3, 0)
    assert nearest(unit[:0], 10, np.arange(0)).shape == (0, 0)


def test_votes_count_the_labels_of_the_neighbours() -> None:
    found = np.array([[1, 2, 3], [0, 2, 3], [3, 0, 1], [2, 1, 0]])
    assert votes(found, np.array([0, 2, 2, 0]), 3).tolist() == [[1, 0, 2], [2, 0, 1], [2, 0, 1], [1, 0, 2]]
    assert votes(np.zeros((2, 0), np.int64), np.array([0, 1]), 2).tolist() == [[0, 0], [0, 0]]
