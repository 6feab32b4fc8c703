"""Nearest neighbours and the mutual-reachability spanning tree over them, exact, on one machine."""

from __future__ import annotations

from typing import Any

import numpy as np

from reelhouse.errors import VectorError

# Rows looked at beyond a component when the neighbour graph falls into parts. The nearest row by mutual reachability is nearly
# always among the nearest few by distance; if it is not, two parts are joined at a slightly longer edge.
_BRIDGE_CANDIDATES = 16


def check_vectors(vectors: np.ndarray) -> np.ndarray:
    """(n, d) float32, contiguous. VectorError for another shape, and naming the first row with NaN or infinite values."""
    try:
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise VectorError(f"vectors must be an (n, d) array of numbers: {error}") from error
    if vectors.ndim != 2:
        raise VectorError(f"vectors must have shape (n, d), got {vectors.shape}")
    bad = ~np.isfinite(vectors).all(axis=1)
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


def nearest(vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` nearest other rows of each row, nearest first: distances (n, count) float64, rows (n, count) int64.

    Exact (all pairs). count < n.
    """
    import faiss

    n = len(vectors)
    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(vectors)
    _, found = index.search(vectors, count + 1)
    own = found == np.arange(n)[:, None]
    own[~own.any(axis=1), -1] = True  # among many copies a row may miss itself: drop the last instead
    rows = found[~own].reshape(n, count)
    distances = pair_distances(vectors, np.repeat(np.arange(n), count), rows.ravel()).reshape(n, count)
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(rows, order, axis=1)


def spanning_tree(
    vectors: np.ndarray, cores: np.ndarray, distances: np.ndarray, neighbours: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Minimum spanning tree of the mutual-reachability distance max(core a, core b, distance) over the neighbour graph.

    vectors (n, d), n >= 2; cores (n,); distances and neighbours (n, count), as `nearest` gives them. Parts that the graph does
    not connect are joined by their shortest bridges (Boruvka). Returns source, target (n - 1,) int64 and length (n - 1,) float64.
    """
    n = len(vectors)
    source, target = np.repeat(np.arange(n), neighbours.shape[1]), neighbours.ravel()
    length = np.maximum(np.maximum(cores[source], cores[target]), distances.ravel())
    while True:
        source, target, length = _tree_of(source, target, length, n)
        if len(source) == n - 1:
            return source, target, length
        bridges = _bridges(vectors, cores, _components(source, target, n))
        source, target, length = (np.concatenate(pair) for pair in zip((source, target, length), bridges, strict=True))


def _tree_of(source: np.ndarray, target: np.ndarray, length: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import minimum_spanning_tree

    levels, rank = np.unique(length, return_inverse=True)
    # scipy takes 0 for "no edge" and adds up repeated edges: use ranks from 1, each pair once
    low, high = np.minimum(source, target), np.maximum(source, target)
    _, once = np.unique(low * n + high, return_index=True)
    graph = coo_matrix((rank[once] + 1.0, (low[once], high[once])), shape=(n, n)).tocsr()
    tree = minimum_spanning_tree(graph).tocoo()
    return tree.row.astype(np.int64), tree.col.astype(np.int64), levels[tree.data.astype(np.int64) - 1]


def _components(source: np.ndarray, target: np.ndarray, n: int) -> np.ndarray:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(source)), (source, target)), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def _bridges(vectors: np.ndarray, cores: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The shortest edge out of every part but the largest: source, target, length."""
    import faiss

    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(vectors)
    largest = np.bincount(part).argmax()
    edges = []
    for number in range(part.max() + 1):
        if number == largest:
            continue
        inside, outside = np.flatnonzero(part == number), np.flatnonzero(part != number)
        wanted = min(_BRIDGE_CANDIDATES, len(outside))
        chosen: Any = faiss.SearchParameters(sel=faiss.IDSelectorBatch(outside))  # type: ignore[call-arg]
        _, found = index.search(vectors[inside], wanted, params=chosen)
        source, target = np.repeat(inside, wanted), found.ravel()
        length = np.maximum(np.maximum(cores[source], cores[target]), pair_distances(vectors, source, target))
        best = length.argmin()
        edges.append((source[best], target[best], length[best]))
    ends_a, ends_b, lengths = zip(*edges, strict=True)
    return np.array(ends_a), np.array(ends_b), np.array(lengths)
