"""The plan of a sample: which videos there are, what they say and what is planted, drawn from a seed. No file is written here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from reelhouse.sample.clips import Clip
from reelhouse.sample.texts import Text, draw_text
from reelhouse.sample.world import BORN, ITEMS, LEAVES, Leaf

FIRST_DAY = date(2026, 1, 1)
SIZES = ((320, 240), (240, 320), (320, 180), (180, 320), (256, 256), (426, 240), (240, 426))
TRANSFORMS = ("reencoded", "scaled", "brighter", "bordered")
DAMAGES = ("truncated", "not_a_video", "zero_byte", "missing")

# Shares of all videos.
COPIES, BROKEN, TEXT_ONLY = 0.08, 0.03, 0.04
# Shares of the originals.
OFF_SCENE, OFF_SOUND, SILENT, ROTATED, OVERLAID = 0.10, 0.10, 0.08, 0.12, 0.35
FIRST_DAY_SHARE = 0.5
BORN_VIDEOS = 8


@dataclass(frozen=True)
class Video:
    """One video of the sample and the truth about it. `kind`: original, copy, broken or text_only."""

    video_id: str
    day: int
    leaf: Leaf
    kind: str
    clip: Clip | None
    text: Text
    author_id: str
    published_at: datetime
    item_ids: tuple[str, ...]
    copy_of: str | None = None
    transform: str | None = None
    damage: str | None = None

    @property
    def file(self) -> str | None:
        return None if self.kind == "text_only" else f"media/{self.video_id}.mp4"


@dataclass(frozen=True)
class Plan:
    videos: tuple[Video, ...]
    days: int
    seed: int
    # (day, video_id): rows of the first day that are delivered again as they were, and with a corrected title
    repeated: tuple[tuple[int, str], ...] = field(default=())
    corrected: tuple[tuple[int, str], ...] = field(default=())

    def date(self, day: int) -> date:
        return FIRST_DAY + timedelta(days=day)

    @property
    def by_id(self) -> dict[str, Video]:
        return {v.video_id: v for v in self.videos}


def make_plan(videos: int, days: int, seed: int) -> Plan:
    """A plan with about `videos` videos over `days` days; the same arguments give the same plan. Wants at least 12 videos."""
    if videos < 12 or days < 1:
        raise ValueError(f"a sample needs at least 12 videos and 1 day, got {videos} and {days}")
    rng = np.random.default_rng([seed, 1])
    copies, broken, text_only = max(1, round(COPIES * videos)), max(2, round(BROKEN * videos)), max(1, round(TEXT_ONLY * videos))
    firsts = videos - copies
    leaves = _long_tail(firsts, rng)
    special = dict.fromkeys(rng.permutation(firsts)[: broken + text_only].tolist(), "text_only")
    for at in list(special)[:broken]:
        special[at] = "broken"
    drawn = [
        _video(number, firsts, days, leaf, special.get(number, "original"), rng) for number, leaf in enumerate(leaves)
    ]  # in order of day
    breaks = iter(DAMAGES[k % len(DAMAGES)] for k in range(broken))
    drawn = [replace(v, damage=next(breaks)) if v.kind == "broken" else v for v in drawn]
    drawn = _with_born_phrases(drawn, days, rng)
    drawn += _copies(drawn, copies, days, firsts, rng)
    plain = [v for v in drawn if v.day == 0 and v.kind == "original" and v.text.title_kind == "plain"]
    repeated = tuple((1, v.video_id) for v in plain[:3]) if days > 1 else ()
    corrected = tuple((days - 1, v.video_id) for v in plain[3:5]) if days > 1 else ()
    return Plan(tuple(sorted(drawn, key=lambda v: (v.day, v.video_id))), days, seed, repeated, corrected)


def _long_tail(count: int, rng: np.random.Generator) -> list[Leaf]:
    """A class for each video, by the classes' weights (largest remainders), each class once if there is room; shuffled."""
    weights = np.array([leaf.weight for leaf in LEAVES])
    share = count * weights / weights.sum()
    counts = np.maximum(np.floor(share).astype(int), 1 if count >= 3 * len(LEAVES) else 0)
    for at in np.argsort(-(share - np.floor(share)), kind="stable"):
        if counts.sum() < count:
            counts[at] += 1
    while counts.sum() > count:
        counts[counts.argmax()] -= 1
    chosen = [leaf for leaf, n in zip(LEAVES, counts, strict=True) for _ in range(n)]
    chosen += [LEAVES[0]] * (count - len(chosen))
    return [chosen[at] for at in rng.permutation(count)]


