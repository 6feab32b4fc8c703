import json

import pytest

from tests.benchmarks.__main__ import FIGURES, RESULTS, page
from tests.benchmarks.bars import is_met


@pytest.mark.parametrize(
    ("value", "bar", "met"),
    [
        (180.0, "at most 180", True),
        (180.01, "at most 180", False),
        ("61", "at most 60 s", False),
        (0.71, ">= 0.7", True),
        (0.69, ">= 0.7", False),
        (59.8, "<= 60", True),
        ("+0.0079 (at least -0.0036)", "lower bound at least -0.005", True),
        ("+0.0079 (at least -0.0065)", "lower bound at least -0.005", False),
        ("-0.0042 (at least -0.0095)", "at least -.005", True),
        ("-0.0052 (at least +0.0095)", "at least -.005", False),
        ("0.4300", "above 0.4300", False),
        ("0.4301", "above 0.4300", True),
        (2.4, "less than all vectors take (2.4 GB)", False),
        ("0.84", ".85 to .95", False),
        ("0.95", ".85 to .95", True),
        ("more than", "at most 20", False),
    ],
)
def test_a_figure_is_held_against_its_bar(value, bar, met):
    assert is_met(value, bar) is met


def test_a_bar_in_words_without_a_limit_is_refused():
    with pytest.raises(ValueError, match="quick enough"):
        is_met(1, "quick enough")


def test_the_page_says_which_bars_are_missed():
    rows = [{"name": "speed", "value": value, "unit": "s", "bar": "at most 4", "note": ""} for value in (3, 5)]
    shown = page({"daily": {"day": "2026-01-02", "machine": "m", "rows": rows}})
    assert "| speed | 3 s | at most 4 |  |" in shown
    assert "| speed | 5 s | at most 4: **missed** |  |" in shown
    assert shown.index("1 of 2 bars is missed") < shown.index("## daily")


def test_the_kept_page_is_made_from_the_kept_figures():
    assert RESULTS.read_text(encoding="utf-8") == page(json.loads(FIGURES.read_text(encoding="utf-8")))
