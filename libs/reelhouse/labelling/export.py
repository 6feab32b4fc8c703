"""Handing out the queue as files: tasks, contact sheets, guidelines; and, last of all, the lines that say what was handed out."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reelhouse.errors import LabelError
from reelhouse.labelling import label_studio
from reelhouse.labelling.guidelines import guidelines
from reelhouse.labelling.queue import QueuedVideo, suggested
from reelhouse.labelling.sheets import contact_sheet
from reelhouse.labels import Taxonomy
from reelhouse.labels.exchange import OWN_COLUMNS, as_lines, no_formula, write_whole
from reelhouse.labels.lines import EXPORTS

Format = Literal["label-studio", "csv"]
_COLUMNS = (*OWN_COLUMNS, "task", "title", "text", "reason", "suggestions", "sheet", "file")


@dataclass(frozen=True)
class Export:
    """tasks: the file for the tool, one a label tree; handed_out: the file of the inbox that says so; was_there: it said so before."""

    tasks: list[Path]
    handed_out: Path
    was_there: bool


def export_queue(
    videos: Sequence[QueuedVideo],
    trees: Mapping[str, Taxonomy],
    date: dt.date,
    form: Format,
    into: Path,
    inbox: Path,
    exported_at: dt.datetime,
) -> Export:
    """Write the queue of a date to a folder, then its hand-outs to the inbox, from where import_labels takes them out of the queue.

    into: gets tasks, guidelines and (for Label Studio) label_config for each label tree, and sheets/. The same queue gives the same
    bytes. Handed out again, to whatever folder, it leaves the inbox as it is: the hand-outs keep the time of the first. Killed before
    the end, it has handed out nothing. LabelError without videos; StorageError if something can't be written.
    """
    if not videos:
        raise LabelError(f"nobody needs to label anything of {date}: the queue is empty. `reelhouse daily --date {date}` fills it")
    for video in videos:
        write_whole(into / _sheet(video), contact_sheet(video.frames))
    written = []
    for task in sorted({video.task for video in videos}):
        asked = [video for video in videos if video.task == task]
        write_whole(into / f"guidelines-{task}.md", guidelines(trees[task]).encode())
        if form == "csv":
            written.append(into / f"tasks-{task}.csv")
            write_whole(written[-1], _csv(asked, trees[task]))
            continue
        write_whole(into / f"label_config-{task}.xml", label_studio.labelling_config(trees[task]).encode())
        tasks = label_studio.tasks(asked, [f"{into.resolve().name}/{_sheet(video)}" for video in asked], trees[task])
        written.append(into / f"tasks-{task}.json")
        write_whole(written[-1], (json.dumps(tasks, ensure_ascii=False, indent=1) + "\n").encode())
    handed_out = inbox / EXPORTS.folder / f"{batch_name(date)}{_hash(*(part for v in videos for part in (v.video_id, v.task)))}.jsonl"
    was_there = handed_out.exists()
    if not was_there:
        write_whole(handed_out, as_lines(_hand_out(video, date, exported_at) for video in videos))
    return Export(written, handed_out, was_there)


def batch_name(date: dt.date) -> str:
    """How the inbox's files of a date's exports begin."""
    return f"export-{date}-"


def _hand_out(video: QueuedVideo, date: dt.date, exported_at: dt.datetime) -> dict[str, str]:
    at = exported_at.astimezone(dt.UTC).isoformat(timespec="seconds")
    event_id = _hash(EXPORTS.folder, str(date), video.video_id, video.task, at)
    return {"event_id": event_id, "video_id": video.video_id, "task": video.task, "exported_at": at}


def _csv(videos: Sequence[QueuedVideo], tree: Taxonomy) -> bytes:
    """A row a video, for a spreadsheet: label is what the model suggests; it, answer, annotator_id and answered_at are people's."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for video in videos:
        said = suggested(video, tree)
        row = {
            "video_id": no_formula(video.video_id),
            "label": said[0].label_id if said else "",
            "task": video.task,
            "title": no_formula(video.title),
            "text": no_formula("\n".join(f"{what}: {words}" for what, words in video.texts)),
            "reason": no_formula(video.reason),
            "suggestions": no_formula(", ".join(f"{one.path} {one.probability:.0%}" for one in said)),
            "sheet": _sheet(video),
            "file": no_formula(video.uri or ""),
        }
        writer.writerow(row)
    return ("\ufeff" + file.getvalue()).encode()  # by the mark a spreadsheet knows that it is UTF-8


def _sheet(video: QueuedVideo) -> str:
    """Path below the folder. No id is a file name: it may hold anything."""
    return f"sheets/{_hash(video.video_id)}.jpg"


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
