"""Titles, captions, hashtags and speech of the sample's videos, in Chinese and English; meaningless titles too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reelhouse.sample.world import (
    CHINESE_CAPTIONS,
    CHINESE_SPEECH,
    CHINESE_TITLES,
    ENGLISH_CAPTIONS,
    ENGLISH_SPEECH,
    ENGLISH_TITLES,
    GENERIC,
    NOISE_TAGS,
    TOP_WORDS,
    Leaf,
)

# What a video's words give away: its class, its top class only, nothing at all; or it has no words.
TEXT_LEVELS = {"leaf": 0.60, "top": 0.20, "generic": 0.13, "none": 0.07}
MEANINGLESS, CHINESE, SPOKEN, ON_COVER = 0.10, 0.65, 0.5, 0.1
FAVOURITE = (0.6, 0.25, 0.15)  # how often a class's first, second, third phrase is used
MEANINGLESS_KINDS = ("file_name", "timestamp", "device_name", "emoji_run")


@dataclass(frozen=True)
class Text:
    """`level`: a key of TEXT_LEVELS. `title_kind`: plain, none, or one of MEANINGLESS_KINDS. `born`: the new phrase that it holds."""

    title: str | None
    caption: str | None
    hashtags: tuple[str, ...]
    asr_text: str | None
    cover_text: str | None
    level: str
    title_kind: str
    language: str
    born: str | None = None


def draw_text(leaf: Leaf, rng: np.random.Generator, *, must_speak: bool = False, born: str | None = None) -> Text:
    """Words for a video of a class. must_speak: no empty text and no meaningless title (for videos that have nothing else)."""
    level = list(TEXT_LEVELS)[rng.choice(len(TEXT_LEVELS), p=list(TEXT_LEVELS.values()))]
    chinese = bool(rng.random() < CHINESE) if born is None else not born.isascii()
    meaningless = rng.random() < MEANINGLESS
    if must_speak and (level == "none" or born):
        level = "leaf"
    if level == "none":
        return Text(None, None, (), None, None, "none", "none", "none")
    words = leaf.chinese if chinese else leaf.english
    likely = np.array(FAVOURITE[: len(words)]) / sum(FAVOURITE[: len(words)])
    first, second = (words[at] for at in rng.choice(len(words), size=2, replace=False, p=likely))
    text = _plain(leaf, level, first, second, chinese, born, rng)
    if meaningless and not must_speak:
        kind = MEANINGLESS_KINDS[rng.integers(len(MEANINGLESS_KINDS))]
        keeps = rng.random() < 0.4
        return Text(
            _meaningless(kind, rng), text.caption if keeps else None, text.hashtags if keeps else (), None, None,
            level if keeps else "none", kind, text.language if keeps else "none",
        )  # fmt: skip
    return text


def _plain(leaf: Leaf, level: str, first: str, second: str, chinese: bool, born: str | None, rng: np.random.Generator) -> Text:
    titles, captions, speech = (
        (CHINESE_TITLES, CHINESE_CAPTIONS, CHINESE_SPEECH) if chinese else (ENGLISH_TITLES, ENGLISH_CAPTIONS, ENGLISH_SPEECH)
    )
    hashtags = []
    if level == "leaf":
        named = born or first
        title = _pick(titles, rng).format(p=named)
        caption = _pick(captions, rng).format(p=first, q=second)
        said = _pick(speech, rng).format(p=named, q=second)
        hashtags = [tag for tag in (born, first, second) if tag and (tag == born or rng.random() < 0.6)]
    else:
        pool = TOP_WORDS[leaf.top] if level == "top" else GENERIC
        fitting = [phrase for phrase in pool if phrase.isascii() != chinese] or list(pool)
        title, caption, said = _pick(fitting, rng), _pick(fitting, rng), _pick(GENERIC, rng)
    if rng.random() < 0.3:
        hashtags.append(_pick(NOISE_TAGS, rng))
    if hashtags:
        caption += " " + " ".join(f"#{tag}" for tag in hashtags)
    return Text(
        title=title,
        caption=caption,
        hashtags=tuple(hashtags),
        asr_text=said if rng.random() < SPOKEN else None,
        cover_text=title if rng.random() < ON_COVER else None,
        level=level,
        title_kind="plain",
        language="zh" if chinese else "en",
        born=born,
    )


def _meaningless(kind: str, rng: np.random.Generator) -> str:
    number, hour, minute, second = (int(rng.integers(high)) for high in (9000, 24, 60, 60))
    clock = f"{hour:02d}{minute:02d}{second:02d}"
    forms = {
        "file_name": (
            f"VID_20260101_{clock}.mp4", f"IMG_{1000 + number}.MOV", f"mmexport1767{1000 + number}{clock[1:]}.mp4",
            f"DJI_{number:04d}.MP4", f"微信视频20260101{clock}.mp4",
        ),
        "timestamp": (
            f"2026-01-01 {hour:02d}:{minute:02d}:{second:02d}", f"20260101_{clock}",
            f"2026年1月1日 {hour:02d}:{minute:02d}", f"2026/01/01 {hour:02d}.{minute:02d}",
        ),
        "device_name": ("iPhone 13 Pro", "HUAWEI Mate 60", "Redmi Note 12", "SM-G9910"),
        "emoji_run": ("😂😂😂😂", "🔥🔥❤️❤️", "🎉🎉🎉", "👍👍👍👍👍"),
    }  # fmt: skip
    return _pick(forms[kind], rng)


def _pick(values: tuple[str, ...] | list[str], rng: np.random.Generator) -> str:
    return values[rng.integers(len(values))]
