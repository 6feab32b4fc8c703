"""What a candidate must show before it becomes the champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reelhouse.sections import GateSettings
from reelhouse.training.champion import PASSED, PROMOTED, REFUSED

Outcome = Literal["held", "failed", "unsure", "too few rows"]


@dataclass(frozen=True)
class SliceFigures:
    """How a model does on a slice of the evaluation rows. accuracy, macro_recall in 0..1; log_loss in nats."""

    rows: int
    accuracy: float
    macro_recall: float
    log_loss: float


@dataclass(frozen=True)
class Comparison:
    """A candidate against the champion on a slice. candidate, champion: accuracy, 0..1. difference: of the first to the second,
    with the bootstrap interval (low, high). limit: the lowest difference that is let pass."""

    slice: str
    rows: int
    candidate: float
    champion: float
    difference: float
    low: float
    high: float
    limit: float
    outcome: Outcome

    def __str__(self) -> str:
        spread = f"{self.difference:+.3f}, {self.low:+.3f} to {self.high:+.3f}"
        return f"{self.slice} {self.candidate:.3f} against {self.champion:.3f} ({spread}, {self.outcome})"


@dataclass(frozen=True)
class Decision:
    """decision: promoted, passed (it waits for a person) or refused. reason: which gates held or failed, with figures."""

    decision: str
    reason: str


def compare(
    candidate: np.ndarray, champion: np.ndarray, slices: Mapping[str, np.ndarray], settings: GateSettings, seed: int
) -> list[Comparison]:
    """Both models on the same rows, slice by slice. candidate, champion: (n,) bool, whether the row was right. slices: name -> (n,) bool.

    The interval is the percentile bootstrap of the paired difference (Efron and Tibshirani 1993, chapter 13). A row's difference is
    -1, 0 or 1, so that drawing rows again is drawing the three counts from a multinomial distribution.
    """
    draw = np.random.default_rng(seed)
    return [_compare(name, candidate[rows], champion[rows], settings, draw) for name, rows in slices.items()]


def _compare(name: str, candidate: np.ndarray, champion: np.ndarray, settings: GateSettings, draw: np.random.Generator) -> Comparison:
    n = len(candidate)
    gained, lost = int((candidate & ~champion).sum()), int((champion & ~candidate).sum())
    counts = draw.multinomial(n, [gained / n, lost / n, 1 - (gained + lost) / n], size=settings.resamples)
    differences = (counts[:, 0] - counts[:, 1]) / n
    tail = (1 - settings.confidence) / 2
    low, high = (float(q) for q in np.quantile(differences, [tail, 1 - tail]))
    limits = {str(one): limit for one, limit in settings.drop_max_by_slice.items()}
    limit = -limits.get(name, settings.accuracy_drop_max)
    outcome: Outcome = "unsure"
    if name != "all" and n < settings.slice_rows_min:
        outcome = "too few rows"
    # a rounding error must not decide
    elif low >= limit - 1e-9:
        outcome = "held"
    elif high < limit - 1e-9:
        outcome = "failed"
    return Comparison(name, n, float(candidate.mean()), float(champion.mean()), (gained - lost) / n, low, high, limit, outcome)


def decide(
    candidate: Mapping[str, SliceFigures], compared: Sequence[Comparison] | None, baseline: float, settings: GateSettings
) -> Decision:
    """Promoted only if all gates hold. compared: the candidate against the champion; None where there is no champion.

    Against a champion no slice may fail, and of those where the interval leaves it open (`unsure`) settings.unsure says how they are
    taken. Without one: the accuracy on `all` is above `baseline`, the accuracy of always naming the most frequent class. Without
    evaluation rows nothing can be shown: refused.
    """
    everything = candidate.get("all")
    if everything is None or not everything.rows:
        return Decision(REFUSED, "there are no evaluation rows: nothing shows that the model is good")
    passed = PROMOTED if settings.promote else PASSED
    if compared is None:
        sign, verdict = (">", passed) if everything.accuracy > baseline else ("<=", REFUSED)
        return Decision(verdict, f"first model: accuracy {everything.accuracy:.3f} {sign} {baseline:.3f} of the most frequent class")
    against = [c for c in compared if not _passes(c, settings)]
    if against:
        return Decision(REFUSED, f"accuracy dropped by more than is let pass: {', '.join(map(str, against))}")
    return Decision(passed, f"accuracy held: {', '.join(str(c) for c in compared if c.outcome != 'too few rows')}")


def _passes(compared: Comparison, settings: GateSettings) -> bool:
    if compared.outcome == "unsure":
        return settings.unsure == "promote" or (settings.unsure == "estimate" and compared.difference >= compared.limit - 1e-9)
    return compared.outcome != "failed"
