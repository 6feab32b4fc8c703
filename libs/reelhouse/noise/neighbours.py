"""What the nearest neighbours of a row in feature space are labelled."""

from __future__ import annotations

import numpy as np

# Beyond so many rows neighbours are looked for among so many only: all pairs of 280,000 rows would take hours.
REFERENCE_MAX = 50_000
_BLOCK = 1024


def nearest(unit: np.ndarray, count: int) -> np.ndarray:
    """Indices (n, min(count, n - 1)) of the nearest other rows by cosine, nearest first, ties by index.

    unit: (n, d) float32, rows of length 1. Exact up to REFERENCE_MAX rows; beyond, among the first REFERENCE_MAX rows only (the
    caller's order is by content, so these are as good as drawn at random).
    """
    n = len(unit)
    reference = unit[:REFERENCE_MAX]
    count = max(min(count, len(reference) - 1), 0)
    found = np.empty((n, count), np.int64)
    for start in range(0, n, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, n))
        similar = unit[rows] @ reference.T  # (block, reference)
        own = rows < len(reference)
        similar[np.flatnonzero(own), rows[own]] = -np.inf
        if not count:
            continue
        top = _largest(similar, count)
        order = np.argsort(-np.take_along_axis(similar, top, axis=1), axis=1, kind="stable")
        found[rows] = np.take_along_axis(top, order, axis=1)
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
