"""From features and labels to a score, a verdict and a suggestion for each label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reelhouse.errors import LabelError, VectorError
from reelhouse.noise.cycles import held_out_losses
from reelhouse.noise.mixture import two_normals
from reelhouse.noise.neighbours import nearest, reference_rows, votes

WRONG, HARD, CLEAN = "wrong", "hard", "clean"
NEIGHBOURS = 10
# The score adds this part of the log odds of the best other class to the loss: a label whose loss is high because nothing
# fits is less suspect than one where another class fits well. Chosen on a half of tnews (P@k .521 -> .53 at 20% noise).
ODDS_SHARE = 0.5
OWN_MIXTURE_LABELS = 100  # classes with fewer labels are judged by the mixture of all
ANCHORS_MIN = 30  # rows that the noise rate is estimated on, at least


@dataclass(frozen=True)
class NoiseScores:
    """One entry a row; rows that were left out (masked, class too small) have NaN, "", -1.

    scores: (n,) float64, higher = more likely wrong. verdicts: (n,) str. noise_rate: estimated share of wrong labels, 0..1.
    suggested: (n,) int64, the label it should be where the verdict is wrong, else -1. suggestion_confidence: (n,) float64, 0..1,
    the probability of that label if the given one is wrong, NaN elsewhere. losses: (n, epochs) float32, held-out loss less the
    mean of its epoch (normalised). loss_ratios: (n,) held-out loss over the median of its class. neighbour_labels,
    neighbour_counts: (n,) int64, what most of the `neighbours` nearest labels say, and how many of them.
    """

    scores: np.ndarray
    verdicts: np.ndarray
    noise_rate: float
    suggested: np.ndarray
    suggestion_confidence: np.ndarray
    losses: np.ndarray
    loss_ratios: np.ndarray
    neighbour_labels: np.ndarray
    neighbour_counts: np.ndarray
    neighbours: int


def o2u_scores(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    keys: np.ndarray,
    seed: int = 0,
    folds: int = 6,
    cycles: int = 3,
    epochs_per_cycle: int = 6,
    minimum_per_class: int = 3,
) -> NoiseScores:
    """Find labels that are likely wrong.

    features: (n, d), frozen vectors of any length. labels: (n,) integers, -1 = masked. Classes with fewer than
    `minimum_per_class` labels are left out. keys: (n,) str, what names a row, no two alike; they deal the rows to folds. Result:
    NoiseScores, in the order of the rows; the order itself has no influence.
    Raises VectorError naming the first row that is not finite, LabelError when fewer than two classes can be judged.

    Source: O2U-Net (Huang, Qu, Jia and Zhao, ICCV 2019): pre-train, then cycles of the learning rate from high to low
    (equation 1), each label's loss less the mean loss of its epoch, averaged over all epochs of all cycles (equation 2).
    Departures: (1) losses are measured on held-out folds: a small head on frozen features memorises wrong labels and then can't
    tell them; (2) a head on features instead of a network on images; AdamW; rare classes weigh more; (3) the score adds
    ODDS_SHARE of the log odds of the best other class; (4) the share of wrong labels is estimated, not given; (5) a mixture
    of two normals, neighbours and that share make the verdict.
    """
    features, labels = _checked(features, labels)
    rows = _judged(labels, max(minimum_per_class, 2))
    order = rows[np.argsort(keys[rows], kind="stable")]
    classes, given = np.unique(labels[order], return_inverse=True)
    if len(classes) < 2:
        raise LabelError(
            f"labels of at least two classes, {minimum_per_class} or more of each, are needed; {len(classes)} such class is there"
        )
    unit = _centred_unit(features[order])
    raw, probabilities = held_out_losses(
        unit, given, len(classes), seed=seed, folds=min(folds, len(given)), cycles=cycles, epochs_per_cycle=epochs_per_cycle
    )
    losses = raw - raw.mean(axis=0)
    own, best_other, other = _own_and_best_other(probabilities, given)
    odds = np.log(best_other + 1e-6) - np.log(own + 1e-6)
    scores = losses.mean(axis=1, dtype=np.float64) + ODDS_SHARE * odds
    counts = votes(nearest(unit, NEIGHBOURS, reference_rows(keys[order])), given, len(classes))
    verdicts, rate = _verdicts(scores, odds, given, other, probabilities, counts)
    wrong = verdicts == WRONG
    confidence = np.clip(best_other / np.maximum(1 - own, 1e-6), 0, 1)

    def placed(values: np.ndarray, empty: object) -> np.ndarray:
        out = np.full((len(labels), *values.shape[1:]), empty, values.dtype)
        out[order] = values
        return out

    return NoiseScores(
        scores=placed(scores, np.nan),
        verdicts=placed(verdicts, ""),
        noise_rate=rate,
        suggested=placed(np.where(wrong, classes[other], -1), -1),
        suggestion_confidence=placed(np.where(wrong, confidence, np.nan), np.nan),
        losses=placed(losses, np.nan),
        loss_ratios=placed(_over_class_median(raw.mean(axis=1, dtype=np.float64), given), np.nan),
        neighbour_labels=placed(classes[counts.argmax(axis=1)], -1),
        neighbour_counts=placed(counts.max(axis=1).astype(np.int64), -1),
        neighbours=int(counts[0].sum()),
    )


def _verdicts(
    scores: np.ndarray, odds: np.ndarray, given: np.ndarray, other: np.ndarray, probabilities: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, float]:
    """(verdicts (n,), noise rate). Suspect: likelier of the upper than of the lower component of the score's mixture (its class's
    own and that of all; of all where labels are few), and another class fits better. `wrong`: suspects that neighbours don't
    defend (they speak for the given label more than for the other one), worst first, as many as the noise rate says; `hard`: the
    other suspects. The mixture alone accuses half of the labels where features are weak: hard labels have high losses as well."""
    overall = two_normals(scores).upper(scores)
    upper = overall.copy()
    sizes = np.bincount(given)
    for c in np.flatnonzero(sizes >= OWN_MIXTURE_LABELS):
        rows = np.flatnonzero(given == c)
        upper[rows] = (two_normals(scores[rows]).upper(scores[rows]) + overall[rows]) / 2
    n = np.arange(len(given))
    suspect = (upper > 0.5) & (odds > 0)
    verdicts = np.where(suspect, HARD, CLEAN).astype("<U5")
    rate = min(anchored_noise_rate(probabilities, given), float(suspect.mean()))
    accused = np.flatnonzero(suspect & (counts[n, given] <= counts[n, other]))
    accused = accused[np.argsort(-scores[accused], kind="stable")][: round(rate * len(given))]
    verdicts[accused] = WRONG
    return verdicts, rate


def anchored_noise_rate(probabilities: np.ndarray, given: np.ndarray) -> float:
    """Share of wrong labels, 0..1, from the rows whose class the heads are surest of (whatever the label says): where they are
    sure, what disagrees with them is wrong rather than hard.

    probabilities: (n, classes), held out. Of the surest 2, 5, 10, 20, 50 and 100% (ANCHORS_MIN rows at least) that set is taken
    whose share of disagreeing labels is lowest, one standard error added: few rows where features are weak, all where they are
    strong. Assumes that wrong labels are as frequent among easy rows as elsewhere. Idea: anchor points, Patrini et al. 2017,
    section 3.3.
    """
    best = given != probabilities.argmax(axis=1)
    disagree = best[np.argsort(-probabilities.max(axis=1), kind="stable")]
    rates = []
    for share in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0):
        rows = disagree[: max(min(ANCHORS_MIN, len(disagree)), int(share * len(disagree)))]
        rate = float(rows.mean())
        # one more row of each kind, so that no error of zero comes from a handful of rows
        smoothed = (rows.sum() + 1) / (len(rows) + 2)
        rates.append((rate + float(np.sqrt(smoothed * (1 - smoothed) / len(rows))), rate))
    return min(rates)[1]


def _own_and_best_other(probabilities: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probability of the given class, of the best other class, and which that is; (n,) each, float64."""
    n = np.arange(len(given))
    others = probabilities.astype(np.float64)
    own = others[n, given].copy()
    others[n, given] = -1
    other = others.argmax(axis=1)
    return own, others[n, other], other


