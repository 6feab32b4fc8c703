"""Mine phrases and patterns from all current texts and fold them into the tag library.

Reads   silver.video_text (as of the day), bronze.tag_reviews (up to the day), gold.tag_library (the day before),
        the label tree's names and the file tags.known_phrases
Writes  gold.tag_candidates, gold.tag_patterns, gold.tag_library (the whole library), one day each, replaced whole
Rerun   safe: the same inputs give the same rows
Launch  reelhouse job mine_tags --date 2026-01-02
"""

import datetime as dt
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pyspark.sql import Row

from reelhouse import tables
from reelhouse.errors import SettingsError
from reelhouse.run import Run
from reelhouse.sections import TagSettings
from reelhouse.tags import Proposal, Review, Tag, find_by_patterns, fold_library, mine_patterns, normal_form, score_phrases
from reelhouse.tags.counting import count_ngrams
from reelhouse.tags.frames import documents, hashtag_videos
from reelhouse.tags.library import last_decisions, tags_of

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
KNOWN_VIDEOS = 2  # a hashtag on so many videos counts as a known phrase
ACTIVE_VIDEOS = 3  # a hashtag on so many videos (or tags.minimum_count, if that is less) becomes an active tag


def inputs(run: Run) -> dict[str, str]:
    given = "\n".join(_known_file(run.settings.tags))
    return {"taxonomy category": run.taxonomy("category").version, "known phrases": hashlib.sha256(given.encode()).hexdigest()[:16]}


def build(
    rows: Iterable[Row], known_phrases: set[str], settings: TagSettings, *, seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of gold.tag_candidates and gold.tag_patterns (without data_date) from documents (video_id, tokens; see tags.frames)."""
    held = list(rows)
    floor = max(2, (settings.minimum_count + 1) // 2)  # a pattern vouches for phrases too rare to be scored alone
    counts = count_ngrams((row["tokens"] for row in held), minimum_count=floor, maximum_tokens=settings.maximum_tokens)
    phrases = score_phrases(counts, known_phrases, seed=seed, minimum_count=settings.minimum_count)
    patterns = mine_patterns(counts, known_phrases)
    further = find_by_patterns(counts, patterns, leave_out=[*phrases["phrase"], *known_phrases])
    ids = [row["video_id"] for row in held]
    found = _candidates(phrases, "phrases", ids) + _candidates(further, "patterns", ids)
    found.sort(key=lambda c: (-c["score"], -c["count"], c["phrase"], c["miner"]))
    return found[: settings.daily_candidates], patterns.to_dict("records")


def _candidates(table: "pd.DataFrame", miner: str, video_ids: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "phrase": row["phrase"], "score": float(row["score"]), "count": int(row["count"]), "document_count": int(row["document_count"]),
            "miner": miner, "pattern": row.get("pattern"), "features": {k: float(v) for k, v in row["features"].items()},
            "example_video_ids": [video_ids[i] for i in row["examples"]],
        }
        for row in table.to_dict("records")
    ]  # fmt: skip


def next_library(
    previous: list[Tag],
    candidates: list[dict[str, Any]],
    hashtags: dict[str, int],
    reviews: list[Review],
    settings: TagSettings,
    day: dt.date,
) -> list[Tag]:
    frequent = min(ACTIVE_VIDEOS, settings.minimum_count)
    proposals = [Proposal(tag, None, "hashtag") for tag, videos in hashtags.items() if videos >= frequent]
    proposals += [Proposal(c["phrase"], c["score"], c["miner"]) for c in candidates]
    return fold_library(previous, proposals, reviews, day=day, score_min=settings.score_min)


def known(hashtags: dict[str, int], names: Iterable[str], reviews: list[Review]) -> set[str]:
    """Normal forms that count as good phrases: hashtags, given names, what people accepted, less what they turned down."""
    decided = last_decisions(reviews)
    good = set(hashtags) | {normal_form(name) for name in names} | {p for p, state in decided.items() if state == "active"}
    return good - {p for p, state in decided.items() if state != "active"} - {""}


def _known_file(settings: TagSettings) -> list[str]:
    if not settings.known_phrases:
        return []
    try:
        return Path(settings.known_phrases).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"the file of known phrases {settings.known_phrases} (tags.known_phrases) can't be read as UTF-8 text: {error}. "
            "Give a file with one phrase a line, or leave the setting empty."
        ) from error


def main(run: Run) -> None:
    settings, texts = run.settings.tags, run.current(tables.VIDEO_TEXT)
    for name, value in inputs(run).items():
        run.input(name, value)
    tree = run.taxonomy("category")
    hashtags = hashtag_videos(texts, KNOWN_VIDEOS, settings.texts_max)
    if len(hashtags) == settings.texts_max:
        run.note(f"tags.texts_max: only {len(hashtags)} hashtags count as known phrases, those on most videos")
    told = _held(run.upto(tables.TAG_REVIEWS).limit(settings.library_max + 1).collect(), tables.TAG_REVIEWS, settings)
    reviews = [Review(r.event_id, r.phrase, r.decision, r.reviewed_at) for r in told]
    phrases = known(hashtags, [*_known_file(settings), *(tree.name(label) for label in tree.ids)], reviews)
    run.progress("counting phrases")
    rows = documents(texts, settings.texts_max).collect()
    if len(rows) == settings.texts_max:
        run.note(f"tags.texts_max: only {len(rows)} texts were counted, those of the smallest hash of video_id")
    candidates, patterns = build(rows, phrases, settings, seed=run.seed)
    before = _held(run.previous(tables.TAG_LIBRARY).limit(settings.library_max + 1).collect(), tables.TAG_LIBRARY, settings)
    previous = tags_of(r.asDict() for r in before)
    library = _held(next_library(previous, candidates, hashtags, reviews, settings, run.date), tables.TAG_LIBRARY, settings)
    _publish(run, tables.TAG_CANDIDATES, candidates)
    _publish(run, tables.TAG_PATTERNS, patterns)
    _publish(run, tables.TAG_LIBRARY, [vars(tag) for tag in library])
    run.metric("known_phrases", len(phrases))
    run.metric("active_tags", sum(tag.state == "active" for tag in library))


def _held(rows: list[T], table: tables.Table, settings: TagSettings) -> list[T]:
    """The rows, if they are no more than may be held; else a SettingsError, before anything is written."""
    if len(rows) > settings.library_max:
        raise SettingsError(
            f"{table.name} has more than tags.library_max = {settings.library_max:,} rows, and mine_tags holds them on one machine: set it "
            "higher if the driver's memory allows (about 1 GB a million), and tags.daily_candidates lower so that fewer are added"
        )
    return rows


def _publish(run: Run, table: tables.Table, rows: list[dict[str, Any]]) -> None:
    schema = table.spark_schema()
    values = [tuple(run.date if name == "data_date" else row[name] for name in table.names) for row in rows]
    run.publish(table, run.spark.createDataFrame(values, schema).drop("data_date"))
