"""Videos that nothing tells apart but their ids: of equal vectors. Those without frames, such as of one title, are in no copy group."""

from __future__ import annotations

import numpy as np

# Squared distance of two vectors, against the product of their lengths, up to which they are the same: a cosine of 1 - 1e-6 at one length.
_SAME = 2e-6
# Vectors are looked up by so many random projections, cut into steps: rounding moves a projection by some 1e-7 of a vector's length.
_PROJECTIONS, _STEP = 8, 1e-3
_BLOCK = 8_192


def join_same(groups: np.ndarray, covered: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(groups, covered), where groups that hold rows of the same vector are one, and all of a group is covered where any of it is.

    groups (n,) int, of copies; covered (n,) bool; vectors (n, d) float32. Rows of length 1 count as the same from a cosine of 1 - 1e-6;
    those that differ by more than rounding may be missed. Groups are renumbered from 0.
    Costs n d times 8, and a sort: no pairs are compared (locality-sensitive hashing: Datar et al. 2004, with two offsets of the steps
    in place of many tables, as what is the same is far closer than a step).
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(groups)
    if not n:
        return groups, covered
    _, first_of_group, group = np.unique(groups, return_index=True, return_inverse=True)
    place = _projected(vectors)
    source, target = [np.arange(n)], [first_of_group[group]]
    for offset in (0.0, 0.5):
        steps = np.floor(place / _STEP + offset).astype(np.int64)
        _, first, bucket = np.unique(steps, axis=0, return_index=True, return_inverse=True)
        rows = np.flatnonzero(first[bucket.ravel()] != np.arange(n))
        others = first[bucket.ravel()[rows]]
        same = np.concatenate([_same(vectors, rows[at : at + _BLOCK], others[at : at + _BLOCK]) for at in range(0, len(rows) + 1, _BLOCK)])
        source.append(rows[same])
        target.append(others[same])
    ends = np.concatenate(source), np.concatenate(target)
    _, joined = connected_components(coo_matrix((np.ones(len(ends[0]), bool), ends), shape=(n, n)), directed=False)
    return joined.astype(np.int64), np.isin(joined, joined[covered])


def _projected(vectors: np.ndarray) -> np.ndarray:
    """Projections (n, 8) float64, where the vectors are 1 long on average."""
    directions = np.random.default_rng(0).normal(size=(vectors.shape[1], _PROJECTIONS))
    place, total = np.empty((len(vectors), _PROJECTIONS)), 0.0
    for at in range(0, len(vectors), _BLOCK):
        block = vectors[at : at + _BLOCK].astype(np.float64)
        place[at : at + _BLOCK] = block @ directions
        total += float(np.linalg.norm(block, axis=1).sum())
    return place / (total / len(vectors) or 1.0)


def _same(vectors: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    a, b = vectors[rows].astype(np.float64), vectors[others].astype(np.float64)
    return ((a - b) ** 2).sum(axis=1) <= _SAME * np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
