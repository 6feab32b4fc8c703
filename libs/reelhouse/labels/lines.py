"""One line of a label, export or review file -> one event, or the rule that it broke. Plain Python; runs inside Spark executors."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reelhouse import tables
from reelhouse.labels.fold import MANIFEST
from reelhouse.labels.taxonomy import Taxonomy
from reelhouse.sources.columns import ManifestColumn
from reelhouse.sources.values import RowError, convert, is_missing
from reelhouse.tables import Table

ANSWERS = (1, 0, -1)
DEFAULT_TASK = "category"
LINE_BYTES_MAX = 1_000_000
_EVENT_ID = ManifestColumn("event_id", "id", "id of the event; left out: a hash of its content", "a1")
_VIDEO_ID = ManifestColumn("video_id", "id", "which video", "v00017", needed=True)
_TASK = ManifestColumn("task", "id", f"which label tree; left out: {DEFAULT_TASK}", "category")


@dataclass(frozen=True)
class LineKind:
    """What a line of one folder holds. Fields that are not listed are ignored, so that tools may add their own."""

    folder: str
    table: Table
    fields: tuple[ManifestColumn, ...]

    @property
    def content(self) -> list[str]:
        """Columns of the table that say whether two events are the same."""
        skipped = {"event_id", "batch", "data_date", "taxonomy_version"}
        return [name for name in self.table.named("exact") if name not in skipped]

    @property
    def time(self) -> str:
        """The column that says when it was said."""
        return next(field.name for field in self.fields if field.kind == "timestamp")


LABELS = LineKind(
    "labels",
    tables.LABEL_EVENTS,
    (
        _EVENT_ID,
        _VIDEO_ID,
        _TASK,
        ManifestColumn("label", "text", "label id, name, alias or path of the tree", "美食/烘焙", needed=True),
        ManifestColumn("answer", "number", "1 yes, 0 no, -1 cannot say", "1", needed=True),
        ManifestColumn("annotator_id", "id", "who answered", "ann1", needed=True),
        ManifestColumn("answered_at", "timestamp", "when (UTC unless it names a zone)", "2026-01-02T08:30:00Z", needed=True),
    ),
)
EXPORTS = LineKind(
    "exports",
    tables.LABEL_EXPORTS,
    (
        _EVENT_ID,
        _VIDEO_ID,
        ManifestColumn("task", "id", "for which label tree", "category", needed=True),
        ManifestColumn("exported_at", "timestamp", "when (UTC unless it names a zone)", "2026-01-02T08:30:00Z", needed=True),
    ),
)
REVIEWS = LineKind(
    "tag_reviews",
    tables.TAG_REVIEWS,
    (
        _EVENT_ID,
        ManifestColumn("phrase", "text", "the phrase", "手工咖啡", needed=True),
        ManifestColumn("decision", "choice", "what is decided", "accept", True, ("accept", "reject", "block")),
        ManifestColumn("reviewer_id", "id", "who", "ann1", needed=True),
        ManifestColumn("reviewed_at", "timestamp", "when (UTC unless it names a zone)", "2026-01-02T08:30:00Z", needed=True),
    ),
)
KINDS = (LABELS, EXPORTS, REVIEWS)


def line_fields() -> list[dict[str, str]]:
    """Rows for a person, with the keys of sources.manifest_columns: what a line of each folder of the inbox holds."""
    return [
        {
            "file": f"{kind.folder}/*.jsonl",
            "column": field.name,
            "type": field.kind,
            "needed": "yes" if field.needed else "no",
            "meaning": field.comment + (f": {', '.join(field.choices)}" if field.choices else ""),
            "example": field.example,
        }
        for kind in KINDS
        for field in kind.fields
    ]


def parse_line(kind: LineKind, line: bytes, trees: Mapping[str, Taxonomy]) -> dict[str, Any]:
    """The event's columns: those of the kind's table that come from the line, event_id included.

    Raises RowError: bad_encoding, too_long, bad_json, missing_field, bad_answer, unknown_task, unknown_label, several_labels,
    bad_annotator, and those of sources.values (bad_id, bad_timestamp, ...).
    """
    given = _json_object(line)
    missing = [field.name for field in kind.fields if field.needed and is_missing(given.get(field.name))]
    if missing:
        raise RowError("missing_field", f"{', '.join(missing)} must be given (a line of {kind.folder}/ needs {_needed(kind)})")
    event = {field.name: _value(field, given.get(field.name)) for field in kind.fields}
    if event.get("annotator_id") == MANIFEST:
        raise RowError("bad_annotator", f"annotator_id {MANIFEST!r} stands for what came with the videos: give the name of who answered")
    if "task" in event:
        event["task"] = event["task"] or DEFAULT_TASK
        if event["task"] not in trees:
            raise RowError("unknown_task", f"there is no label tree for task {event['task']!r} (known: {', '.join(sorted(trees))})")
    if "label" in event:
        event["label_id"] = resolve_label(trees[event["task"]], event.pop("label"), event[kind.time].date())
    if event["event_id"] is None:
        event["event_id"] = _content_hash([kind.folder, *(event[name] for name in kind.content)])
    return event


def resolve_label(tree: Taxonomy, text: str, day: dt.date | None = None) -> str:
    """The id that the label had on a day (UTC; None: the tree's own) or, where that day knew none, has now.

    So a line says the same whenever it is read; what became of its label since, reelhouse.labels.fold follows. RowError unknown_label
    names the nearest labels, or says since when the label is retired.
    """
    label_id = (tree.as_of(day).resolve(text) if day else None) or tree.resolve(text)
    if label_id is not None:
        return label_id
    retired = tree.retired(text)
    if retired:
        raise RowError("unknown_label", f"{retired[0]!r} was retired from {tree.task} on {retired[1].date}: give a label that is in use")
    nearest = tree.nearest(text)
    hint = f"nearest: {', '.join(nearest)}" if nearest else "nothing in it looks like that"
    shown = text if len(text) <= 80 else text[:77] + "..."
    raise RowError("unknown_label", f"{shown!r} is no label of {tree.task}, or more than one; {hint}. Give its id or its whole path.")


def _json_object(line: bytes) -> dict[str, Any]:
    if len(line) > LINE_BYTES_MAX:
        raise RowError("too_long", f"the line has {len(line):,} bytes, more than {LINE_BYTES_MAX:,}: is a newline missing?")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise RowError("bad_encoding", f"the line is not UTF-8 ({error.reason} at byte {error.start}): save the file as UTF-8") from None
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RowError("bad_json", f"the line is no JSON: {error}") from None
    if not isinstance(given, dict):
        raise RowError("bad_json", f"the line must be a JSON object {{...}}, got a {type(given).__name__}")
    return given


def _value(field: ManifestColumn, raw: Any) -> Any:
    if field.name == "answer":
        if isinstance(raw, bool) or not isinstance(raw, int) or raw not in ANSWERS:
            raise RowError("bad_answer", f"answer must be 1 (yes), 0 (no) or -1 (cannot say), got {raw!r}")
        return raw
    if field.name == "label" and isinstance(raw, list) and len(raw) > 1:
        raise RowError("several_labels", f"a video has one label of a tree, at any level: keep one of {str(raw)[:200]}")
    value = convert(field, raw)
    return value.strip() if field.kind == "text" and value is not None else value


def _needed(kind: LineKind) -> str:
    return ", ".join(field.name for field in kind.fields if field.needed)


def _content_hash(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, default=str).encode()).hexdigest()[:32]
