"""Exact search of 64-bit hashes by Hamming distance, without comparing all pairs."""

from __future__ import annotations

from itertools import combinations

import numpy as np

BANDS = 4  # of 16 bits: small enough to enumerate what lies near a band, large enough that few hashes share one
BAND_BITS = 16
# From here on the bands' neighbourhoods hold so many values (2,517 of 65,536 at radius 4) that all pairs are as cheap.
_BAND_RADIUS_MAX = 4
_CHUNK = 1 << 22  # candidate pairs verified at a time: 32 MB a column

_M1, _M2, _M4 = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
_H01 = np.uint64(0x0101010101010101)


def distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Hamming distance (bits that differ, 0..64) of hashes, element by element with numpy's broadcasting.

    left, right: uint64 or int64 (the bits count, not the sign). Returns uint8.
    """
    x = np.bitwise_xor(_bits(left), _bits(right))
    x = x - ((x >> np.uint64(1)) & _M1)
    x = (x & _M2) + ((x >> np.uint64(2)) & _M2)
    x = (x + (x >> np.uint64(4))) & _M4
    with np.errstate(over="ignore"):  # the sum of the bytes is what overflows into the top byte
        return ((x * _H01) >> np.uint64(56)).astype(np.uint8)


def near_pairs(queries: np.ndarray, hashes: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs (q, h) with distance(queries[q], hashes[h]) <= radius: two int64 arrays, ordered by q, then h.

    queries: (m,), hashes: (n,) 64-bit. Exact: of two hashes within `radius`, one of the four 16-bit bands differs by at most
    radius // 4 bits (pigeonhole), so looking up every value that near in each band finds them all.
    Source: multi-index hashing, Norouzi, Punjani and Fleet, 2012 (section 3.1; here the bands' radius is equal for all bands).
    """
    queries, hashes = _bits(queries), _bits(hashes)
    if not len(queries) or not len(hashes):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    found: list[np.ndarray] = []
    for first, second in _candidates(queries, hashes, radius):
        near = distances(queries[first], hashes[second]) <= radius
        found.append(first[near] * len(hashes) + second[near])
    pairs = np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
    return pairs // len(hashes), pairs % len(hashes)


def _candidates(queries: np.ndarray, hashes: np.ndarray, radius: int):  # type: ignore[no-untyped-def]
    """Yields (indices of queries, indices of hashes) that may be near; each near pair at least once."""
    band_radius = radius // BANDS
    if band_radius > _BAND_RADIUS_MAX or len(queries) * len(hashes) <= _CHUNK:
        step = max(1, _CHUNK // len(hashes))
        for start in range(0, len(queries), step):
            some = np.arange(start, min(start + step, len(queries)))
            yield np.repeat(some, len(hashes)), np.tile(np.arange(len(hashes)), len(some))
        return
    masks = _masks(band_radius)  # (p,) 16-bit values with at most band_radius bits
    for band in range(BANDS):
        keys = _band(hashes, band)
        order = np.argsort(keys, kind="stable")
        starts = np.searchsorted(keys[order], np.arange((1 << BAND_BITS) + 1))  # (65537,) where each value's hashes begin
        probes = _band(queries, band)
        for mask in masks:
            values = probes ^ mask
            counts = starts[values + 1] - starts[values]
            yield from _expanded(starts[values], counts, order)


def _expanded(starts: np.ndarray, counts: np.ndarray, order: np.ndarray):  # type: ignore[no-untyped-def]
    """For each query i the hashes order[starts[i] : starts[i] + counts[i]], in chunks of bounded size."""
    ends = np.cumsum(counts)
    begin = 0
    while begin < len(counts):
        before = ends[begin - 1] if begin else 0
        stop = max(int(np.searchsorted(ends, before + _CHUNK, side="right")), begin + 1)
        some = counts[begin:stop]
        first = np.repeat(np.arange(begin, stop), some)
        offsets = np.arange(len(first)) - np.repeat(np.cumsum(some) - some, some)
        if len(first):
            yield first, order[np.repeat(starts[begin:stop], some) + offsets]
        begin = stop


def _masks(radius: int) -> np.ndarray:
    """All 16-bit values with at most `radius` bits set."""
    return np.array([sum(1 << b for b in bits) for r in range(radius + 1) for bits in combinations(range(BAND_BITS), r)], np.int64)


def _band(hashes: np.ndarray, band: int) -> np.ndarray:
    return ((hashes >> np.uint64(band * BAND_BITS)) & np.uint64(0xFFFF)).astype(np.int64)


def _bits(hashes: np.ndarray) -> np.ndarray:
    hashes = np.asarray(hashes)
    return hashes.view(np.uint64) if hashes.dtype == np.int64 else hashes.astype(np.uint64)
