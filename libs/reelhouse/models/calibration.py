"""Temperature of a classifier, fitted on rows that it was not trained on."""

from __future__ import annotations

import numpy as np
import torch

from reelhouse.models.losses import partial_cross_entropy, says_something

# With fewer rows the fitted temperature is mostly noise (its standard error is about 1/sqrt(n)).
ROWS_MIN = 30
_BOUNDS = (0.2, 10.0)
_GOLDEN = (5**0.5 - 1) / 2


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """The temperature within 0.2..10 with the least mean cross-entropy of softmax(logits / T). logits, targets: (n, c).

    1.0 with fewer than 30 rows that say something. Source: Guo et al. 2017, section 4.2.
    """
    scores, answers = torch.as_tensor(logits, dtype=torch.float64), torch.as_tensor(targets, dtype=torch.float64)
    if len(answers) < ROWS_MIN or int(says_something(answers).sum()) < ROWS_MIN:
        return 1.0

    def cost(factor: float) -> float:
        return float(partial_cross_entropy(scores * factor, answers).mean())

    # golden section over 1/T, in which the cost of rows with one yes is convex
    low, high = 1 / _BOUNDS[1], 1 / _BOUNDS[0]
    while high - low > 1e-4:
        step = (high - low) * _GOLDEN
        low, high = (low, low + step) if cost(high - step) <= cost(low + step) else (high - step, high)
    return 2 / (low + high)
