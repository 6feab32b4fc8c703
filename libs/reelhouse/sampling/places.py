"""How many rows of each kind may still be chosen, so that a batch keeps to every quota and is as full as they allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Quota:
    """At most places[kind] rows of each kind are chosen. kind (n,) int, of each row; places (k,) int."""

    kind: np.ndarray
    places: np.ndarray


class Places:
    """What the quotas leave while a batch is chosen row by row.

    Under two quotas a row can hold a place that a fuller batch needs: of rows (A, 1), (A, 2), (B, 1) with one place of each kind, who takes
    (A, 1) ends with one row instead of two. So a row is also passed over where the batch could then not become as full as the quotas
    allow. That is a maximum flow from the kinds of one quota to those of the other, through cells (a kind of each) that let as many
    through as they have open rows (Ford and Fulkerson 1956). With three quotas it would be NP-hard (Karp 1972, three-dimensional
    matching): ValueError.
    """

    def __init__(self, quotas: Sequence[Quota], rows: np.ndarray, count: int) -> None:
        """rows (m,): those that may be chosen, each once; count: how many are wanted. The quotas are left as they are."""
        if len(quotas) > 2:
            raise ValueError(f"a batch is filled exactly under two quotas at most, got {len(quotas)}")
        self._quotas = [(np.asarray(quota.kind, np.int64), np.minimum(quota.places, len(rows)).astype(np.int64)) for quota in quotas]
        while len(self._quotas) < 2:  # one kind, with places for all
            self._quotas.append((np.zeros(int(rows.max(initial=-1)) + 1, np.int64), np.array([len(rows)])))
        (a, _), (b, places_b) = self._quotas
        self._width = len(places_b)
        self._cells, self._open = np.unique(a[rows] * self._width + b[rows], return_counts=True)
        self._shut = np.zeros(len(self._cells), bool)
        self._flow = self._fullest()
        self.left = max(0, min(count, int(self._flow.sum())))

    def take(self, row: int) -> bool:
        """Whether the row may be chosen, as far as the quotas and `left`, the rows that are still wanted, go; if so its places are taken. A
        row that was taken may not be asked for again."""
        (a, places_a), (b, places_b) = self._quotas
        kinds = int(a[row]), int(b[row])
        if not self.left or places_a[kinds[0]] <= 0 or places_b[kinds[1]] <= 0:
            return False
        cell = int(np.searchsorted(self._cells, kinds[0] * self._width + kinds[1]))
        if self._shut[cell]:
            return False
        self._add(cell, kinds, -1)
        if self._flow[cell] > 0:  # the fullest batch that is known has a row like this one
            self._flow[cell] -= 1
        else:
            other = self._fullest()
            if other.sum() < self.left - 1:
                self._add(cell, kinds, 1)
                self._shut[cell] = True  # for good: what is taken later leaves no more
                return False
            self._flow = other
        self.left -= 1
        return True

    def _add(self, cell: int, kinds: tuple[int, int], number: int) -> None:
        self._open[cell] += number
        for (_, places), kind in zip(self._quotas, kinds, strict=True):
            places[kind] += number

    def _fullest(self) -> np.ndarray:
        """Rows of each cell in a batch of as many rows as the places that are left allow, (cells,) int64."""
        from scipy.sparse import csr_matrix
        from scipy.sparse.csgraph import maximum_flow

        if not len(self._cells):
            return np.zeros(0, np.int64)
        (_, places_a), (_, places_b) = self._quotas
        kinds_a, kinds_b = len(places_a), len(places_b)
        a, b = 1 + self._cells // self._width, 1 + kinds_a + self._cells % self._width  # 0 is the source, the last node the sink
        sink = 1 + kinds_a + kinds_b
        source = np.concatenate([np.zeros(kinds_a, np.int64), a, 1 + kinds_a + np.arange(kinds_b)])
        target = np.concatenate([1 + np.arange(kinds_a), b, np.full(kinds_b, sink)])
        capacity = np.maximum(np.concatenate([places_a, self._open, places_b]), 0).astype(np.int32)
        graph = csr_matrix((capacity, (source, target)), shape=(sink + 1, sink + 1))
        flow = csr_matrix(maximum_flow(graph, 0, sink).flow)
        return np.asarray(flow[a, b]).ravel().astype(np.int64)