def _video(number: int, total: int, days: int, leaf: Leaf, kind: str, rng: np.random.Generator) -> Video:
    first = round(FIRST_DAY_SHARE * total) if days > 1 else total
    day = 0 if number < first else 1 + (number - first) * (days - 1) // (total - first)
    text = draw_text(leaf, rng, must_speak=kind == "text_only")
    items = [f"{leaf.top}-{k}" for k in range(len(ITEMS[leaf.top]))]
    return Video(
        video_id=f"v{number + 1:04d}",
        day=day,
        leaf=leaf,
        kind=kind,
        clip=None if kind == "text_only" else _clip(leaf, text, rng),
        text=text,
        author_id=f"author{rng.integers(1, 41):02d}",
        published_at=_moment(day, rng),
        item_ids=(items[rng.integers(len(items))],) if rng.random() < 0.35 else (),
    )


def _clip(leaf: Leaf, text: Text, rng: np.random.Generator) -> Clip:
    width, height = SIZES[rng.integers(len(SIZES))]
    scene = leaf.scene if rng.random() >= OFF_SCENE else _other(leaf, rng).scene
    sound: str | None = leaf.sound if rng.random() >= OFF_SOUND else _other(leaf, rng).sound
    if rng.random() < SILENT:
        sound = None
    speaks = text.level != "none" and rng.random() < OVERLAID
    words = leaf.english[rng.integers(len(leaf.english))] if text.level == "leaf" else "WATCH THIS"
    return Clip(
        scene=scene,
        sound=sound,
        width=width,
        height=height,
        fps=(10, 12, 15)[rng.integers(3)],
        seconds=round(float(np.clip(rng.gamma(2.5, 1.3), 2, 8)), 1),
        rotation=(90, 180, 270)[rng.integers(3)] if rng.random() < ROTATED else 0,
        overlay=words.upper() if speaks else None,
        seed=int(rng.integers(2**31)),
    )


def _other(leaf: Leaf, rng: np.random.Generator) -> Leaf:
    """A class that this one is confused with: of the same top class, if it has another."""
    near = [other for other in LEAVES if other.top == leaf.top and other is not leaf]
    return near[rng.integers(len(near))]


def _moment(day: int, rng: np.random.Generator) -> datetime:
    start = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC) + timedelta(days=day)
    return start + timedelta(seconds=int(rng.integers(6 * 3600, 22 * 3600)))


def _with_born_phrases(videos: list[Video], days: int, rng: np.random.Generator) -> list[Video]:
    """Give videos of the last day the phrases that are born then; with one day alone nothing is new."""
    if days == 1:
        return videos
    changed = {v.video_id: v for v in videos}
    for phrase, users in BORN.items():
        free = [v for v in videos if v.day == days - 1 and v.kind != "broken" and v.leaf.id in users and changed[v.video_id] is v]
        for video in free[:BORN_VIDEOS]:
            text = draw_text(video.leaf, rng, must_speak=True, born=phrase)
            changed[video.video_id] = replace(video, text=text)
    return [changed[v.video_id] for v in videos]


def _copies(videos: list[Video], count: int, days: int, firsts: int, rng: np.random.Generator) -> list[Video]:
    """Near-copies of originals: every other one on the same day, the rest on a later day; some keep the text, some don't."""
    sources = [v for v in videos if v.kind == "original" and v.clip is not None and v.clip.rotation == 0]
    found = []
    for k, at in enumerate(rng.permutation(len(sources))[:count]):
        source = sources[at]
        day = source.day if k % 2 == 0 or source.day == days - 1 else int(rng.integers(source.day + 1, days))
        keeps = rng.random() < 0.5
        found.append(
            replace(
                source,
                video_id=f"v{firsts + k + 1:04d}",
                day=day,
                kind="copy",
                text=source.text if keeps else draw_text(source.leaf, rng),
                author_id=f"author{rng.integers(41, 61):02d}",
                published_at=_moment(day, rng),
                copy_of=source.video_id,
                transform=TRANSFORMS[k % len(TRANSFORMS)],
            )
        )
    return found
