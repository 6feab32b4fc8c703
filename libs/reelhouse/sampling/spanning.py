"""The spanning tree of the mutual-reachability distance over a graph of neighbours."""

from __future__ import annotations

import numpy as np

from reelhouse.sampling.neighbours import nearest

# Rows that stand for a part when parts of the graph are joined, and for all parts together.
_STAND_FOR_A_PART = 32
_STAND_FOR_ALL = 8_192


def spanning_tree(
    vectors: np.ndarray, cores: np.ndarray, distances: np.ndarray, neighbours: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Minimum spanning tree of the mutual-reachability distance max(core a, core b, distance) over the neighbour graph.

    vectors (n, d), n >= 2; cores (n,); distances and neighbours (n, count), as `nearest` gives them. Parts that the graph does
    not connect are joined between rows that stand for them. Returns source, target (n - 1,) int64 and length (n - 1,) float64.
    Source: Boruvka 1926, with all parts of a round at once.
    """
    n = len(vectors)
    source, target = np.repeat(np.arange(n, dtype=np.int32), neighbours.shape[1]), neighbours.ravel().astype(np.int32)
    length = np.maximum(np.maximum(cores[source], cores[target]), distances.ravel())
    part = np.arange(n)
    trees = []
    while True:
        *tree, part = _grow(part, source, target, length)
        trees.append(tree)
        if part.max() == 0:
            break
        source, target, length = _bridges(vectors, cores, part)
    source, target, length = (np.concatenate(columns) for columns in zip(*trees, strict=True))
    return source.astype(np.int64), target.astype(np.int64), length.astype(np.float64)


def _grow(
    part: np.ndarray, source: np.ndarray, target: np.ndarray, length: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Edges (source, target, length) that join parts as far as they go, and the parts that are left, numbered from 0.

    Every part takes its shortest edge out, again and again. Of equal edges the earlier one counts as shorter: no circles.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    order = np.argsort(length, kind="stable")
    a, b = part[source[order]], part[target[order]]
    taken = []
    while True:
        apart = a != b
        order, a, b = order[apart], a[apart], b[apart]
        if not len(order):
            break
        parts = int(part.max()) + 1
        best = np.full(parts, len(order))
        place = np.arange(len(order))
        for ends in (a, b):
            first = np.full(parts, len(order))
            first[ends[::-1]] = place[::-1]  # of many writes to one place the last stays: the shortest edge
            np.minimum(best, first, out=best)
        shortest = np.unique(best[best < len(order)])
        taken.append(order[shortest])
        joined = coo_matrix((np.ones(len(shortest), np.int8), (a[shortest], b[shortest])), shape=(parts, parts))
        number = connected_components(joined, directed=False)[1]
        part, a, b = number[part], number[a], number[b]
    edges = np.concatenate(taken) if taken else np.zeros(0, np.int64)
    return source[edges], target[edges], length[edges], part


def _bridges(vectors: np.ndarray, cores: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges between parts, at least one out of each: source, target, length. Of a part the rows that stand for it are tried: at most
    32, evenly from its densest to its loosest."""
    sizes = np.bincount(part)
    most = max(1, min(_STAND_FOR_A_PART, _STAND_FOR_ALL // len(sizes)))
    order = np.lexsort((cores, part))
    begin = np.repeat(np.cumsum(sizes) - sizes, sizes)
    place, of = np.arange(len(part)) - begin, np.repeat(sizes, sizes)
    kept = order[(place * most) // of != ((place - 1) * most) // of]  # `most` of them, evenly
    distances, found = nearest(vectors[kept], min(most, len(kept) - 1))
    source, target = np.repeat(kept, found.shape[1]), kept[found.ravel()]
    length = np.maximum(np.maximum(cores[source], cores[target]), distances.ravel())
    return source, target, length
