import datetime as dt

import numpy as np
import pandas as pd
import pytest

from reelhouse.training.evaluation import figures_of, majority_accuracy, slices_of

DAYS = {"a": dt.date(2026, 1, 1), "b": dt.date(2026, 1, 1), "c": dt.date(2026, 1, 2), "d": dt.date(2026, 1, 3), "e": dt.date(2026, 1, 3)}


def scored():
    return pd.DataFrame(
        {
            "video_id": list("abcde"),
            "truth": [0, 0, 1, 2, 2],
            "right": [True, False, True, True, False],
            "log_loss": [0.1, 2.0, 0.3, 0.2, 3.0],
            "has_visual": [True] * 5,
            "has_audio": [False] * 5,
            "has_text": [True, False, True, True, False],
            "is_random": [False, True, False, True, False],
        }
    )


def test_slices_by_hand():
    slices = slices_of(scored(), [50, 3, 10], DAYS)
    assert {name: "".join(np.array(list("abcde"))[rows]) for name, rows in slices.items()} == {
        "all": "abcde", "head": "ab", "mid": "de", "tail": "c", "without_text": "be", "newest": "de", "random": "bd",
    }  # fmt: skip


def test_without_all_first_days_and_without_rows_slices_are_left_out():
    assert "newest" not in slices_of(scored(), [1, 1, 1], {"a": DAYS["a"]})
    assert "newest" not in slices_of(scored(), [1, 1, 1], dict.fromkeys("abcde", DAYS["a"]))
    assert slices_of(scored().iloc[:0], [1, 1, 1], {}) == {}
    assert "random" not in slices_of(scored().assign(is_random=False), [1, 1, 1], DAYS)
    assert slices_of(scored().assign(is_random=True), [1, 1, 1], DAYS)["random"].all(), "that all are drawn at random is worth knowing"


def test_two_classes_have_a_head_and_a_middle():
    rows = scored().assign(truth=[0, 0, 1, 1, 1])
    assert {n: int(r.sum()) for n, r in slices_of(rows, [1, 5], {}).items() if n in ("head", "mid", "tail")} == {"head": 3, "mid": 2}


def test_figures_by_hand():
    figures = figures_of(scored(), {"all": np.ones(5, bool), "some": np.array([1, 1, 0, 0, 0], bool)})
    assert figures["all"].rows == 5
    assert figures["all"].accuracy == pytest.approx(0.6)
    assert figures["all"].macro_recall == pytest.approx((0.5 + 1 + 0.5) / 3)
    assert figures["all"].log_loss == pytest.approx(5.6 / 5)
    assert figures["some"].accuracy == 0.5


def test_majority_accuracy_counts_rows_with_a_yes_only():
    targets = np.array([[1, 0], [0, 1], [0, 1], [0, -1]], np.float32)
    assert majority_accuracy(targets, [3, 9]) == pytest.approx(2 / 3)
    assert majority_accuracy(targets[:0], [3, 9]) == 0.0
