"""Words of a text and its language. jieba cuts Chinese; everything else is lower-cased words."""

from __future__ import annotations

import functools
import re
import warnings
from typing import Any, Literal

from reelhouse.text.cleaning import HAN

Language = Literal["zh", "en", "mixed", "none"]

_HAN = re.compile(f"[{HAN}]")
_LATIN_WORD = re.compile(r"[a-zà-öø-ÿāăąćčđēęěğīıłńňōőœřśşšţťūůźżžə']{1,100}", re.IGNORECASE)
# marks that belong to letters in Latin, Arabic, Hebrew, Indic and Thai writing
_MARKS = "\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
# a run with Chinese in it (T恤, 5G手机) goes to jieba whole; else a word: with inner apostrophe or hyphen, or a decimal number
_RUN = re.compile(rf"[{HAN}a-z0-9]*[{HAN}][{HAN}a-z0-9]*|\d+(?:[.,]\d+)+|[^\W_](?:[^\W_]|[{_MARKS}]|['’-](?=[^\W_]))*")
_MIXED_SHARE = 0.2  # below this share of the units the smaller language does not count


@functools.cache
def _jieba() -> Any:
    """jieba's cutter, loaded once a process. Its own loader leaves a cache in the system's temporary folder; this one does not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba imports pkg_resources
        import jieba

    cutter = jieba.Tokenizer()
    cutter.FREQ, cutter.total = cutter.gen_pfdict(cutter.get_dict_file())
    for word in [w for w in cutter.FREQ if not w.islower() and w.lower() != w]:  # T恤: texts come here in lower case
        for end in range(1, len(word) + 1):
            cutter.FREQ.setdefault(word[:end].lower(), cutter.FREQ[word] if end == len(word) else 0)
    cutter.initialized = True
    return cutter


def tokenize(text: str) -> list[str]:
    """Words in order, lower-cased; punctuation, symbols and emoji left out.

    A run of Chinese characters (with Latin letters and digits inside it) is cut by jieba with its hidden-Markov guesses
    for unknown words; other scripts give the words between blanks and punctuation.
    """
    words: list[str] = []
    for run in _RUN.findall(_split_words(text.lower())):
        if has_chinese(run):
            words.extend(_jieba().lcut(run))
        else:
            words.append(run)
    return words


_GLUED = re.compile(rf"(?<=[^\W_a-z0-9])(?<![{HAN}])(?=[{HAN}])")


def _split_words(text: str) -> str:
    # letters beyond a-z (é, kana) never join a Chinese run
    return _GLUED.sub(" ", text) if not text.isascii() else text


def has_chinese(text: str) -> bool:
    return _HAN.search(text) is not None


def language_of(text: str) -> Language:
    """zh, en (any Latin script), mixed, or none; counted in Chinese characters against Latin words."""
    chinese, latin = len(_HAN.findall(text)), len(_LATIN_WORD.findall(text))
    if chinese + latin == 0:
        return "none"
    share = chinese / (chinese + latin)
    if share >= 1 - _MIXED_SHARE:
        return "zh"
    return "en" if share <= _MIXED_SHARE else "mixed"


def segments(text: str, tokens: list[str]) -> list[tuple[int, list[str]]]:
    """Tokens of `text` cut where more than a blank stands between two: (index of the first token, tokens).

    A phrase never reaches over such a cut. `tokens` must be tokenize(text); one that is not found in the text starts a segment.
    """
    lower, at = text.lower(), 0
    parts: list[tuple[int, list[str]]] = []
    for index, token in enumerate(tokens):
        start = lower.find(token, at)
        between = lower[at:start] if start >= 0 else "\n"
        if not parts or between not in ("", " "):
            parts.append((index, [token]))
        else:
            parts[-1][1].append(token)
        at = start + len(token) if start >= 0 else at
    return parts
