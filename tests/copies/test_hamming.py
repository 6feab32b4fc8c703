import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelhouse.copies import distances, hamming, near_pairs

HASHES = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=12).map(lambda values: np.array(values, np.int64))


def brute_force(queries, hashes, radius):
    """The oracle: Python's own integers, every pair."""
    return [
        (q, h)
        for q, left in enumerate(queries.tolist())
        for h, right in enumerate(hashes.tolist())
        if ((left ^ right) & (2**64 - 1)).bit_count() <= radius
    ]


def test_distances_worked_by_hand():
    left = np.array([0, 0b1011, -1, -1, 2**62], np.int64)
    right = np.array([0, 0b0110, 0, -1, 0], np.int64)
    assert distances(left, right).tolist() == [0, 3, 64, 0, 1]


def test_the_sign_bit_counts_as_any_other():
    assert distances(np.array([-(2**63)], np.int64), np.array([0], np.int64)).tolist() == [1]
    assert distances(np.array([2**63], np.uint64), np.array([0], np.uint64)).tolist() == [1]


@given(HASHES, HASHES, st.integers(0, 64))
def test_small_sets_agree_with_brute_force(queries, hashes, radius):
    first, second = near_pairs(queries, hashes, radius)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == brute_force(queries, hashes, radius)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12))
def test_the_index_by_bands_agrees_with_brute_force_on_hashes_that_lie_near(seed, radius):
    rng = np.random.default_rng(seed)
    centres = rng.integers(-(2**63), 2**63 - 1, 8, dtype=np.int64)
    flips = [sum(1 << int(b) for b in set(rng.integers(0, 64, k))) for k in rng.integers(1, 16, 120)]
    hashes = (centres[rng.integers(0, 8, 120)].view(np.uint64) ^ np.array(flips, np.uint64)).view(np.int64)
    queries = np.append(hashes[:25], centres)
    want = brute_force(queries, hashes, radius)
    all_pairs_limit, hamming._CHUNK = hamming._CHUNK, 50  # so small that the bands are used, in several chunks
    try:
        first, second = near_pairs(queries, hashes, radius)
    finally:
        hamming._CHUNK = all_pairs_limit
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == want


@pytest.mark.parametrize("empty_first", [True, False])
def test_an_empty_side_finds_nothing(empty_first):
    none, some = np.zeros(0, np.int64), np.array([1], np.int64)
    first, second = near_pairs(none, some, 64) if empty_first else near_pairs(some, none, 64)
    assert first.tolist() == second.tolist() == []


def test_the_index_looks_at_a_small_part_of_all_pairs():
    rng = np.random.default_rng(0)
    queries, hashes = rng.integers(-(2**63), 2**63 - 1, (2, 4000), dtype=np.int64)
    looked_at = sum(len(first) for first, _ in hamming._candidates(queries.view(np.uint64), hashes.view(np.uint64), 10))
    assert looked_at < 0.02 * 4000 * 4000