def _checked(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features, labels = np.asarray(features, np.float32), np.asarray(labels)
    if features.ndim != 2 or labels.shape != (len(features),):
        raise VectorError(f"features must be (n, d) and labels (n,), got {features.shape} and {labels.shape}")
    bad = ~np.isfinite(features).all(axis=1)
    if bad.any():
        raise VectorError(f"features of row {bad.argmax()} hold NaN or an infinite value ({int(bad.sum())} such rows)")
    return features, labels.astype(np.int64)


def _judged(labels: np.ndarray, minimum: int) -> np.ndarray:
    """Rows that are not masked and whose class has `minimum` labels."""
    values, which, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return np.flatnonzero((labels >= 0) & (sizes[which] >= minimum)) if len(values) else np.zeros(0, np.int64)


def _centred_unit(features: np.ndarray) -> np.ndarray:
    """Rows less their mean, of length 1 (zeros stay zeros): (n, d) float32."""
    centred = features - features.mean(axis=0, dtype=np.float64).astype(np.float32)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, norms, out=np.zeros_like(centred), where=norms > 0)


def _over_class_median(losses: np.ndarray, given: np.ndarray) -> np.ndarray:
    order = np.argsort(given, kind="stable")
    medians = np.array([np.median(part) for part in np.split(losses[order], np.cumsum(np.bincount(given))[:-1])])
    return losses / np.maximum(medians[given], 1e-6)
