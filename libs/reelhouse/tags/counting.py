"""Frequent n-grams of a corpus and what is counted about them. Arrays only; one pass a length, Apriori pruning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from reelhouse.tags.forms import is_break


@dataclass(frozen=True, eq=False)
class Level:
    """The frequent n-grams of one length n. g of them; p places in the corpus."""

    ids: np.ndarray  # (p,) int64: which n-gram begins at a place of the corpus, -1 where none that is frequent
    first: np.ndarray  # (g,) int64: one place of each
    counts: np.ndarray  # (g,) int64


@dataclass(frozen=True, eq=False)
class NgramCounts:
    """What count_ngrams found. `levels[n - 1]` holds the n-grams of n tokens, up to maximum_tokens + 1."""

    words: list[str]  # sorted vocabulary
    corpus: np.ndarray  # (p,) int64: index into words, -1 for a break; documents are separated by a break
    document: np.ndarray  # (p,) int64: document of each place
    documents: int
    levels: list[Level]
    maximum_tokens: int

    def tokens_of(self, length: int) -> list[tuple[str, ...]]:
        """Tokens of each n-gram of `length`, in the order of its level."""
        places = self.levels[length - 1].first[:, None] + np.arange(length)  # (g, n)
        return [tuple(self.words[i] for i in row) for row in self.corpus[places].tolist()]


def count_ngrams(documents: Iterable[Sequence[str]], *, minimum_count: int, maximum_tokens: int) -> NgramCounts:
    """Count the n-grams of 1 to maximum_tokens + 1 tokens that occur at least minimum_count times.

    documents: token lists; a token without a letter or digit is a break that no n-gram reaches over. An n-gram is only
    counted where both its (n-1)-grams are frequent (Apriori), so the cost falls with its length. The result does not
    depend on the order of the documents (but `document` and `first` are positions in it).
    """
    words, corpus, document, number = _encoded(documents)
    levels: list[Level] = []
    for length in range(1, maximum_tokens + 2):
        keys = corpus if length == 1 else _extended(levels[-1], levels[0], length)
        levels.append(_level(keys, minimum_count))
    return NgramCounts(words, corpus, document, number, levels, maximum_tokens)


def _encoded(documents: Iterable[Sequence[str]]) -> tuple[list[str], np.ndarray, np.ndarray, int]:
    seen: dict[str, int] = {}
    places: list[np.ndarray] = []
    lengths: list[int] = []
    for tokens in documents:
        places.append(np.fromiter((-1 if is_break(t) else seen.setdefault(t, len(seen)) for t in (*tokens, "")), np.int64))
        lengths.append(len(places[-1]))
    words = sorted(seen)
    order = np.empty(len(seen) + 1, np.int64)  # by first sight -> alphabetical, so that the order of documents has no part in it
    order[[seen[w] for w in words]] = np.arange(len(words))
    order[-1] = -1
    corpus = order[np.concatenate(places)] if places else np.zeros(0, np.int64)
    return words, corpus, np.repeat(np.arange(len(lengths)), lengths), len(lengths)


def _extended(shorter: Level, single: Level, length: int) -> np.ndarray:
    """Key of the n-gram (n = length) at each place, from its first n-1 tokens and its last; -1 where it can't be frequent."""
    keys = np.full(len(shorter.ids), -1, np.int64)
    starts = len(keys) - (length - 1)
    if starts > 0:
        head, tail, last = shorter.ids[:starts], shorter.ids[1 : starts + 1], single.ids[length - 1 :]  # each (starts,)
        keys[:starts] = np.where((head >= 0) & (tail >= 0), head * len(single.counts) + last, -1)
    return keys


def _level(keys: np.ndarray, minimum_count: int) -> Level:
    there = np.flatnonzero(keys >= 0)
    _, first, inverse, counts = np.unique(keys[there], return_index=True, return_inverse=True, return_counts=True)
    kept = counts >= minimum_count
    renumbered = np.where(kept, np.cumsum(kept) - 1, -1)
    ids = np.full(len(keys), -1, np.int64)
    ids[there] = renumbered[inverse]
    return Level(ids, there[first][kept], counts[kept])
