"""What the nearest neighbours of a row in feature space are labelled."""

from __future__ import annotations

import hashlib

import numpy as np

# Beyond so many rows neighbours are looked for among so many only: all pairs of 280,000 rows would take hours.
REFERENCE_MAX = 50_000
_BLOCK = 1024


def reference_rows(keys: np.ndarray) -> np.ndarray:
    """Indices (min(n, REFERENCE_MAX),), ascending, of the rows that neighbours are looked for among: those of least hash of their key,
    so that they are as good as drawn at random, the same on each machine, and most stay the same when rows are added.

    keys: (n,) str, no two alike.
    """
    if len(keys) <= REFERENCE_MAX:
        return np.arange(len(keys))
    digests = b"".join(hashlib.blake2b(str(key).encode("utf-8", "surrogatepass"), digest_size=8).digest() for key in keys)
    return np.sort(np.argsort(np.frombuffer(digests, "<u8"), kind="stable")[:REFERENCE_MAX])


def nearest(unit: np.ndarray, count: int, reference: np.ndarray) -> np.ndarray:
    """Indices (n, count) of the nearest other rows among `reference` by cosine, nearest first, ties by index.

    unit: (n, d) float32, rows of length 1. reference: (r,) ascending indices, as `reference_rows` gives them: all rows where they are
    few. Where r is not larger than count, there are r - 1 neighbours.
    """
    n = len(unit)
    among = unit[reference]
    count = max(min(count, len(reference) - 1), 0)
    place = np.full(n, -1)  # of each row in the reference
    place[reference] = np.arange(len(reference))
    found = np.empty((n, count), np.int64)
    for start in range(0, n, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, n))
        similar = unit[rows] @ among.T  # (block, r)
        own = place[rows] >= 0
        similar[np.flatnonzero(own), place[rows[own]]] = -np.inf
        if not count:
            continue
        top = _largest(similar, count)
        order = np.argsort(-np.take_along_axis(similar, top, axis=1), axis=1, kind="stable")
        found[rows] = reference[np.take_along_axis(top, order, axis=1)]
    return found


def _largest(similar: np.ndarray, count: int) -> np.ndarray:
    """Columns (rows, count) of each row's largest values, ascending; of equal values at the cut those of least index (which ones
    argpartition takes differs from processor to processor)."""
    cut = np.partition(similar, -count, axis=1)[:, -count, None]
    taken = similar >= cut
    for row in np.flatnonzero(taken.sum(axis=1) > count):
        tied = np.flatnonzero(similar[row] == cut[row])
        taken[row, tied[count - int((similar[row] > cut[row]).sum()) :]] = False
    return np.nonzero(taken)[1].reshape(len(similar), count)


def votes(neighbours: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """How many of each row's neighbours carry each label: (n, classes) int32."""
    n, count = neighbours.shape
    flat = np.repeat(np.arange(n), count) * classes + labels[neighbours].ravel()
    return np.bincount(flat, minlength=n * classes).reshape(n, classes).astype(np.int32)
