"""Cells of like vectors (k-means), each of which is compared with those nearest to it alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Cells: so many times the square root of n. At 8 cells a row then looks at 8 sqrt(n) / 2 others.
_CELLS_A_ROOT = 2
_CELLS_LOOKED_AT = 8
TRAINED_ON_A_CELL = 64
_ROUNDS = 6
# No cell holds more than so many times the average.
_MOST = 4
_BLOCK = 65_536


@dataclass(frozen=True)
class Cells:
    """centres (c, d); rows (n,) by cell; begins (c + 1,): those of cell i are rows[begins[i] : begins[i + 1]]."""

    centres: np.ndarray
    rows: np.ndarray
    begins: np.ndarray

    def with_near(self, at_least: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each cell its rows, and the rows, ascending, of it and those near it (see `near_cells`)."""
        for near in near_cells(self.centres, np.diff(self.begins), at_least):
            rows = [self.rows[self.begins[i] : self.begins[i + 1]] for i in near.tolist()]
            yield rows[0], np.sort(np.concatenate(rows))


def cells_of(vectors: np.ndarray, order: np.ndarray) -> Cells:
    """Cells of (n, d) vectors, none empty or of more than four times the average. order (n,): of rows, by which draws are made."""
    n = len(vectors)
    wanted = wanted_cells(n)
    means = train_centres(vectors[order[:: max(1, n // (wanted * TRAINED_ON_A_CELL))]], wanted)
    cell = nearest_centre(vectors, means)
    rows = order[np.argsort(cell[order], kind="stable")]
    begins, numbers = [0], []
    for number, size in enumerate(np.bincount(cell, minlength=wanted).tolist()):
        for part in np.array_split(np.arange(size), splits_of(size, n)) if size else ():
            begins.append(begins[-1] + len(part))
            numbers.append(number)
    return Cells(means[numbers], rows, np.array(begins))


def wanted_cells(n: int) -> int:
    return max(1, int(_CELLS_A_ROOT * np.sqrt(n)))


def splits_of(size: int, n: int) -> int:
    """Into how many cells one of `size` of n rows is split: copies of one row can fill a cell."""
    return -(-size // (_MOST * max(1, n // wanted_cells(n))))


def train_centres(vectors: np.ndarray, wanted: int) -> np.ndarray:
    """Centres (wanted, d) of a k-means over (m, d) vectors, m >= wanted. The same vectors in the same order: the same centres."""
    import faiss

    most = TRAINED_ON_A_CELL
    kmeans = faiss.Kmeans(vectors.shape[1], wanted, niter=_ROUNDS, seed=1, min_points_per_centroid=1, max_points_per_centroid=most)
    kmeans.train(vectors)
    assert kmeans.centroids is not None
    return kmeans.centroids


def nearest_centre(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Number of the centre nearest to each of (n, d) vectors, (n,) int32."""
    import faiss

    index = faiss.IndexFlatL2(centres.shape[1])
    index.add(centres)
    cell = np.empty(len(vectors), np.int32)
    for at in range(0, len(vectors), _BLOCK):
        cell[at : at + _BLOCK] = index.search(vectors[at : at + _BLOCK], 1)[1][:, 0]
    return cell


def near_cells(centres: np.ndarray, sizes: np.ndarray, at_least: int) -> Iterator[np.ndarray]:
    """For each cell the numbers of it and of the nearest others: eight in all, more where those hold fewer than `at_least` rows."""
    for cell in range(len(sizes)):
        gaps = ((centres - centres[cell]) ** 2).sum(axis=1)
        gaps[cell] = -1.0
        order = np.argsort(gaps, kind="stable")
        enough = int(np.searchsorted(np.cumsum(sizes[order]), at_least)) + 1
        yield order[: max(_CELLS_LOOKED_AT, enough)]
