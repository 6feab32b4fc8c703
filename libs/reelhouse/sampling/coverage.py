"""Which rows stand best for all: greedy coverage with a kernel as wide as the rows lie apart.

A row covers another by exp(-d^2 / (0.3 s_a s_b)), where d is their distance and s the distance from a row to the last of those that one
chosen row has to stand for: n rows over all that are chosen or covered. So a dense region is covered by few rows and a sparse one
by few as well, and a greater budget looks closer. What is covered is the sum over all rows of the best that any chosen row covers
them by; the row that adds most is chosen, again and again (within 1 - 1/e of the best set: Nemhauser, Wolsey, Fisher 1978).

Source: Bae et al. 2024, "Generalized Coverage for More Robust Low-Budget Active Learning" (MaxHerding). Departures: the width of the
kernel is that of Zelnik-Manor and Perona 2004, "Self-tuning spectral clustering", with the budget's own rank, not one for all.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from reelhouse.sampling.neighbours import canonical_order
from reelhouse.sampling.places import Places, Quota

# Rows that are weighed against each other; of more so many are drawn. The kernel takes 4 bytes a pair: 256 MB.
WEIGHED_MAX = 8_192
_WIDTH = 0.3  # of .15, .3, .6 and 1 the best on five sets of titles and captions
_SAME_PLACE = 1e-3  # no width below this share of the median: copies have none of their own
_BLOCK = 1_024


@dataclass(frozen=True)
class Choice:
    """rows in order of choice; gains: how many rows each stands for that none before it did."""

    rows: list[int] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)


def cover(
    vectors: np.ndarray,
    count: int,
    *,
    is_open: np.ndarray,
    is_covered: np.ndarray,
    worth: np.ndarray | None = None,
    quotas: Sequence[Quota] = (),
    weighed_max: int = WEIGHED_MAX,
) -> Choice:
    """`count` open rows that together with the covered ones stand best for all rows; fewer only where no more keep to the quotas.

    vectors (n, d) float32; is_open, is_covered (n,) bool; worth (n,), 0 or more: how much it counts that a row is covered, 1 if not
    given. The order of rows decides between equal rows only.
    Costs weighed^2 (d + a little), and weighed times covered rows; the open rows that weren't weighed come last, where those run out.
    """
    n = len(vectors)
    if count <= 0 or not is_open.any():
        return Choice()
    order = canonical_order(vectors)
    worth = np.ones(n) if worth is None else np.asarray(worth, np.float64)
    rows, weight = (order, worth[order]) if n <= weighed_max else _drawn(order, worth, is_open, weighed_max)
    kernel = _kernel(vectors[rows], max(1, min(len(rows) - 1, len(rows) // (count + int(is_covered.sum())))))
    best = kernel.covered_by(vectors[is_covered], is_covered[rows])
    places = Places(quotas, np.flatnonzero(is_open), count)
    choice = _greedy(kernel.values, best, weight.astype(np.float32), rows, is_open, places)
    if places.left:  # the rows that were weighed ran out
        rest = order[is_open[order]]
        for row in rest[~np.isin(rest, rows)].tolist():
            if places.take(row):
                choice.rows.append(row)
                choice.gains.append(0.0)
    return choice


def _drawn(order: np.ndarray, worth: np.ndarray, is_open: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """`most` rows, those of more worth more likely, at least half of them open if there are so many; and what each counts.

    The place in `order`, which has nothing to do with what a row is, is its luck: no seed is needed. A row of worth w is among those
    of least -log(u) / w (Efraimidis and Spirakis 2006), and counts w by the chance 1 - exp(-w t) of that, t being what the first that
    is not drawn has (Cohen and Kaplan 2007, "Summarizing data using bottom-k sketches"): the sum of any part is met on average.
    """
    luck = np.full(len(order), np.inf)
    place = np.empty(len(order))
    place[order] = np.arange(len(order))
    np.divide(-np.log((place + 0.5) / len(order)), worth, out=luck, where=worth > 0)
    opened, shut = order[is_open[order]], order[~is_open[order]]
    wanted = min(len(opened), max(most // 2, most - len(shut)))
    rows, weights = [], []
    for kind, count in ((opened, wanted), (shut, most - wanted)):
        by_luck = kind[np.argsort(luck[kind], kind="stable")]
        drawn, left = by_luck[:count], by_luck[count:]
        rows.append(drawn)
        weights.append(worth[drawn])
        if len(left) and np.isfinite(luck[left[0]]):
            weights[-1] = worth[drawn] / -np.expm1(-worth[drawn] * luck[left[0]])
    return np.concatenate(rows), np.concatenate(weights)


@dataclass(frozen=True)
class _Kernel:
    """values (m, m) float32 between the rows; width (m,) of each."""

    vectors: np.ndarray
    values: np.ndarray
    width: np.ndarray

    def covered_by(self, others: np.ndarray, is_covered: np.ndarray) -> np.ndarray:
        """How well other rows cover each, (m,) float32; is_covered (m,) bool: those of the rows that are themselves covered."""
        import faiss

        if not len(others):
            return np.zeros(len(self.vectors), np.float32)
        squares, _ = faiss.knn(self.vectors, others, 1)
        best = np.exp(-np.maximum(squares[:, 0], 0) / (_WIDTH * self.width**2)).astype(np.float32)
        best[is_covered] = 1.0
        return best


def _kernel(vectors: np.ndarray, rank: int) -> _Kernel:
    """rank: the neighbour whose distance is a row's width."""
    m = len(vectors)
    values, width = np.empty((m, m), np.float32), np.empty(m, np.float32)
    lengths = np.einsum("ij,ij->i", vectors, vectors)
    for at in range(0, m, _BLOCK):
        block = slice(at, min(at + _BLOCK, m))
        values[block] = np.maximum(lengths[block, None] + lengths - 2 * (vectors[block] @ vectors.T), 0)
        values[np.arange(block.start, block.stop), np.arange(block.start, block.stop)] = 0
        width[block] = np.sqrt(np.partition(values[block], min(rank, m - 1), axis=1)[:, min(rank, m - 1)])
    known = width[width > 0]
    width = np.maximum(width, _SAME_PLACE * (np.median(known) if len(known) else 1.0))
    for at in range(0, m, _BLOCK):
        block = slice(at, at + _BLOCK)
        values[block] /= -_WIDTH * width[block, None] * width
        np.exp(values[block], out=values[block])
    return _Kernel(vectors, values, width)


def _greedy(kernel: np.ndarray, best: np.ndarray, weight: np.ndarray, rows: np.ndarray, is_open: np.ndarray, places: Places) -> Choice:
    """kernel (m, m); best, weight (m,): how well each of `rows` is covered so far, and what that counts.

    A gain can only shrink: it is counted again only where it leads (Minoux 1978).
    """
    opened = np.flatnonzero(is_open[rows])
    gains = np.concatenate([np.maximum(kernel[part] - best, 0) @ weight for part in np.array_split(opened, len(opened) // _BLOCK + 1)])
    queue = [(-gain, place) for gain, place in zip(gains.tolist(), opened.tolist(), strict=True)]
    heapq.heapify(queue)
    choice = Choice()
    while queue and places.left:
        _, place = heapq.heappop(queue)
        gain = float(np.maximum(kernel[place] - best, 0) @ weight)
        if queue and (-gain, place) > queue[0]:
            heapq.heappush(queue, (-gain, place))
        elif places.take(int(rows[place])):
            choice.rows.append(int(rows[place]))
            choice.gains.append(gain)
            np.maximum(best, kernel[place], out=best)
    return choice
