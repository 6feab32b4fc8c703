"""What a model says in the classes of another day's label tree."""

from __future__ import annotations

import numpy as np
import pytest

from reelhouse.models.inference import in_classes, softmax


def test_classes_that_became_one_are_as_likely_as_both_and_unknown_ones_are_not_said() -> None:
    logits = np.log(np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]))
    found = in_classes(logits, ["cake", "cake", "pets"], ["pets", "sport", "cake"])
    assert softmax(found) == pytest.approx(np.array([[0.5, 0, 0.5], [0.1, 0, 0.9]]))
    assert np.isneginf(found[:, 1]).all()
    assert in_classes(logits, ["a", "b", "c"], ["b", "c", "a"]) == pytest.approx(logits[:, [1, 2, 0]])
