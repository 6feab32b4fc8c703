"""What accuracy more labels will bring: a learning curve measured on growing subsets of the labels that there are."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

# The probe: a multinomial logistic regression, as the labelling figures use it.
_STRENGTH, _STEPS = 10.0, 200
_SUBSETS = 8  # sizes that are measured, at most
_GROWTH = 2**0.5  # each size is so many times the one before
_SMALLEST = 10  # labels in the smallest subset, at least
# Exponents that are tried; curves of classifiers lie between .2 and 1 (Cortes et al. 1994), the rest is room.
_EXPONENTS = np.geomspace(0.05, 2.0, 60)
_DRAWS = 400


@dataclass(frozen=True)
class Probed:
    """sizes (k,) int64, ascending: labels that the probe learned from. hits (repeats, k, m) bool: whether it named the class of each
    held-out row."""

    sizes: np.ndarray
    hits: np.ndarray


def probe(
    vectors: np.ndarray, classes: np.ndarray, held_vectors: np.ndarray, held_classes: np.ndarray, *, repeats: int = 5, seed: int
) -> Probed:
    """Teach a probe on growing nested random subsets of the rows, `repeats` times in other orders, and ask it about the held-out rows.

    vectors (n, d), classes (n,) int; held_vectors (m, d), held_classes (m,); at least one row each. The last subset is all rows. 4,000
    rows of 128 dimensions and 15 classes take about six seconds of one core.
    """
    n = len(classes)
    steps = np.arange(_SUBSETS - 1, -1, -1)
    sizes = np.unique(np.maximum(np.round(n / _GROWTH**steps), min(_SMALLEST, n)).astype(np.int64))
    hits = np.zeros((repeats, len(sizes), len(held_classes)), bool)
    for repeat in range(repeats):
        order = np.random.default_rng([seed, repeat]).permutation(n)
        for place, size in enumerate(sizes.tolist()):
            rows = order[:size]
            hits[repeat, place] = _said(vectors[rows], classes[rows], held_vectors) == held_classes
    return Probed(sizes, hits)


def principal_components(vectors: np.ndarray, others: np.ndarray, *, count: int = 128, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Both on the first `count` principal components of `vectors` (fewer where there are fewer): what a probe learns from quickly."""
    from sklearn.decomposition import PCA

    fitted = PCA(min(count, *vectors.shape), svd_solver="randomized", random_state=seed).fit(vectors)
    return fitted.transform(vectors), fitted.transform(others)


def _said(vectors: np.ndarray, classes: np.ndarray, asked: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    if (classes == classes[0]).all():
        return np.full(len(asked), classes[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so many steps are enough to compare by, if not to converge
        said: np.ndarray = LogisticRegression(C=_STRENGTH, max_iter=_STEPS).fit(vectors, classes).predict(asked)
    return said


@dataclass(frozen=True)
class Expected:
    """Accuracy to expect with so many labels, 0..1; the truth lies between low and high with the curve's confidence."""

    labels: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class LearningCurve:
    """accuracy = a - b n^-c. best (3,): a, b, c of what was measured; draws (d, 3): of bootstrap samples. confidence: of intervals."""

    best: np.ndarray
    draws: np.ndarray
    confidence: float

    def at(self, labels: int) -> Expected:
        (best,) = _value(self.best[None], labels)
        low, high = np.quantile(_value(self.draws, labels), [(1 - self.confidence) / 2, (1 + self.confidence) / 2])
        return Expected(labels, *(float(np.clip(v, 0, 1)) for v in (best, min(low, best), max(high, best))))


def fit_curve(probed: Probed, *, confidence: float = 0.9, seed: int) -> LearningCurve:
    """The learning curve through what the probe reached, with an interval for the accuracy on all videos, not on the held-out ones alone.

    An inverse power law, a - b n^-c (Cortes et al. 1994, "Learning Curves: Asymptotic Values and Rate of Convergence"), fitted by least
    squares that count the i-th of k sizes i / k (Figueroa et al. 2012, "Predicting sample size required for classification
    performance"). The interval is that of curves through bootstrap samples of the held-out rows and of the repeats, both at once.
    """
    repeats, k, rows = probed.hits.shape
    rng = np.random.default_rng(seed)
    of_row = rng.multinomial(rows, np.full(rows, 1 / rows), size=_DRAWS) / rows  # (draws, rows)
    of_repeat = rng.multinomial(repeats, np.full(repeats, 1 / repeats), size=_DRAWS) / repeats  # (draws, repeats)
    by_repeat = (of_row @ probed.hits.reshape(repeats * k, rows).T.astype(np.float64)).reshape(_DRAWS, repeats, k)
    drawn = np.einsum("dr,drk->dk", of_repeat, by_repeat)
    return LearningCurve(power_law(probed.sizes, probed.hits.mean(axis=(0, 2))[None])[0], power_law(probed.sizes, drawn), confidence)


def power_law(sizes: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """a, b and c of the curve a - b n^-c through each row of accuracy (d, k), (d, 3): 0 <= a <= 1, b >= 0.

    For each exponent of a grid a and b are a straight line's; the exponent that errs least is taken.
    """
    weight = np.arange(1, len(sizes) + 1) / len(sizes)
    weight = weight / weight.sum()
    x = sizes[None, :].astype(np.float64) ** -_EXPONENTS[:, None]  # (c, k)
    x_mean = x @ weight
    spread = ((x - x_mean[:, None]) ** 2) @ weight  # (c,); 0 with one size
    y_mean = accuracy @ weight  # (d,)
    together = (accuracy - y_mean[:, None]) @ ((x - x_mean[:, None]) * weight).T  # (d, c)
    b = np.maximum(-np.divide(together, spread, out=np.zeros_like(together), where=spread > 0), 0)
    a = y_mean[:, None] + b * x_mean
    through_one = ((1 - accuracy) @ (x * weight).T) / ((x**2) @ weight)
    a, b = np.where(a > 1, 1.0, a), np.where(a > 1, through_one, b)
    error = (((a[:, :, None] - b[:, :, None] * x) - accuracy[:, None, :]) ** 2) @ weight  # (d, c)
    best = error.argmin(axis=1)
    row = np.arange(len(accuracy))
    return np.column_stack([a[row, best], b[row, best], _EXPONENTS[best]])


def _value(parameters: np.ndarray, labels: int) -> np.ndarray:
    a, b, c = parameters.T
    return np.asarray(a - b * float(labels) ** -c)
