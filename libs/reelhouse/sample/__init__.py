"""A small world of drawn videos with known truth: to try Reelhouse on, and to see how much of what was planted it finds."""

from reelhouse.sample.score import Score, score_sample
from reelhouse.sample.truth import Truth
from reelhouse.sample.write import dates, make_sample

__all__ = ["Score", "Truth", "dates", "make_sample", "score_sample"]
