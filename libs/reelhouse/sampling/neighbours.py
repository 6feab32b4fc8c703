"""Nearest neighbours: of all pairs where that is affordable, else by cells (IVF). On one machine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from reelhouse.errors import VectorError
from reelhouse.sampling.cells import cells_of

# Above so many rows only the cells nearest to a row are looked through: all pairs cost n^2 d, a second at 8,192 x 128.
EXACT_MAX = 8_192
_BLOCK = 65_536
_VALUES_AT_ONCE = 2**22


def check_vectors(vectors: np.ndarray) -> np.ndarray:
    """(n, d) float32, contiguous. VectorError for another shape, and naming the first row with NaN or infinite values."""
    try:
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise VectorError(f"vectors must be an (n, d) array of numbers: {error}") from error
    if vectors.ndim != 2:
        raise VectorError(f"vectors must have shape (n, d), got {vectors.shape}")
    bad = np.concatenate([~np.isfinite(block).all(axis=1) for block in _blocks(vectors)] or [np.zeros(0, bool)])
    if bad.any():
        raise VectorError(f"row {int(bad.argmax())} holds NaN or infinite values ({int(bad.sum())} of {len(vectors)} such rows)")
    return vectors


def pair_distances(vectors: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Euclidean distances of pairs of rows, (m,) float64: the same for (a, b) and (b, a), and 0 for equal rows.

    FAISS finds neighbours by |a|^2 + |b|^2 - 2ab, whose rounding depends on the place of a row; ties would then be decided by it.
    """
    distances = np.empty(len(source))
    block = max(1, 2**21 // max(vectors.shape[1], 1))
    for at in range(0, len(source), block):
        gap = vectors[source[at : at + block]].astype(np.float64) - vectors[target[at : at + block]]
        distances[at : at + block] = np.sqrt(np.einsum("ij,ij->i", gap, gap))
    return distances


def nearest(vectors: np.ndarray, count: int, *, exact_max: int = EXACT_MAX) -> tuple[np.ndarray, np.ndarray]:
    """The `count` nearest other rows of each row, nearest first: distances (n, count) float64, rows (n, count) int64.

    All pairs up to exact_max rows. Beyond, the rows of the nearest cells of a k-means (FAISS IVF): on vectors in clusters nine of ten
    neighbours are the nearest ones. The order of rows does not matter. count < n.
    """
    if len(vectors) <= exact_max:
        return _of_all_pairs(vectors, count)
    return _of_cells(vectors, count)


def _of_all_pairs(vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    import faiss

    n = len(vectors)
    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(vectors)
    _, found = index.search(vectors, count + 1)
    rows = _others(found, np.arange(n))
    distances = pair_distances(vectors, np.repeat(np.arange(n), count), rows.ravel()).reshape(n, count)
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(rows, order, axis=1)


def _of_cells(vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """See `nearest`: the rows of a cell are compared with those of its own and the nearest cells, as one product of matrices."""
    n = len(vectors)
    distances, rows = np.empty((n, count), np.float32), np.empty((n, count), np.int32)
    for members, near in cells_of(vectors, canonical_order(vectors)).with_near(count + 1):
        distances[members], rows[members] = nearest_among(vectors, members, near, count)
    return distances, rows


def nearest_among(vectors: np.ndarray, members: np.ndarray, near: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` nearest other rows of rows `members` among rows `near`, ascending, which hold them and at least count more: distances
    (m, count) float32, nearest first, and rows (m, count)."""
    import faiss

    _, found = faiss.knn(vectors[members], vectors[near], count + 1)
    rows = near[_others(found, np.searchsorted(near, members))]
    distances = _each_pair(vectors, members, rows)
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(rows, order, axis=1)


def _each_pair(vectors: np.ndarray, source: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Distances of rows source (m,) to rows targets (m, k), (m, k) float32: the same both ways round, and 0 for equal rows."""
    import faiss

    m, k = targets.shape
    squares = np.empty((m, k), np.float32)
    own, ids = vectors[source], targets.astype(np.int64)
    pointer = faiss.swig_ptr
    faiss.fvec_L2sqr_by_idx(pointer(squares), pointer(own), pointer(vectors), pointer(ids), vectors.shape[1], m, k)  # type: ignore[attr-defined]
    return np.sqrt(squares)


def _own(found: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Where a row found itself, once a row; among many copies a row may miss itself: there the last."""
    own = found == number[:, None]
    own[~own.any(axis=1), -1] = True
    return own


def _others(found: np.ndarray, number: np.ndarray) -> np.ndarray:
    return found[~_own(found, number)].reshape(len(found), -1)


def canonical_order(vectors: np.ndarray) -> np.ndarray:
    """An order of rows that depends on what they hold and not on where they are: by a hash; only equal rows may tie."""
    n = len(vectors)
    rng = np.random.default_rng(20130)
    factors = rng.integers(1, 2**63, vectors.shape[1], dtype=np.uint64) | np.uint64(1)
    hashed, step = np.empty(n, np.uint64), max(1, _VALUES_AT_ONCE // max(vectors.shape[1], 1))
    for at in range(0, n, step):
        bits = (vectors[at : at + step] + np.float32(0)).view(np.uint32).astype(np.uint64)  # + 0: -0 is 0
        mixed = (bits * np.uint64(0x9E3779B97F4A7C15)) ^ (bits << np.uint64(29))
        hashed[at : at + step] = (mixed * factors).sum(axis=1, dtype=np.uint64)
    return np.argsort(hashed, kind="stable")


def _blocks(vectors: np.ndarray) -> Iterator[np.ndarray]:
    return (vectors[at : at + _BLOCK] for at in range(0, len(vectors), _BLOCK))
