"""Tags: phrases and patterns mined from texts, the library that people and miners make, tags found in videos."""

from reelhouse.tags.forms import joined, normal_form, tag_id
from reelhouse.tags.library import Proposal, Review, Tag, fold_library
from reelhouse.tags.matching import TagMatcher
from reelhouse.tags.patterns import find_by_patterns, mine_patterns
from reelhouse.tags.phrases import score_phrases

__all__ = [
    "Proposal", "Review", "Tag", "TagMatcher", "find_by_patterns", "fold_library", "joined", "mine_patterns", "normal_form",
    "score_phrases", "tag_id",
]  # fmt: skip
