"""Phrase mining after AutoPhrase: features of frequent n-grams, a quality score from known phrases.

Source: Shang, Liu, Jiang, Ren, Voss, Han, "Automated Phrase Mining from Massive Text Corpora", TKDE 2018 (sections named below),
and Liu et al., "Mining Quality Phrases from Massive Text Corpora", SIGMOD 2015, for the features.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from reelhouse.tags.counting import NgramCounts
from reelhouse.tags.forms import STOP_WORDS, joined

if TYPE_CHECKING:
    import pandas as pd

TREES = 200  # base classifiers; the paper takes 1000, votes settle to +-.03 at 200
DRAWN = 100  # K of section 4.1: positives and unlabelled candidates that each tree sees
POSITIVES_MIN = 10  # with fewer known phrases among the candidates trees only learn those by heart
EXAMPLES = 3

FEATURES = (
    "pmi", "pkl", "left_entropy", "right_entropy", "idf", "idf_minimum", "sub_completeness", "super_completeness",
    "stop_first", "stop_last", "stop_share", "length", "characters", "digit_share",
)  # fmt: skip


def score_phrases(counts: NgramCounts, known_phrases: Collection[str], *, seed: int, minimum_count: int) -> pd.DataFrame:
    """Phrases of two tokens or more that are there minimum_count times, with a quality score, best first.

    minimum_count: no less than that of the counts; what is rarer still shows how complete a phrase is. known_phrases: normal forms.
    Returns columns phrase, tokens (tuple), score in 0..1, count, document_count, features (dict), examples (first three
    documents). With fewer than ten known phrases among the candidates the score is unsupervised: the geometric mean of
    the ranks (0..1) of cohesion (pmi), freedom (the smaller branching entropy) and completeness, and 0 with a stop word at an edge.
    Ties go by count, then phrase. Neither the order of documents nor the hash seed of Python changes phrase, score or counts.

    Departures from AutoPhrase: no part-of-speech guided segmentation and so no re-estimated counts (section 4.2); no
    single-word phrases (section 4.4); sub- and super-phrase ratios stand in for its completeness by segmentation.
    """
    table = _candidates(counts, minimum_count)
    if len(table):
        matrix = table[list(FEATURES)].to_numpy(float)
        is_known = table["phrase"].isin(set(known_phrases)).to_numpy()
        table["score"] = _ensemble_votes(matrix, is_known, seed) if is_known.sum() >= POSITIVES_MIN else _unsupervised(table)
    else:
        table["score"] = np.zeros(0)
    table["features"] = table[list(FEATURES)].to_dict("records")
    table = table.sort_values(["score", "count", "phrase"], ascending=[False, False, True], kind="stable", ignore_index=True)
    return table[["phrase", "tokens", "score", "count", "document_count", "features", "examples"]]


def _candidates(counts: NgramCounts, minimum_count: int) -> pd.DataFrame:
    """One row a phrase, by phrase, with its features."""
    import pandas as pd

    parts = [_features(counts, n, minimum_count) for n in range(2, counts.maximum_tokens + 1)]
    filled = [part for part in parts if len(part)]
    return documents_of(counts, pd.concat(filled, ignore_index=True) if filled else parts[0])


def documents_of(counts: NgramCounts, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of n-grams (phrase, tokens, length, gram: index in its level, count) -> one row a phrase, by phrase, with
    document_count and examples (its first three documents).

    Two ways to cut one phrase become one row: counts add up, all else is that of the commoner.
    """
    table = table.sort_values(["phrase", "count", "tokens"], ascending=[True, False, True], kind="stable", ignore_index=True)
    number = (table["phrase"] != table["phrase"].shift()).cumsum().to_numpy(np.int64) - 1  # (rows,) index of the phrase
    kept = table.groupby(number, sort=True).head(1).reset_index(drop=True)
    pairs = [np.zeros(0, np.int64)]
    for length, rows in table.groupby("length").indices.items():
        level = counts.levels[int(length) - 1]
        phrase_of = np.full(len(level.counts) + 1, -1, np.int64)  # the last entry serves id -1
        phrase_of[table["gram"].to_numpy()[rows]] = number[rows]
        phrase = phrase_of[level.ids]
        pairs.append(phrase[phrase >= 0] * counts.documents + counts.document[phrase >= 0])
    phrase, document = np.divmod(np.unique(np.concatenate(pairs)), max(1, counts.documents))
    totals = np.bincount(phrase, minlength=len(kept))
    starts = np.cumsum(totals) - totals
    examples = [document[s : s + min(t, EXAMPLES)].tolist() for s, t in zip(starts.tolist(), totals.tolist(), strict=True)]
    count = np.bincount(number, table["count"], minlength=len(kept)).astype(np.int64)
    return kept.assign(count=count, document_count=totals, examples=examples)


def _features(counts: NgramCounts, length: int, minimum_count: int) -> pd.DataFrame:
    import pandas as pd

    level = counts.levels[length - 1]
    chosen = np.flatnonzero(level.counts >= minimum_count)
    all_tokens = counts.tokens_of(length)
    tokens = [all_tokens[i] for i in chosen.tolist()]
    phrases = [joined(t) for t in tokens]
    pmi, pkl = _concordance(counts, length)
    sub, over = _completeness(counts, length)
    idf = _idf(counts)[counts.corpus[level.first[:, None] + np.arange(length)]]  # (g, n)
    stops = np.array([[w in STOP_WORDS for w in t] for t in tokens], bool).reshape(-1, length)
    columns = {
        "phrase": phrases, "tokens": pd.Series(tokens, dtype=object), "gram": chosen, "length": length, "count": level.counts[chosen],
        "pmi": pmi[chosen], "pkl": pkl[chosen],
        "left_entropy": _branching(counts, length, -1)[chosen], "right_entropy": _branching(counts, length, length)[chosen],
        "idf": idf.mean(axis=1)[chosen], "idf_minimum": idf.min(axis=1)[chosen],
        "sub_completeness": sub[chosen], "super_completeness": over[chosen],
        "stop_first": stops[:, 0].astype(float), "stop_last": stops[:, -1].astype(float), "stop_share": stops.mean(axis=1),
        "characters": [float(len(p)) for p in phrases],
        "digit_share": [sum(c.isdigit() for c in p) / len(p) for p in phrases],
    }  # fmt: skip
    return pd.DataFrame(columns)


