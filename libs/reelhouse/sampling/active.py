"""Active learning: choose what people should label next from what a model makes of it. One plain function a strategy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reelhouse.sampling.neighbours import check_vectors
from reelhouse.sampling.partition import by_share, kmeans_parts
from reelhouse.sampling.uncertainty import entropy_uncertainty, margin_uncertainty

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# The uncertain pool holds so many rows for each that is chosen: enough to spread, few enough that all of it is uncertain.
_POOL_A_PICK = 10
_POOL_MIN = 50


@dataclass(frozen=True)
class Selection:
    """indices (m,) int64, best first; scores (m,) float64, what they were ranked by, larger first."""

    indices: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Pool:
    """What a strategy chooses from: rows `open`, ascending; `chosen`: rows that are labelled or on their way."""

    vectors: np.ndarray
    probabilities: np.ndarray | csr_matrix
    open: np.ndarray
    chosen: np.ndarray
    seed: int


def select_for_labeling(
    vectors: np.ndarray,
    probabilities: np.ndarray | csr_matrix,
    *,
    budget: int,
    chosen: Sequence[int] | np.ndarray = (),
    strategy: str = "uncertainty_by_cluster",
    seed: int,
) -> Selection:
    """Choose min(budget, rows that are left) rows to label next.

    vectors (n, d): the model's embeddings. probabilities (n, C): its calibrated class probabilities, whole rows or the best of each
    (see reelhouse.sampling.uncertainty.top_and_rest). chosen: rows that were chosen or labelled before; never chosen again.
    strategy: a name of STRATEGIES. Same input and seed, same choice; ties go to the earlier row.
    VectorError for NaN or lengths that differ; ValueError for an unknown strategy.
    """
    vectors = check_vectors(vectors)
    n = len(vectors)
    if probabilities.shape[0] != n:
        raise ValueError(f"vectors and probabilities must have as many rows, got {n} and {probabilities.shape[0]}")
    if strategy not in STRATEGIES:
        raise ValueError(f"there is no strategy {strategy!r} (known: {', '.join(sorted(STRATEGIES))})")
    taken = np.unique(np.asarray(chosen, np.int64))
    pool = Pool(vectors, probabilities, np.setdiff1d(np.arange(n), taken), taken, seed)
    budget = min(budget, len(pool.open))
    if budget <= 0:
        return Selection(np.zeros(0, np.int64), np.zeros(0))
    return STRATEGIES[strategy](pool, budget)


def choose_random(pool: Pool, budget: int) -> Selection:
    """Uniformly at random."""
    return _best(pool.open, np.random.default_rng(pool.seed).random(len(pool.open)), budget)


def choose_entropy(pool: Pool, budget: int) -> Selection:
    """Greatest entropy of the probabilities."""
    return _best(pool.open, entropy_uncertainty(pool.probabilities)[pool.open], budget)


def choose_margin(pool: Pool, budget: int) -> Selection:
    """Smallest distance between the two best classes."""
    return _best(pool.open, margin_uncertainty(pool.probabilities)[pool.open], budget)


def choose_coreset(pool: Pool, budget: int) -> Selection:
    """k-centre greedy: always the row farthest from all that are chosen (Sener and Savarese 2018, algorithm 1).

    Scores are those distances. Without a chosen row the first pick is the row nearest to the mean.
    """
    vectors = pool.vectors[pool.open]
    squares = np.einsum("ij,ij->i", vectors, vectors)
    gaps = np.full(len(vectors), np.inf)
    for row in pool.chosen:
        _shrink(gaps, vectors, squares, pool.vectors[row])
    indices, scores = np.zeros(budget, np.int64), np.zeros(budget)
    for place in range(budget):
        if np.isinf(gaps[0]):
            from_mean = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1)
            best = int(from_mean.argmin())
            scores[place] = 2 * from_mean.max()  # no two rows lie farther apart
        else:
            best = int(gaps.argmax())
            scores[place] = np.sqrt(max(gaps[best], 0.0))
        indices[place] = pool.open[best]
        _shrink(gaps, vectors, squares, vectors[best])
        gaps[best] = -1.0
    return Selection(indices, scores)


def choose_uncertain_by_cluster(pool: Pool, budget: int) -> Selection:
    """The most uncertain rows, spread: they are clustered by their vectors, and each cluster gets places by its share of them.

    In a cluster the row nearest to its centre goes first, then the most uncertain ones. Scores are 1 - margin.
    """
    unsure = margin_uncertainty(pool.probabilities)
    uncertain = _best(pool.open, unsure[pool.open], min(max(_POOL_A_PICK * budget, _POOL_MIN), len(pool.open))).indices
    count = min(max(1, budget // 2), len(uncertain))  # two places a cluster on average: its centre and its least sure row
    parts, distances = kmeans_parts(pool.vectors[uncertain], count, pool.seed)
    picked: list[int] = []
    for part, places in enumerate(by_share(np.bincount(parts, minlength=count), budget)):
        inside = np.flatnonzero(parts == part)  # positions in `uncertain`, least sure first
        if places:
            centre = inside[distances[inside].argmin()]
            rest = inside[inside != centre][: places - 1]
            picked += [int(uncertain[centre]), *uncertain[rest].tolist()]
    return _best(np.sort(np.array(picked, np.int64)), unsure[np.sort(picked)], budget)


STRATEGIES: dict[str, Callable[[Pool, int], Selection]] = {
    "random": choose_random,
    "entropy": choose_entropy,
    "margin": choose_margin,
    "coreset": choose_coreset,
    "uncertainty_by_cluster": choose_uncertain_by_cluster,
}


def _best(rows: np.ndarray, scores: np.ndarray, count: int) -> Selection:
    order = np.argsort(-scores, kind="stable")[:count]
    return Selection(rows[order], scores[order])


def _shrink(gaps: np.ndarray, vectors: np.ndarray, squares: np.ndarray, centre: np.ndarray) -> None:
    """Lower each row's squared distance to the nearest centre by a new centre."""
    np.minimum(gaps, squares - 2 * (vectors @ centre) + float(centre @ centre), out=gaps)
