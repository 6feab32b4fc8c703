"""The tag library as a fold: the day before, what was mined today, what people decided."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from reelhouse.tags.forms import LONGEST_TAG, normal_form, tag_id

State = Literal["candidate", "active", "rejected", "blocked"]
Source = Literal["hashtag", "phrases", "patterns", "people"]

_DECISIONS: dict[str, State] = {"accept": "active", "reject": "rejected", "block": "blocked"}


@dataclass(frozen=True)
class Tag:
    """A row of gold.tag_library without data_date."""

    tag_id: str
    tag: str
    state: State
    score: float | None
    source: Source
    first_seen: dt.date
    changed: dt.date


@dataclass(frozen=True)
class Proposal:
    """A phrase (normal form) that a miner or the hashtags bring. score: None for a hashtag."""

    phrase: str
    score: float | None
    source: Source


@dataclass(frozen=True)
class Review:
    """A person's decision on a phrase: accept, reject or block."""

    event_id: str
    phrase: str
    decision: str
    reviewed_at: dt.datetime | None


def last_decisions(reviews: Iterable[Review]) -> dict[str, State]:
    """Phrase (normal form) -> the state that its latest review asks for; of several at one time the one with the last event_id."""
    in_order = sorted(reviews, key=lambda r: (r.reviewed_at or dt.datetime.min, r.event_id))
    return {normal_form(r.phrase) or r.phrase: _DECISIONS[r.decision] for r in in_order}


def fold_library(
    previous: Iterable[Tag], proposals: Iterable[Proposal], reviews: Iterable[Review], *, day: dt.date, score_min: float
) -> list[Tag]:
    """The library as of `day`, by tag.

    A proposal that is a hashtag or reaches score_min becomes active, another a candidate; a tag that is active stays so when
    its score falls, and keeps its source. `reviews` are all up to the day: the latest decision on a phrase always wins, and
    a phrase that people decided on is never changed by a proposal. Proposals longer than 64 characters are left out.
    """
    library = {tag.tag: tag for tag in previous}
    decided = last_decisions(reviews)
    for proposal in proposals:
        if proposal.phrase and len(proposal.phrase) <= LONGEST_TAG:
            library[proposal.phrase] = _proposed(library.get(proposal.phrase), proposal, day, score_min)
    for phrase, state in decided.items():
        known = library.get(phrase)
        if known is None:
            library[phrase] = Tag(tag_id(phrase), phrase, state, None, "people", day, day)
        elif known.state != state:
            library[phrase] = replace(known, state=state, changed=day)
    return [library[name] for name in sorted(library)]


def _proposed(known: Tag | None, proposal: Proposal, day: dt.date, score_min: float) -> Tag:
    is_good = proposal.source == "hashtag" or (proposal.score is not None and proposal.score >= score_min)
    if known is None:
        state: State = "active" if is_good else "candidate"
        return Tag(tag_id(proposal.phrase), proposal.phrase, state, proposal.score, proposal.source, day, day)
    scored = replace(known, score=known.score if proposal.score is None else proposal.score)
    if known.state == "candidate" and is_good:
        return replace(scored, state="active", source=proposal.source, changed=day)
    return scored


def tags_of(rows: Iterable[Mapping[str, Any]]) -> list[Tag]:
    """Rows of gold.tag_library as tags."""
    return [Tag(**{name: row[name] for name in Tag.__dataclass_fields__}) for row in rows]