def _concordance(counts: NgramCounts, length: int) -> tuple[np.ndarray, np.ndarray]:
    """PMI and PKL of each n-gram over the split into two frequent parts that explains it best (Liu et al. 2015, eq. 1-3):
    <l, r> = argmin log p(v) / (p(l) p(r)); PMI is that value, PKL = p(v) * PMI. Probabilities are counts over tokens."""
    level, total = counts.levels[length - 1], max(1, int(np.sum(counts.corpus >= 0)))
    log_p = np.log(level.counts / total)  # (g,)
    best = np.full(len(level.counts), np.inf)
    for cut in range(1, length):
        left, right = counts.levels[cut - 1], counts.levels[length - cut - 1]
        left_count = left.counts[left.ids[level.first]]
        right_count = right.counts[right.ids[level.first + cut]]
        best = np.minimum(best, log_p - np.log(left_count / total) - np.log(right_count / total))
    return best, level.counts / total * best


def _completeness(counts: NgramCounts, length: int) -> tuple[np.ndarray, np.ndarray]:
    """(g,) count over that of the commoner (n-1)-gram inside it: low where it is a piece of chance in something common;
    (g,) 1 - the largest count of an (n+1)-gram around it over its own: low where it is a torn-off part of a longer phrase."""
    level, shorter, longer = counts.levels[length - 1], counts.levels[length - 2], counts.levels[length]
    inside = np.maximum(shorter.counts[shorter.ids[level.first]], shorter.counts[shorter.ids[level.first + 1]])
    around = np.zeros(len(level.counts), np.int64)
    for offset in (0, 1):
        np.maximum.at(around, level.ids[longer.first + offset], longer.counts)
    return level.counts / inside, 1 - around / level.counts


def _branching(counts: NgramCounts, length: int, offset: int) -> np.ndarray:
    """(g,) entropy (nats) of the token at `offset` from the n-gram's start; each break counts as a neighbour of its own kind."""
    level = counts.levels[length - 1]
    places = np.flatnonzero(level.ids >= 0)
    around = places + offset
    inside = (around >= 0) & (around < len(counts.corpus))
    neighbour = np.where(inside, counts.corpus[np.where(inside, around, 0)], -1)
    gram = level.ids[places]
    pairs, number = np.unique((gram * (len(counts.words) + 1) + neighbour)[neighbour >= 0], return_counts=True)
    share = number / level.counts[pairs // (len(counts.words) + 1)]
    entropy = np.bincount(pairs // (len(counts.words) + 1), -share * np.log(share), minlength=len(level.counts))
    breaks = np.bincount(gram[neighbour < 0], minlength=len(level.counts))
    return entropy + breaks / level.counts * np.log(level.counts)


def _idf(counts: NgramCounts) -> np.ndarray:
    """(words,) log(documents / documents with the word)."""
    there = counts.corpus >= 0
    pairs = np.unique(counts.corpus[there] * max(1, counts.documents) + counts.document[there])
    frequency = np.bincount(pairs // max(1, counts.documents), minlength=len(counts.words))
    return np.log(max(1, counts.documents) / np.maximum(frequency, 1))


def _ensemble_votes(matrix: np.ndarray, is_known: np.ndarray, seed: int) -> np.ndarray:
    """(n,) share of trees that call a candidate good (Shang et al. 2018, section 4.1, robust positive-only training).

    Each unpruned tree sees DRAWN known candidates and as many others, drawn with replacement; the few good phrases among
    the others differ from tree to tree and are outvoted. A known candidate is judged by trees that did not see it (departure:
    the paper lets them vote, which scores what is known by heart).
    """
    from sklearn.tree import DecisionTreeClassifier

    good, other = np.flatnonzero(is_known), np.flatnonzero(~is_known)
    if len(other) == 0:
        return np.ones(len(matrix))
    random = np.random.default_rng(seed)
    votes, judged = np.zeros(len(matrix)), np.zeros(len(matrix))
    labels = np.repeat([1, 0], DRAWN)
    for _ in range(TREES):
        drawn = np.concatenate([random.choice(good, DRAWN), random.choice(other, DRAWN)])
        tree = DecisionTreeClassifier(random_state=int(random.integers(2**31)), max_features="sqrt").fit(matrix[drawn], labels)
        unseen = np.ones(len(matrix), bool)
        unseen[drawn] = False
        votes += np.where(unseen, tree.predict(matrix), 0)
        judged += unseen
    return np.where(judged > 0, votes / np.maximum(judged, 1), is_known.astype(float))


def _unsupervised(table: pd.DataFrame) -> np.ndarray:
    freedom = table[["left_entropy", "right_entropy"]].min(axis=1)
    completeness = table[["sub_completeness", "super_completeness"]].min(axis=1)
    ranks = [values.rank(pct=True).to_numpy() for values in (table["pmi"], freedom, completeness)]
    edges_free = (table["stop_first"] + table["stop_last"] == 0).to_numpy()
    return np.cbrt(np.prod(ranks, axis=0)) * edges_free
