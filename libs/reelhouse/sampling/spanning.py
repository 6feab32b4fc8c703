"""The spanning tree of the mutual-reachability distance over a graph of neighbours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reelhouse.sampling.neighbours import nearest

# Rows that stand for a part when parts of the graph are joined, and for all parts together.
_STAND_FOR_A_PART = 32
_STAND_FOR_ALL = 8_192


def spanning_tree(
    vectors: np.ndarray, cores: np.ndarray, distances: np.ndarray, neighbours: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Minimum spanning tree of the mutual-reachability distance max(core a, core b, distance) over the neighbour graph.

    vectors (n, d), n >= 2; cores (n,); distances and neighbours (n, count), as `nearest` gives them. Returns source, target (n - 1,)
    int64 and length (n - 1,) float64.
    """
    source, target = np.repeat(np.arange(len(vectors), dtype=np.int32), neighbours.shape[1]), neighbours.ravel().astype(np.int32)
    return join(source, target, reach(cores, source, target, distances.ravel()), cores, lambda rows: vectors[rows])


def reach(cores: np.ndarray, source: np.ndarray, target: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Mutual-reachability distance of each pair (Campello et al. 2013, definition 3)."""
    return np.maximum(np.maximum(cores[source], cores[target]), distances)


def join(
    source: np.ndarray, target: np.ndarray, length: np.ndarray, cores: np.ndarray, vectors_of: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Minimum spanning tree of all rows over edges; parts that these do not connect are joined between rows that stand for them.

    source, target, length (m,); cores (n,); vectors_of: the vectors of some rows, of at most 8,192 at once or one a part. Returns as
    `spanning_tree`. Source: Boruvka 1926, with all parts of a round at once.
    """
    part, trees = np.arange(len(cores)), []
    while True:
        *tree, part = grow(part, source, target, length)
        trees.append(tree)
        if part.max() == 0:
            break
        source, target, length = _bridges(vectors_of, cores, part)
    source, target, length = (np.concatenate(columns) for columns in zip(*trees, strict=True))
    return source.astype(np.int64), target.astype(np.int64), length.astype(np.float64)


def grow(
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


def _bridges(
    vectors_of: Callable[[np.ndarray], np.ndarray], cores: np.ndarray, part: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges between parts, at least one out of each: source, target, length. Of a part the rows that stand for it are tried: at most
    32, evenly from its densest to its loosest."""
    sizes = np.bincount(part)
    most = max(1, min(_STAND_FOR_A_PART, _STAND_FOR_ALL // len(sizes)))
    order = np.lexsort((cores, part))
    begin = np.repeat(np.cumsum(sizes) - sizes, sizes)
    place, of = np.arange(len(part)) - begin, np.repeat(sizes, sizes)
    kept = order[(place * most) // of != ((place - 1) * most) // of]  # `most` of them, evenly
    distances, found = nearest(vectors_of(kept), min(most, len(kept) - 1))
    source, target = np.repeat(kept, found.shape[1]), kept[found.ravel()]
    return source, target, reach(cores, source, target, distances.ravel())
