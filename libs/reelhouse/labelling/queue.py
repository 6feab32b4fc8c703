"""The open queue as plain values: which videos people should label, with what they need to see. Read once, bounded by settings."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reelhouse import tables
from reelhouse.labels import Taxonomy
from reelhouse.labels.predicted import follow_top, names_of
from reelhouse.tables import Table
from reelhouse.tables.label_queue import SUSPECT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.lake import Lake

_TABLE = re.compile(r"\b(?:bronze|silver|gold|ops)\.\w+")
_ALWAYS = "data_date <= date'9999-12-31'"


@dataclass(frozen=True)
class Suggestion:
    """What the served model says: a label with its path and calibrated probability, 0..1."""

    label_id: str
    path: str
    probability: float


@dataclass(frozen=True)
class Frame:
    """A chosen frame: when in the video, and its JPEG."""

    seconds: float
    jpeg: bytes


@dataclass(frozen=True)
class QueuedVideo:
    """One question: what is this video, in the tree of `task`?

    chosen_by: density, active, disagreement (people contradict each other) or suspect (a label that looks wrong). chosen_on: the day that
    it was chosen, of a suspect that of its first verdict. suggestions: the model's, best first; empty without a model; see `suggested`.
    frames: in order of time; empty for sound and text. texts: (what it is, words) as cleaned. uri: its file, None for a text alone.
    undecided: event_ids of the answers that were folded and did not settle it: a tie, nobody could say, or what they said looks wrong.
    proposed: of a suspect, the label that it looks like.
    """

    video_id: str
    task: str
    rank: int
    reason: str
    chosen_by: str
    chosen_on: dt.date
    is_random: bool
    title: str = ""
    texts: tuple[tuple[str, str], ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    frames: tuple[Frame, ...] = ()
    uri: str | None = None
    undecided: frozenset[str] = frozenset()
    proposed: Suggestion | None = None


def suggested(video: QueuedVideo, tree: Taxonomy) -> list[Suggestion]:
    """What people are shown first, by labels of the tree as it is: what a suspect label looks like, then what the model says."""
    names = names_of(tree)
    sources = [[video.proposed] if video.proposed else [], video.suggestions]
    first, rest = ([Suggestion(*one) for one in follow_top([(s.label_id, s.probability) for s in of], names)] for of in sources)
    return [*first, *(one for one in rest if all(one.label_id != other.label_id for other in first))]


def read_queue(lake: Lake, most: int, date: dt.date | None = None, handed_out: Iterable[tuple[str, str, str]] = ()) -> list[QueuedVideo]:
    """The first `most` of gold.label_queue by rank; of one rank the newest day's first, and density's before active learning's.

    date: as it stood when that day had been run; without one, as it stands now. handed_out: (event_id, video_id, task) of hand-outs
    in the inbox; those that bronze.label_exports does not know yet count too. Videos that were taken down are left out.
    """
    from pyspark.sql import functions as F

    upto = f"data_date <= date'{date}'" if date else _ALWAYS
    queue = _less_pending(lake, _named(lake, "gold.label_queue", upto), upto, handed_out)
    rows = queue.orderBy("rank", F.desc("data_date"), F.desc("chosen_by"), "video_id", "task").limit(most).collect()
    if not rows:
        return []
    wanted = lake.spark.createDataFrame(sorted({(r.video_id,) for r in rows}), "video_id string")
    texts = {r.video_id: r for r in _of(lake, tables.VIDEO_TEXT, upto, wanted, "title", "caption", "hashtags", "ocr_text", "asr_text")}
    uris = {r.video_id: r.uri for r in _of(lake, tables.VIDEOS, upto, wanted, "uri")}
    said, frames, undecided = _suggestions(lake, upto, wanted), _frames(lake, upto, wanted), _undecided(lake, upto, wanted, rows)
    return [
        QueuedVideo(
            r.video_id,
            r.task,
            r.rank,
            r.reason,
            r.chosen_by,
            r.data_date,
            r.is_random,
            title=(texts[r.video_id].title or "") if r.video_id in texts else "",
            texts=_texts(texts.get(r.video_id)),
            suggestions=said.get((r.video_id, r.task), ()),
            frames=frames.get(r.video_id, ()),
            uri=uris.get(r.video_id),
            undecided=undecided.get((r.video_id, r.task), frozenset()),
            proposed=_proposed(r),
        )
        for r in rows
    ]


def _less_pending(lake: Lake, queue: DataFrame, upto: str, handed_out: Iterable[tuple[str, str, str]]) -> DataFrame:
    out = list(handed_out)
    if not out:
        return queue
    told = lake.spark.createDataFrame(out, "event_id string, video_id string, task string").hint("broadcast")
    known = lake.read(tables.LABEL_EXPORTS, upto).select("event_id")
    return queue.join(told.join(known, on="event_id", how="left_anti"), on=["video_id", "task"], how="left_anti")


def _view(lake: Lake, sql: str, upto: str) -> DataFrame:
    """A view of tables.py asked as of a day: each name in it stands for the rows up to then."""
    names = sorted(set(_TABLE.findall(sql)))
    frames: dict[str, Any] = {name.replace(".", "__"): _named(lake, name, upto) for name in names}
    return lake.spark.sql(_TABLE.sub(lambda found: "{" + found[0].replace(".", "__") + "}", sql), **frames)


def _named(lake: Lake, name: str, upto: str) -> DataFrame:
    view = next((view for view in tables.VIEWS if view.name == name), None)
    if view is not None:
        return _view(lake, view.sql, upto)
    return lake.read(tables.ALL[name], upto) if name in tables.ALL else lake.current(tables.ALL[name.removesuffix("_current")], upto)


def _of(lake: Lake, table: Table, upto: str, wanted: DataFrame, *columns: str) -> list[Any]:
    return lake.current(table, upto, of=wanted).select("video_id", *columns).collect()


def _texts(row: Any) -> tuple[tuple[str, str], ...]:
    if row is None:
        return ()
    hashtags = " ".join(f"#{tag}" for tag in row.hashtags or ())
    parts = [("caption", row.caption), ("hashtags", hashtags), ("in the picture", row.ocr_text), ("speech", row.asr_text)]
    return tuple((what, words) for what, words in parts if words)


def _suggestions(lake: Lake, upto: str, wanted: DataFrame) -> dict[tuple[str, str], tuple[Suggestion, ...]]:
    from pyspark.sql import functions as F

    served = _named(lake, "ops.serving_now", upto).head()
    if served is None:
        return {}
    rows = lake.current(tables.PREDICTIONS, upto, of=wanted).where(F.col("model_version") == served.model_version)
    return {
        (r.video_id, r.task): tuple(Suggestion(one.label_id, one.path, one.probability) for one in r.top or ())
        for r in rows.select("video_id", "task", "top").collect()
    }


def _proposed(row: Any) -> Suggestion | None:
    """Its path is that of the tree that whoever shows it has: see `suggested`."""
    label_id = row.suggested_label_id
    return None if label_id is None else Suggestion(label_id, label_id, row.suggestion_confidence or 0.0)


def _undecided(lake: Lake, upto: str, wanted: DataFrame, rows: list[Any]) -> dict[tuple[str, str], frozenset[str]]:
    """By video and task: the answers up to the day on which they were last folded without a result, or first looked wrong."""
    from pyspark.sql import functions as F

    open_labels = lake.current(tables.LABELS, upto, of=wanted).where("answer = -1")
    folded = open_labels.groupBy("video_id", "task").agg(F.max("data_date").alias("folded_on"))
    suspects = [(r.video_id, r.task, r.data_date) for r in rows if r.chosen_by == SUSPECT]
    if suspects:
        accused = lake.spark.createDataFrame(suspects, "video_id string, task string, accused_on date")
        until = F.coalesce("accused_on", "folded_on").alias("folded_on")
        folded = folded.join(accused, on=["video_id", "task"], how="full").select("video_id", "task", until)
    folded = folded.hint("broadcast")
    events = lake.read(tables.LABEL_EVENTS, upto).join(folded, on=["video_id", "task"], how="inner").where("data_date <= folded_on")
    known = events.groupBy("video_id", "task").agg(F.collect_set("event_id").alias("events")).collect()
    return {(r.video_id, r.task): frozenset(r.events) for r in known}


def _frames(lake: Lake, upto: str, wanted: DataFrame) -> dict[str, tuple[Frame, ...]]:
    """By video; read a partition at a time, since they are most of what is read."""
    found: dict[str, list[tuple[int, Frame]]] = {}
    rows = lake.current(tables.FRAMES, upto, of=wanted).select("video_id", "frame_index", "timestamp_seconds", "jpeg")
    for r in rows.toLocalIterator():
        found.setdefault(r.video_id, []).append((r.frame_index, Frame(r.timestamp_seconds, bytes(r.jpeg))))
    return {video: tuple(frame for _, frame in sorted(frames, key=lambda one: one[0])) for video, frames in found.items()}
