"""Equal vectors are one copy group: against all pairs, and what must hold whatever the rows."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelhouse.sampling import same_vectors
from reelhouse.sampling.same_vectors import join_same


def test_rows_of_one_vector_are_one_group() -> None:
    vectors = np.array([[0.6, 0.8], [0, 1], [0.6, 0.8], [0, 0], [0, 0], [0.6, 0.8000001], [1, 0], [1, 0.01], [6, 8]], np.float32)
    groups, covered = join_same(np.array([7, 8, 9, 1, 2, 3, 4, 8, 5]), np.array([False] * 7 + [True, False]), vectors)
    assert groups.tolist() == [0, 1, 0, 2, 2, 0, 3, 1, 4], "row 7 is a copy of row 1; the last is another one's direction, not the same"
    assert covered.tolist() == [False, True, False, False, False, False, False, True, False]
    groups, covered = join_same(np.zeros(0, np.int64), np.zeros(0, bool), np.zeros((0, 0), np.float32))
    assert groups.shape == covered.shape == (0,)


def test_what_joins_two_copy_groups_joins_all_of_them() -> None:
    vectors = np.array([[1, 0], [0, 1], [0, 1], [1, 1], [1, 1], [5, 1]], np.float32)
    groups, covered = join_same(np.array([0, 0, 1, 1, 2, 3]), np.array([True, *[False] * 5]), vectors)
    assert groups.tolist() == [0, 0, 0, 0, 0, 1]
    assert covered.tolist() == [True] * 5 + [False]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(2, 400), st.integers(1, 8), st.integers(0, 100_000))
def test_as_comparing_all_pairs_says_however_the_vectors_were_rounded(n: int, d: int, kinds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kind, group = rng.integers(0, kinds, n), rng.integers(0, 2 * n, n)
    vectors = rng.normal(size=(kinds, d))[kind] * rng.choice([0.1, 1, 9], n)[:, None]
    vectors = (vectors * (1 + 1e-7 * rng.normal(size=(n, d)))).astype(np.float32)
    joined, _ = join_same(group, np.zeros(n, bool), vectors)
    gaps = np.linalg.norm(vectors[:, None] - vectors[None], axis=2) / np.linalg.norm(vectors, axis=1)
    linked = (gaps < 1e-4) | (group[:, None] == group)
    for _ in range(n.bit_length()):
        linked = linked.astype(int) @ linked > 0
    assert ((joined[:, None] == joined) == linked).all()
    order = rng.permutation(n)
    again, _ = join_same(group[order], np.zeros(n, bool), vectors[order])
    assert ((again[:, None] == again) == linked[order][:, order]).all()


def test_rows_that_are_looked_up_together_by_chance_are_still_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(same_vectors, "_STEP", 1e9)
    groups, _ = join_same(np.arange(4), np.zeros(4, bool), np.array([[1, 0], [0, 1], [1, 0], [0.99, 0.1]], np.float32))
    assert groups.tolist() == [0, 1, 0, 2]


def test_rows_that_are_only_alike_stay_apart_and_many_rows_take_seconds() -> None:
    rng = np.random.default_rng(0)
    alike = np.ones((100, 64)) + 0.01 * rng.normal(size=(100, 64))
    assert len(set(join_same(np.arange(100), np.zeros(100, bool), alike.astype(np.float32))[0].tolist())) == 100
    vectors = rng.normal(size=(40_000, 64)).astype(np.float32)
    vectors[20_000:30_000] = vectors[0]
    begun = time.monotonic()
    groups, _ = join_same(np.arange(40_000), np.zeros(40_000, bool), vectors)
    assert time.monotonic() - begun < 30
    assert np.bincount(groups).max() == 10_001
    assert len(np.unique(groups)) == 30_000
