"""Clean one text: normal form, links, mentions, hashtags, platform noise. Linear in the length of the text."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
# format characters, variation selectors, blanks that only look empty, private use, noncharacters, the replacement character
_INVISIBLE = re.compile(
    "[\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\ufdd0-\ufdef\ue000-\uf8ff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
_BLANKS = re.compile(r"[^\S\n]+")
_OTHER_BLANKS = "\t\x0b\x0c\r\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # all of \s but " " and "\n"
_BLANKS_TOGETHER = ("  ", " \n", "\n ", "\n\n")
_LINE_ENDS = re.compile(r" ?\n\s*")
_NOT_LINK = r"\s<>\"'`,。!、;)】》」" + HAN
# bounded repeats and a fixed left edge keep every search linear
_LINK = re.compile(
    rf"(?:https?://|(?<![\w.])www\.)[^{_NOT_LINK}]+"
    rf"|(?<![\w.@-])(?:[a-z0-9][a-z0-9-]{{0,30}}\.){{1,3}}(?:com|cn|net|org|tv|me|ly|co|io|be|gg|gl|to)/[^{_NOT_LINK}]*",
    re.IGNORECASE,
)
_MENTION = re.compile(r"(?<![A-Za-z0-9._%+-])@(?:[^@#\n]{1,40}?\(O\d{5,12}\)|[^\s@#,。!?、;:()\[\]<>《》\"“”]{1,30})(?:\(O\d{5,12}\))?")
_TAG_END = r"\s#@,。!?、;:()\[\]【】<>《》\"“”「」|~"
_HASHTAGS = re.compile(rf"(?<!#)(?:(?<![A-Za-z0-9_&/])|(?=#++[{HAN}]))(?:#++[^{_TAG_END}]{{1,100}}+)++#*")
_HASHTAG = re.compile(rf"#+([^{_TAG_END}]{{1,100}})")
_LONE_HASH = re.compile(r"(?<![A-Za-z0-9])#+(?!\d)")
_SEGMENT = re.compile(r"([,。!?;、|~\n]+)")
_HAS_HAN = re.compile(f"[{HAN}]")
_ENDING = re.compile(r"^[\W_]+|[\W_]+$")
_LONGEST_MARKS = 4  # combining marks kept in a row: no writing system needs more, and sorting a long run is quadratic
_PASSES = 12  # taking one thing out can lay another bare; real texts settle in two passes


@dataclass(frozen=True)
class Noise:
    """Platform noise: phrases such as 感谢快手我要上热门 that say nothing of the video. A rule may begin or end with `*`."""

    rules: tuple[str, ...]
    _exact: frozenset[str] = field(init=False, repr=False, compare=False)
    _begins: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _ends: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _within: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _parts: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __init__(self, rules: Iterable[str] = ()) -> None:
        normal = tuple(sorted({r for r in (scrub(rule).lower().lstrip("#") for rule in rules) if r.strip("* ")}))
        object.__setattr__(self, "rules", normal)
        object.__setattr__(self, "_parts", tuple(r.strip("*") for r in normal))  # a text with none of them has no noise
        object.__setattr__(self, "_exact", frozenset(r for r in normal if "*" not in r))
        # kept apart, so that str's own search over many does the work: this is asked for every word
        open_before = [r for r in normal if r.startswith("*")]
        object.__setattr__(self, "_begins", tuple(r.strip("*") for r in normal if "*" in r and r not in open_before))
        object.__setattr__(self, "_ends", tuple(r.strip("*") for r in open_before if not r.endswith("*")))
        object.__setattr__(self, "_within", tuple(r.strip("*") for r in open_before if r.endswith("*")))

    def matches(self, tag: str) -> bool:
        """Whether the tag as a whole is noise; upper and lower case and the sign # do not matter."""
        name = tag.lstrip("#").lower()
        fits = name in self._exact or name.startswith(self._begins) or name.endswith(self._ends)
        return fits or any(part in name for part in self._within)

    @functools.cached_property
    def _anywhere(self) -> re.Pattern[str] | None:
        # a long Chinese rule can't be part of honest text, a short one (热门) can
        long = sorted((r for r in self._exact if len(r) >= 5 and _HAS_HAN.search(r)), key=lambda r: (-len(r), r))
        return re.compile("|".join(map(re.escape, long)), re.IGNORECASE) if long else None

    def take_out(self, text: str) -> str:
        """Text without noise: long Chinese rules anywhere, other Chinese ones between blanks or punctuation, the rest only
        where a stretch between punctuation holds nothing else (`this went viral` stays)."""
        lower = text.lower()
        if not any(part in lower for part in self._parts):
            return text
        if self._anywhere:
            text = self._anywhere.sub(" ", text)
        parts = _SEGMENT.split(text)
        for i in range(0, len(parts), 2):
            words = parts[i].split(" ")
            noisy = [bool(w) and self.matches(w) for w in words]
            if any(noisy):
                alone = all(n or not w for n, w in zip(noisy, words, strict=True))
                parts[i] = " ".join(w for n, w in zip(noisy, words, strict=True) if not n or not (alone or _HAS_HAN.search(w)))
        return "".join(parts)


