"""How unsure a model is of each row, from its class probabilities: whole rows, or the best few classes of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from reelhouse.errors import VectorError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_BLOCK = 65_536
_SUM_TOLERANCE = 1e-3  # float32 probabilities of thousands of classes sum to 1 within this


def margin_uncertainty(probabilities: np.ndarray | csr_matrix) -> np.ndarray:
    """1 - (largest - second largest probability), (n,) float64 in 0..1; larger is less sure. See `top_and_rest` for the input."""
    return _by_block(probabilities, _margin)


def entropy_uncertainty(probabilities: np.ndarray | csr_matrix) -> np.ndarray:
    """Entropy of each row's probabilities in nats, (n,) float64; larger is less sure. See `top_and_rest` for the input."""
    return _by_block(probabilities, _entropy)


def disagreement_uncertainty(members: Sequence[np.ndarray | csr_matrix]) -> np.ndarray:
    """How far several models differ on each row, (n,) float64 in nats: entropy of their mean less the mean of their entropies.

    members: probabilities of each model, all of one shape. 0 where they agree, however unsure each is (BALD: Houlsby et al. 2011).
    """
    if not members:
        raise ValueError("disagreement needs the probabilities of at least one model")
    mean = sum(members[1:], members[0] * 1.0) / len(members)
    return np.maximum(entropy_uncertainty(mean) - np.mean([entropy_uncertainty(one) for one in members], axis=0), 0)


def check_uncertainty(uncertainty: np.ndarray, n: int) -> np.ndarray:
    """(n,) float64. ValueError for another shape; VectorError names the first row that is NaN, infinite or below 0."""
    unsure = np.asarray(uncertainty, np.float64)
    if unsure.shape != (n,):
        raise ValueError(f"uncertainty must have shape ({n},), got {unsure.shape}")
    bad = ~(np.isfinite(unsure) & (unsure >= 0))
    if bad.any():
        row = int(bad.argmax())
        raise VectorError(f"uncertainty must be numbers of 0 or more: row {row} holds {unsure[row]} ({int(bad.sum())} of {n} such rows)")
    return unsure


def _by_block(probabilities: np.ndarray | csr_matrix, of: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """A million rows of hundreds of classes are not copied as a whole."""
    starts = range(0, max(probabilities.shape[0], 1), _BLOCK)
    return np.concatenate([of(*top_and_rest(probabilities[at : at + _BLOCK], first=at)) for at in starts])


def _margin(top: np.ndarray, rest: np.ndarray, others: np.ndarray) -> np.ndarray:
    # up to two classes of the rest may be among the two best; zeros for the case of a single class
    every = np.column_stack([top, rest, np.where(others > 1, rest, 0), np.zeros(len(top))])
    two = -np.partition(-every, 1, axis=1)[:, :2]
    return np.maximum(1 - (two[:, 0] - two[:, 1]), 0)  # a sum of 1 may be rounded up


def _entropy(top: np.ndarray, rest: np.ndarray, others: np.ndarray) -> np.ndarray:
    return _surprise(top).sum(axis=1) + others * _surprise(rest)


def top_and_rest(probabilities: np.ndarray | csr_matrix, *, first: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Given probabilities (n, k), the probability of each class that is not given (n,), and how many those are (n,).

    probabilities: (n, C) array whose rows sum to 1; or a scipy CSR matrix (n, C) that holds the best classes of each row, where
    what is missing to 1 is taken to be spread evenly over the other classes.
    VectorError names the first row with NaN, negative values or a wrong sum; first: the number of the first row given.
    """
    sparse: Any = probabilities
    if hasattr(sparse, "indptr"):
        n, classes = sparse.shape
        counts = np.diff(sparse.indptr)
        top = np.zeros((n, max(int(counts.max(initial=0)), 1)))
        top[np.arange(top.shape[1]) < counts[:, None]] = sparse.data
    else:
        top = np.asarray(probabilities, np.float64)
        if top.ndim != 2:
            raise VectorError(f"probabilities must have shape (n, classes), got {top.shape}")
        n, classes = top.shape
        counts = np.full(n, classes)
    others = classes - counts
    total = top.sum(axis=1)
    with np.errstate(invalid="ignore"):
        wrong = ~(top >= 0).all(axis=1) | ~(total <= 1 + _SUM_TOLERANCE) | ((others == 0) & ~(total >= 1 - _SUM_TOLERANCE))
    if wrong.any():
        row = int(wrong.argmax())
        raise VectorError(f"row {first + row} holds no probabilities: values must be 0 or more and sum to 1, its sum is {total[row]:.6g}")
    return top, np.where(others > 0, np.clip(1 - total, 0, None) / np.maximum(others, 1), 0), others


def _surprise(p: np.ndarray) -> np.ndarray:
    return np.maximum(-p * np.log(np.where(p > 0, p, 1)), 0)  # p may be 1 rounded up
