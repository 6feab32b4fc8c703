"""What a day's report says, as plain values: nothing here knows Spark or HTML."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """The last run of a job of the day. tries: how often it ran for the date."""

    job: str
    status: str
    seconds: float
    rows_in: int
    rows_out: int
    refused: int
    note: str
    tries: int


@dataclass(frozen=True)
class Refusal:
    """Refused rows of a job by one rule, with one reason as an example."""

    job: str
    table: str
    rule: str
    rows: int
    example: str


@dataclass(frozen=True)
class Bar:
    """One bar of a plot; `text` is what is written at it."""

    label: str
    value: float
    text: str


@dataclass(frozen=True)
class Card:
    """A video as one section shows it. picture: JPEG, b"" for a video without one, which shows `text` instead.

    facts: (what, value). elsewhere: (name of another section, its key) in which the video is shown too.
    """

    video_id: str
    section: str
    title: str
    text: str
    picture: bytes
    facts: tuple[tuple[str, str], ...]
    elsewhere: tuple[tuple[str, str], ...] = ()

    @property
    def anchor(self) -> str:
        return anchor_of(self.video_id)


@dataclass(frozen=True)
class Sheet:
    """A contact sheet: the videos that are shown of `total`."""

    key: str
    title: str
    cards: tuple[Card, ...]
    total: int


@dataclass(frozen=True)
class Tag:
    """A tag with the videos of the seven days up to the day and of the seven before."""

    tag: str
    week: int
    week_before: int
    first_day: dt.date


@dataclass(frozen=True)
class Cluster:
    """A density cluster on the day, its videos on it and on the day before. change: as in gold.cluster_days."""

    name: str
    change: str
    size: int
    previous_size: int
    first_seen: dt.date


@dataclass(frozen=True)
class Slice:
    """A metric of a model on a slice of its evaluation set; champion: the value of the champion before the day on it, if known."""

    name: str
    rows: int
    value: float
    champion: float | None


@dataclass(frozen=True)
class Decision:
    """A row of ops.promotions."""

    model_version: str
    decision: str
    decided_by: str
    previous_version: str
    reason: str


@dataclass(frozen=True)
class Collection:
    """A row of ops.vector_loads."""

    name: str
    loaded: int
    deleted: int
    total: int


@dataclass(frozen=True)
class Report:
    """A day. Lists are cut at settings.report; counts are of all there is."""

    date: dt.date
    steps: list[Step] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    refused_rows: int = 0
    failed_checks: list[tuple[str, str, int]] = field(default_factory=list)
    arrived: int = 0
    arrivals_by_day: list[Bar] = field(default_factory=list)
    arrived_kinds: list[Bar] = field(default_factory=list)
    durations: list[Bar] = field(default_factory=list)
    copies: int = 0
    labelled: int = 0
    answers: int = 0
    sheets: dict[str, Sheet] = field(default_factory=dict)
    classes: list[Bar] = field(default_factory=list)
    confidence: list[Bar] = field(default_factory=list)
    new_tags: list[Tag] = field(default_factory=list)
    rising_tags: list[Tag] = field(default_factory=list)
    active_tags: int = 0
    clusters: int = 0
    clustered: int = 0
    changed_clusters: list[Cluster] = field(default_factory=list)
    slices: dict[str, list[Slice]] = field(default_factory=dict)
    champion: str = ""
    decisions: list[Decision] = field(default_factory=list)
    collections: list[Collection] = field(default_factory=list)
    served: tuple[str, int, dt.date] | None = None

    @property
    def outcome(self) -> str:
        """failed, unfinished (a job of the pipeline is missing from the ledger) or finished."""
        if any(step.status == "failed" for step in self.steps):
            return "failed"
        return "unfinished" if any(step.status == "not run" for step in self.steps) else "finished"

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps)

    def why_empty(self, job: str) -> str:
        """What the job that fills a section says of a day that has nothing of it."""
        step = next((s for s in self.steps if s.job == job), None)
        if step is None or step.status == "not run":
            return f"{job} did not run on this day."
        return f"{job} {step.status.replace('_', ' ')}" + (f": {step.note}" if step.note else ", and found nothing.")


def anchor_of(video_id: str) -> str:
    """A name for links that any id fits in; by it a report that shows a video is found again."""
    return hashlib.sha256(video_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def mention_of(video_ids: Iterable[str]) -> str:
    """A regular expression, of Python's and of Java's, for one of the ids in a text, not as a part of a longer word.

    A number of a few digits counts only where it stands as an id does, in quotes or brackets, in a list or as a file's name: else the
    12 of `12 videos` and of `0.12` would be the video 12.
    """
    numbers: list[str] = []
    others: list[str] = []
    for video_id in video_ids:
        (numbers if re.fullmatch(rf"[0-9]{{1,{_FIGURE_DIGITS}}}", video_id) else others).append(re.escape(video_id))
    either = [rf"(?<!\w)(?:{'|'.join(others)})(?!\w)"] if others else []
    if numbers:
        either.append(rf"(?:(?<=[(\['\"`/])|(?<=, ))(?:{'|'.join(numbers)})(?=[)\]'\"`,:]|\.[a-z])")
    return "|".join(either)


_FIGURE_DIGITS = 8  # figures in a text are hardly longer