@dataclass(frozen=True)
class CleanText:
    """`text` without links, mentions, hashtags and noise; `hashtags` that were in it, in order, without # and noise."""

    text: str
    hashtags: tuple[str, ...]


def scrub(text: str) -> str:
    """Normal form NFKC without control, invisible and private characters; one blank between words, line ends kept.

    Never raises on a str: lone surrogates and NUL are dropped. Emoji stay, without joiners and variation selectors.
    """
    if not _odd().search(text) and not any(b in text for b in _BLANKS_TOGETHER) and unicodedata.is_normalized("NFKC", text):
        return text.strip()  # as most texts are, and every text that was scrubbed before
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
        text = _INVISIBLE.sub("", text)
        text = unicodedata.normalize("NFKC", _long_marks().sub(r"\1", text))
        text = _INVISIBLE.sub("", text)
    text = _BLANKS.sub(" ", _CONTROL.sub(" ", text))
    return _LINE_ENDS.sub("\n", text).strip()


@functools.cache
def _odd() -> re.Pattern[str]:
    """Every character that scrub takes out, the marks of which it takes out some, and all old scripts beyond 16 bits: the regular
    expression engine looks ranges there up one after the other."""
    taken_out = "".join(pattern.pattern[1:-1] for pattern in (_CONTROL, _INVISIBLE))
    marks = "".join(mark for mark in _marks() if mark < "\U00010000")
    return re.compile(f"[{taken_out}{_OTHER_BLANKS}\ud800-\udfff{marks}\U00010000-\U0001efff]")


@functools.cache
def _long_marks() -> re.Pattern[str]:
    return re.compile(f"([{_marks()}]{{{_LONGEST_MARKS}}})[{_marks()}]+")


@functools.cache
def _marks() -> str:
    return "".join(chr(c) for c in range(0x300, min(sys.maxunicode, 0x1E950)) if unicodedata.combining(chr(c)))


def clean(text: str | None, noise: Noise, *, hashtags: Literal["take_out", "keep_words"] = "take_out") -> CleanText:
    """Clean one text. None gives the empty text. Idempotent on `.text`; linear in the length.

    hashtags: `take_out` removes them (captions), `keep_words` only takes the sign # off (titles: `Cooking #pasta` keeps
    its word). Either way they are collected. Digits alone (`#1`) and `C#` are no hashtags.
    """
    found: dict[str, None] = {}
    current = scrub(text or "")
    for _ in range(_PASSES if current else 0):
        before = current
        # a look for the one character that each needs spares most texts the long search
        if "/" in current or "." in current:
            current = _LINK.sub(" ", current)
        if "@" in current:
            current = _MENTION.sub(" ", current)
        if "#" in current:
            current = _HASHTAGS.sub(functools.partial(_collect, found=found, noise=noise, keep=hashtags == "keep_words"), current)
            current = _LONE_HASH.sub(" ", current)
        current = scrub(noise.take_out(current))
        if current == before:
            break
    return CleanText(current, tuple(found))


def _collect(chain: re.Match[str], *, found: dict[str, None], noise: Noise, keep: bool) -> str:
    words = []
    for raw in _HASHTAG.findall(chain.group()):
        tag = _ENDING.sub("", raw)
        if tag.isdecimal():
            return chain.group()
        if tag and not noise.matches(tag):
            found[tag] = None
            words.append(tag)
        elif not tag:
            words.append(raw)  # emoji behind a #: no tag, but part of the text
    return " " + " ".join(words) + " " if keep else " "


def clean_hashtags(delivered: Iterable[str | None], found: Iterable[str], noise: Noise) -> list[str]:
    """Delivered hashtags in their order, then those found in texts: cleaned, each once (case does not matter), no noise."""
    kept: dict[str, str] = {}
    for raw in [*delivered, *found]:
        tag = _ENDING.sub("", scrub(raw or "").replace("\n", " "))[:100].rstrip()
        if tag and not noise.matches(tag):
            kept.setdefault(tag.lower(), tag)
    return list(kept.values())
