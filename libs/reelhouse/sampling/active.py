"""Active learning: choose what people should label next from what a model makes of it. One plain function a strategy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reelhouse.sampling.coverage import cover
from reelhouse.sampling.neighbours import canonical_order, check_vectors
from reelhouse.sampling.partition import kmeans_parts
from reelhouse.sampling.uncertainty import check_uncertainty, entropy_uncertainty, margin_uncertainty

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# TypiClust's own settings: parts at most, rows in the smallest, neighbours that typicality is measured by.
_TYPICLUST_PARTS, _TYPICLUST_SMALLEST, _TYPICLUST_NEIGHBOURS = 500, 5, 20


@dataclass(frozen=True)
class Selection:
    """indices (m,) int64, best first; scores (m,) float64, what they were ranked by, larger first."""

    indices: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Pool:
    """What a strategy chooses from: rows `open`, ascending; `chosen`: rows that are labelled or on their way. uncertainty (n,): as
    given, or None."""

    vectors: np.ndarray
    probabilities: np.ndarray | csr_matrix
    open: np.ndarray
    chosen: np.ndarray
    seed: int
    uncertainty: np.ndarray | None = None


def select_for_labeling(
    vectors: np.ndarray,
    probabilities: np.ndarray | csr_matrix,
    *,
    budget: int,
    chosen: Sequence[int] | np.ndarray = (),
    strategy: str = "uncertainty_by_cluster",
    uncertainty: np.ndarray | None = None,
    seed: int,
) -> Selection:
    """Choose min(budget, rows that are left) rows to label next.

    vectors (n, d): the model's embeddings. probabilities (n, C): its calibrated class probabilities, whole rows or the best of each
    (see reelhouse.sampling.uncertainty.top_and_rest). chosen: rows that were chosen or labelled before; never chosen again.
    strategy: a name of STRATEGIES. uncertainty (n,), 0 or more: what uncertainty_by_cluster goes by instead of the margin, such as
    entropy_uncertainty or disagreement_uncertainty give. Same input and seed, same choice; ties go to the earlier row.
    VectorError for NaN and for an uncertainty below 0; ValueError for lengths that differ, and for an unknown strategy.
    """
    vectors = check_vectors(vectors)
    n = len(vectors)
    if probabilities.shape[0] != n:
        raise ValueError(f"vectors and probabilities must have as many rows, got {n} and {probabilities.shape[0]}")
    if uncertainty is not None:
        uncertainty = check_uncertainty(uncertainty, n)
    if strategy not in STRATEGIES:
        raise ValueError(f"there is no strategy {strategy!r} (known: {', '.join(sorted(STRATEGIES))})")
    taken = np.unique(np.asarray(chosen, np.int64))
    pool = Pool(vectors, probabilities, np.setdiff1d(np.arange(n), taken), taken, seed, uncertainty)
    budget = min(budget, len(pool.open))
    if budget <= 0:
        return Selection(np.zeros(0, np.int64), np.zeros(0))
    return STRATEGIES[strategy](pool, budget)


def choose_random(pool: Pool, budget: int) -> Selection:
    """Uniformly at random."""
    rows = pool.open[canonical_order(pool.vectors[pool.open])]
    return _best(rows, np.random.default_rng(pool.seed).random(len(rows)), budget)


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


def choose_badge(pool: Pool, budget: int) -> Selection:
    """k-means++ over the gradients that each row would give the last layer, were its likeliest class right (Ash et al. 2020, BADGE).

    A gradient is (p - onehot) x vector; products of two are products of products, so that none is written out. Scores are the
    squared distances at which rows were drawn. Departure: the first row is that of the greatest gradient.
    """
    rows = pool.open[canonical_order(pool.vectors[pool.open])]
    vectors, errors = pool.vectors[rows].astype(np.float64), _errors(pool.probabilities[rows])
    squares = _product(errors, errors) * np.einsum("ij,ij->i", vectors, vectors)
    rng, place = np.random.default_rng(pool.seed), int(squares.argmax())
    gaps, places, scores = np.full(len(rows), np.inf), [place], [float(squares[place])]
    while len(places) < budget:
        products = _product(errors, errors[[place]]) * (vectors @ vectors[place])
        np.minimum(gaps, np.maximum(squares + squares[place] - 2 * products, 0), out=gaps)
        gaps[places] = 0.0
        left = gaps if gaps.any() else np.isin(np.arange(len(rows)), places, invert=True)  # only copies of what was taken
        place = int(rng.choice(len(rows), p=left / left.sum()))
        places.append(place)
        scores.append(float(gaps[place]))
    order = np.argsort(-np.array(scores), kind="stable")
    return Selection(rows[np.array(places)[order]], np.array(scores)[order])


def choose_typiclust(pool: Pool, budget: int) -> Selection:
    """The most typical row of each k-means part, parts with few chosen rows and many rows first (Hacohen et al. 2022, TypiClust).

    Typicality: 1 / mean distance to the 20 nearest rows of the part. Scores fall evenly from 1: the order of choice.
    """
    import faiss

    count, order = min(len(pool.chosen) + budget, _TYPICLUST_PARTS, len(pool.vectors)), canonical_order(pool.vectors)
    parts = np.empty(len(order), np.int64)
    parts[order], _ = kmeans_parts(pool.vectors[order], count, pool.seed)  # which begins with rows by their place
    is_open = np.zeros(len(pool.vectors), bool)
    is_open[pool.open] = True
    sizes, chosen = np.bincount(parts, minlength=count), np.bincount(parts[pool.chosen], minlength=count)
    queues = []
    for part in np.lexsort((-sizes, chosen, sizes < _TYPICLUST_SMALLEST)).tolist():
        members = np.flatnonzero(parts == part)
        opened = members[is_open[members]]
        if len(opened):
            near = min(_TYPICLUST_NEIGHBOURS, max(1, len(members) // 2))
            squares, _ = faiss.knn(pool.vectors[opened], pool.vectors[members], min(near + 1, len(members)))
            queues.append(opened[np.argsort(np.sqrt(np.maximum(squares, 0)).sum(axis=1), kind="stable")].tolist())
    picked: list[int] = []
    while len(picked) < budget:
        picked += [queue.pop(0) for queue in queues if queue][: budget - len(picked)]
    return Selection(np.array(picked, np.int64), 1 - np.arange(budget) / budget)


def choose_uncertain_by_cluster(pool: Pool, budget: int) -> Selection:
    """The rows that together stand best for all that the model is unsure of (see reelhouse.sampling.coverage).

    What a row counts is the square of its uncertainty, 1 - margin if not given: while the model knows little all rows count alike and
    this is sampling by density; later it goes where the model errs, and still takes one of many that are alike. What lies near a
    chosen row counts as covered. Scores: how much uncertainty each row stands for. Source: Bae et al. 2025, "Uncertainty Herding: One
    Active Learning Method for All Label Budgets"; departures: see coverage, and the square.
    """
    unsure = margin_uncertainty(pool.probabilities) if pool.uncertainty is None else pool.uncertainty
    is_open, is_chosen = np.zeros(len(unsure), bool), np.zeros(len(unsure), bool)
    is_open[pool.open], is_chosen[pool.chosen] = True, True
    found = cover(pool.vectors, budget, is_open=is_open, is_covered=is_chosen, worth=np.square(unsure))
    return Selection(np.array(found.rows, np.int64), np.minimum.accumulate(found.gains))


STRATEGIES: dict[str, Callable[[Pool, int], Selection]] = {
    "random": choose_random,
    "entropy": choose_entropy,
    "margin": choose_margin,
    "coreset": choose_coreset,
    "badge": choose_badge,
    "typiclust": choose_typiclust,
    "uncertainty_by_cluster": choose_uncertain_by_cluster,
}


def _best(rows: np.ndarray, scores: np.ndarray, count: int) -> Selection:
    order = np.argsort(-scores, kind="stable")[:count]
    return Selection(rows[order], scores[order])


def _errors(probabilities: Any) -> Any:
    """p - onehot of the likeliest class, sparse where p is."""
    best = np.asarray(probabilities.argmax(axis=1)).ravel()
    places = np.arange(len(best))
    if not hasattr(probabilities, "indptr"):
        errors = np.array(probabilities, np.float32)
        errors[places, best] -= 1
        return errors
    return probabilities - type(probabilities)((np.ones(len(best)), (places, best)), shape=probabilities.shape)


def _product(a: Any, b: Any) -> np.ndarray:
    """Products of the rows of a with those of b, or with its one row, (n,); both sparse or both dense."""
    if hasattr(a, "indptr"):
        return np.asarray(a.multiply(b).sum(axis=1) if a.shape == b.shape else (a @ b.T).toarray()).ravel().astype(np.float64)
    return np.einsum("ij,ij->i", a, b) if a.shape == b.shape else (a @ b[0]).astype(np.float64)


def _shrink(gaps: np.ndarray, vectors: np.ndarray, squares: np.ndarray, centre: np.ndarray) -> None:
    """Lower each row's squared distance to the nearest centre by a new centre."""
    np.minimum(gaps, squares - 2 * (vectors @ centre) + float(centre @ centre), out=gaps)
