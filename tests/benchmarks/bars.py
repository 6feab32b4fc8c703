"""Whether a figure meets its bar, both as RESULTS.md words them."""

from __future__ import annotations

import operator
import re

NUMBER = re.compile(r"(?<![\w.])[-+]?\d*\.?\d+")
WORDS = {
    "at most": operator.le,
    "<=": operator.le,
    "less than": operator.lt,
    "at least": operator.ge,
    ">=": operator.ge,
    "above": operator.gt,
}


def is_met(value: object, bar: str) -> bool:
    """Of "+0.0079 (at least +0.0036)" the second number counts where the bar is of the lower bound, else the first; a value without any
    ("more than" a limit of time) meets nothing. ValueError for a bar in other words."""
    found, limits = ([float(number) for number in NUMBER.findall(str(text))] for text in (value, bar))
    if not found:
        return False
    words, shown = (bar.removeprefix("lower bound "), found[-1]) if bar.startswith("lower bound ") else (bar, found[0])
    if re.match(r"[\d.]+ to ", words) and len(limits) == 2:
        return limits[0] <= shown <= limits[1]
    for word, holds in WORDS.items():
        if words.startswith(word) and len(limits) == 1:
            return bool(holds(shown, limits[0]))
    raise ValueError(f"a bar that nobody can be held to: {bar!r}")
