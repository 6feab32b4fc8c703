"""Composition patterns learned from known tags: `<cjk> 同款`, `how to <latin>`. One slot, the rest literal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from reelhouse.tags.counting import NgramCounts
from reelhouse.tags.forms import STOP_WORDS, joined
from reelhouse.tags.phrases import documents_of
from reelhouse.text import tokenize
from reelhouse.text.tokens import has_chinese

if TYPE_CHECKING:
    import pandas as pd

SUPPORT_MIN = 3  # known tags that must follow a pattern: two may be chance
PRECISION_MIN = 0.1  # share of a pattern's phrases in the corpus that must be known: the known ones are a small part of the good ones


def word_class(token: str) -> str:
    """<cjk>, <number> or <latin> (every other script)."""
    if has_chinese(token):
        return "<cjk>"
    return "<number>" if token[0].isdigit() and not any(c.isalpha() for c in token) else "<latin>"


def generalised(tokens: Sequence[str]) -> Iterator[str]:
    """Each way to make one token a slot, where the slot is no stop word and some literal is none either."""
    for slot, token in enumerate(tokens):
        rest = [*tokens[:slot], *tokens[slot + 1 :]]
        if token not in STOP_WORDS and any(t not in STOP_WORDS for t in rest):
            yield " ".join([*tokens[:slot], word_class(token), *tokens[slot + 1 :]])


def mine_patterns(counts: NgramCounts, known_phrases: Collection[str]) -> pd.DataFrame:
    """Patterns that known tags follow and whose phrases in the corpus are often known.

    known_phrases: normal forms; those of one token teach nothing. Returns pattern, support (known tags that follow it), matches
    (different frequent n-grams of the corpus that follow it) and precision (share of those that are known), by
    precision, support, pattern. A pattern that the corpus never follows is left out.
    """
    import pandas as pd

    support = Counter(p for phrase in set(known_phrases) for p in set(generalised(tokenize(phrase))))
    wanted = {pattern for pattern, number in support.items() if number >= SUPPORT_MIN}
    matched: dict[str, set[str]] = {pattern: set() for pattern in wanted}
    for _, _, tokens in _ngrams(counts):
        for pattern in wanted.intersection(generalised(tokens)):
            matched[pattern].add(joined(tokens))
    known = set(known_phrases)
    rows = [(p, support[p], len(found), len(found & known) / len(found)) for p, found in matched.items() if found]
    table = pd.DataFrame([r for r in rows if r[3] >= PRECISION_MIN], columns=["pattern", "support", "matches", "precision"])
    return table.sort_values(["precision", "support", "pattern"], ascending=[False, False, True], ignore_index=True)


def find_by_patterns(counts: NgramCounts, patterns: pd.DataFrame, leave_out: Collection[str]) -> pd.DataFrame:
    """Phrases of the corpus that follow a pattern and are not in `leave_out`, best first.

    Columns as of score_phrases, and pattern. score: of its patterns the largest (known + 1) / (matches + 2), so that a pattern
    with few matches is trusted less; ties go to the first pattern by name.
    """
    import pandas as pd

    trust = {
        row.pattern: ((row.precision * row.matches + 1) / (row.matches + 2), row.precision, row.support)
        for row in patterns.itertuples(index=False)
    }
    left_out, rows = set(leave_out), []
    for length, gram, tokens in _ngrams(counts):
        phrase = joined(tokens)
        fitting = trust.keys() & set(generalised(tokens))
        if fitting and phrase not in left_out:
            best = min(fitting, key=lambda p: (-trust[p][0], p))
            score, precision, support = trust[best]
            rows.append((phrase, tokens, length, gram, int(counts.levels[length - 1].counts[gram]), score, best, precision, support))
    table = pd.DataFrame(rows, columns=["phrase", "tokens", "length", "gram", "count", "score", "pattern", "precision", "support"])
    kept = documents_of(counts, table)
    kept["features"] = [{"precision": float(p), "support": float(s)} for p, s in zip(kept["precision"], kept["support"], strict=True)]
    kept = kept.sort_values(["score", "count", "phrase"], ascending=[False, False, True], kind="stable", ignore_index=True)
    return kept[["phrase", "tokens", "score", "count", "document_count", "features", "examples", "pattern"]]


def _ngrams(counts: NgramCounts) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    for length in range(2, counts.maximum_tokens + 1):
        for gram, tokens in enumerate(counts.tokens_of(length)):
            yield length, gram, tokens
