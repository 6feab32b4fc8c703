"""The truth about a sample, kept apart from what is delivered: what was planted where. Written and read here only.

videos.jsonl: every video, its class and what was planted in it; copies, wrong_labels, refused_rows, unknown_labels, tags.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelhouse.errors import StorageError
from reelhouse.sample.events import Labels
from reelhouse.sample.plan import Plan, Video
from reelhouse.sample.world import BORN, LEAVES

COMMON_MINIMUM = 5  # videos that hold a phrase, from which it counts as common
FILES = ("videos", "copies", "wrong_labels", "refused_rows", "unknown_labels", "tags")


def write_truth(folder: Path, plan: Plan, labels: Labels, refused: list[dict[str, Any]]) -> None:
    rows: dict[str, Iterable[dict[str, Any]]] = {
        "videos": [_video(v, plan, labels) for v in plan.videos],
        "copies": [{"video_id": v.video_id, "copy_of": v.copy_of, "transform": v.transform} for v in plan.videos if v.copy_of],
        "wrong_labels": [
            {"video_id": video_id, "task": "category", "label_id": given, "true_label_id": true} for video_id, given, true in labels.wrong
        ],
        "refused_rows": refused,
        "unknown_labels": [{"date": plan.date(day).isoformat(), "event_id": event} for day, event in labels.outside],
        "tags": _tags(plan),
    }
    for name in FILES:
        write_jsonl(folder / f"{name}.jsonl", rows[name])


def _video(video: Video, plan: Plan, labels: Labels) -> dict[str, Any]:
    text, clip = video.text, video.clip
    return {
        "video_id": video.video_id,
        "date": plan.date(video.day).isoformat(),
        "label_id": video.leaf.id,
        "kind": video.kind,
        "damage": video.damage,
        "copy_of": video.copy_of,
        "has_picture": clip is not None,
        "has_sound": clip is not None and clip.sound is not None,
        "overlay": clip.overlay if clip is not None else None,
        "text": text.level,
        "title_kind": text.title_kind,
        "language": text.language,
        "is_labelled": video.video_id in labels.labelled,
    }


def _tags(plan: Plan) -> list[dict[str, Any]]:
    """Phrases that many videos hold, with the date by which they are common; `is_born`: no video held it before that date."""
    phrases = [phrase for leaf in LEAVES for phrase in leaf.chinese + leaf.english] + list(BORN)
    found = []
    for phrase in phrases:
        days = sorted(v.day for v in plan.videos if v.kind != "broken" and _holds(v, phrase))
        if len(days) >= COMMON_MINIMUM:
            day = plan.date(days[COMMON_MINIMUM - 1]).isoformat()
            found.append({"phrase": phrase, "videos": len(days), "date": day, "is_born": phrase in BORN})
    return found


def _holds(video: Video, phrase: str) -> bool:
    text = video.text
    return any(phrase in part for part in (text.title, text.caption, text.asr_text, *text.hashtags) if part)


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")


@dataclass(frozen=True)
class Truth:
    """Rows of the truth files, by file."""

    videos: list[dict[str, Any]]
    copies: list[dict[str, Any]]
    wrong_labels: list[dict[str, Any]]
    refused_rows: list[dict[str, Any]]
    unknown_labels: list[dict[str, Any]]
    tags: list[dict[str, Any]]

    @classmethod
    def load(cls, folder: Path) -> Truth:
        """Read truth/ of a sample. Raises StorageError that names a file that can't be read."""
        try:
            return cls(**{name: _read(folder / f"{name}.jsonl") for name in FILES})
        except (OSError, ValueError) as error:
            raise StorageError(f"the sample's truth can't be read: {error}; make the sample again with `reelhouse sample`") from error

    def upto(self, date: str) -> Truth:
        """What was planted up to a date, inclusive: what a run up to it could find."""
        videos = [v for v in self.videos if v["date"] <= date]
        known = {v["video_id"] for v in videos}
        return Truth(
            videos,
            [c for c in self.copies if c["video_id"] in known],
            [w for w in self.wrong_labels if w["video_id"] in known],
            [r for r in self.refused_rows if r["date"] <= date],
            [r for r in self.unknown_labels if r["date"] <= date],
            [t for t in self.tags if t["date"] <= date],
        )


def _read(path: Path) -> list[dict[str, Any]]:
    with open(path, encoding="utf-8") as handle:
        return [json.loads(line) for line in handle]
