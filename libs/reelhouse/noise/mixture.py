"""Two normal distributions under one histogram: the labels that fit, and those that don't."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROUNDS = 200
_DEVIATION_MIN = 0.05  # as a share of the scores' own deviation: no component may shrink to one point


@dataclass(frozen=True)
class Mixture:
    """weight: share of the upper component, 0..1. means, deviations: (lower, upper)."""

    weight: float
    means: tuple[float, float]
    deviations: tuple[float, float]

    def upper(self, scores: np.ndarray) -> np.ndarray:
        """Probability (n,) that a score belongs to the upper component; never falls where the score rises."""
        if not 0 < self.weight < 1:
            return np.full(len(scores), float(self.weight > 0.5))
        low, high = (_log_density(scores, m, d) for m, d in zip(self.means, self.deviations, strict=True))
        gap = np.clip(low + np.log1p(-self.weight) - high - np.log(self.weight), -700, 700)
        upper = 1 / (1 + np.exp(gap))
        # A wide component takes over again on the far side; scores beyond the means belong to the mean's own side.
        upper = np.where(scores >= self.means[1], np.maximum(upper, 0.5), upper)
        upper = np.where(scores <= self.means[0], np.minimum(upper, 0.5), upper)
        order = np.argsort(scores, kind="stable")
        middle = (scores[order] > self.means[0]) & (scores[order] < self.means[1])
        monotone = upper[order]
        below, above = scores[order] <= self.means[0], scores[order] >= self.means[1]
        monotone[below] = np.minimum.accumulate(monotone[below][::-1])[::-1]
        monotone[above] = np.maximum.accumulate(monotone[above])
        monotone[middle] = np.maximum.accumulate(monotone[middle])
        out = np.empty_like(upper)
        out[order] = np.maximum.accumulate(monotone)
        return out


def two_normals(scores: np.ndarray) -> Mixture:
    """Fit by expectation-maximisation, started from the halves below and above the middle of the range of the central 98%.

    scores: (n,) finite; fewer than 4 different values give an upper component of weight 0. Deterministic.
    """
    spread = float(scores.std()) if len(scores) else 0.0
    if len(np.unique(scores)) < 4:
        mean = float(scores.mean()) if len(scores) else 0.0
        return Mixture(0.0, (mean, mean), (max(spread, 1e-9), max(spread, 1e-9)))
    floor = _DEVIATION_MIN * spread
    low, high = np.quantile(scores, [0.01, 0.99])
    mixture = _moments(scores, (scores > (low + high) / 2).astype(np.float64), floor)
    for _ in range(_ROUNDS):
        before = mixture
        mixture = _moments(scores, _responsibility(mixture, scores), floor)
        if abs(mixture.weight - before.weight) < 1e-6 and abs(mixture.means[1] - before.means[1]) < 1e-6 * spread:
            break
    return mixture


def _responsibility(mixture: Mixture, scores: np.ndarray) -> np.ndarray:
    weight = min(max(mixture.weight, 1e-9), 1 - 1e-9)
    low, high = (_log_density(scores, m, d) for m, d in zip(mixture.means, mixture.deviations, strict=True))
    return 1 / (1 + np.exp(np.clip(low + np.log1p(-weight) - high - np.log(weight), -700, 700)))


def _moments(scores: np.ndarray, upper: np.ndarray, floor: float) -> Mixture:
    means, deviations = [], []
    for part in (1 - upper, upper):
        total = max(part.sum(), 1e-9)
        mean = float((part * scores).sum() / total)
        means.append(mean)
        deviations.append(max(float(np.sqrt((part * (scores - mean) ** 2).sum() / total)), floor))
    weight = float(upper.mean())
    if means[0] > means[1]:
        return Mixture(1 - weight, (means[1], means[0]), (deviations[1], deviations[0]))
    return Mixture(weight, (means[0], means[1]), (deviations[0], deviations[1]))


def _log_density(scores: np.ndarray, mean: float, deviation: float) -> np.ndarray:
    return -0.5 * ((scores - mean) / deviation) ** 2 - np.log(deviation)
