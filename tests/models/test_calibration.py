import numpy as np
import pytest

from reelhouse.models.calibration import fit_temperature
from reelhouse.models.inference import softmax


def answered(temperature, rows=4000, seed=0):
    """Logits whose true probabilities are softmax(logits / temperature), and answers drawn from them."""
    draw = np.random.default_rng(seed)
    logits = draw.standard_normal((rows, 4)) * 3
    chosen = [draw.choice(4, p=p) for p in softmax(logits / temperature)]
    return logits, np.eye(4)[chosen]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_planted_temperature_is_found(temperature):
    assert fit_temperature(*answered(temperature)) == pytest.approx(temperature, rel=0.1)


def test_few_rows_leave_the_logits_as_they_are():
    logits, targets = answered(3.0, rows=29)
    assert fit_temperature(logits, targets) == 1.0
    assert fit_temperature(*(np.tile(x, (9, 1)) for x in (logits, np.full_like(targets, -1)))) == 1.0


def test_a_classifier_that_is_always_right_or_always_wrong_stays_within_bounds():
    logits = np.eye(4)[np.arange(100) % 4] * 5
    assert fit_temperature(logits, np.eye(4)[np.arange(100) % 4]) == pytest.approx(0.2, abs=0.01)
    assert fit_temperature(logits, np.eye(4)[(np.arange(100) + 1) % 4]) == pytest.approx(10.0, abs=0.5)
