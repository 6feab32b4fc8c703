"""The inbox: answers as lines of one file a person, appended to and never changed, read back after a restart; hand-outs."""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from reelhouse.errors import StorageError
from reelhouse.labels import Taxonomy
from reelhouse.labels.delivered import inbox_events
from reelhouse.labels.exchange import as_lines, sync_folder
from reelhouse.labels.lines import EXPORTS, LABELS

OWN_FIELDS = ("takes_back", "restates")  # import_labels reads a line with one of them as an answer like any other


@dataclass(frozen=True)
class Answer:
    """One line. takes_back: the event_id of the answer that this one, a -1, withdraws; restates: of the one that it says again."""

    event_id: str
    video_id: str
    task: str
    label: str
    answer: int
    annotator_id: str
    answered_at: str
    takes_back: str | None = None
    restates: str | None = None

    @property
    def is_own(self) -> bool:
        """Whether it is an answer by itself, and no word about another."""
        return self.takes_back is None and self.restates is None


def new_answer(
    video_id: str,
    task: str,
    label: str,
    answer: int,
    annotator_id: str,
    at: dt.datetime,
    takes_back: str | None = None,
    restates: str | None = None,
) -> Answer:
    """An answer said at a time; its id is a hash of what it says and when."""
    when = at.astimezone(dt.UTC).isoformat()
    said = [video_id, task, label, answer, annotator_id, when, takes_back, restates]
    event_id = hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()[:32]
    return Answer(event_id, video_id, task, label, answer, annotator_id, when, takes_back, restates)


class AnswerLog:
    """The inbox's labels/ folder."""

    def __init__(self, inbox: Path) -> None:
        self._inbox = inbox
        self._lock = threading.Lock()

    def path(self, annotator_id: str) -> Path:
        """A file of the person's own. Any name is safe: of it the file's name holds letters and digits, and a hash."""
        readable = re.sub(r"[^A-Za-z0-9]+", "-", annotator_id).strip("-")[:40]
        return self._inbox / LABELS.folder / f"page-{readable}-{hashlib.sha256(annotator_id.encode()).hexdigest()[:8]}.jsonl"

    def append(self, answer: Answer) -> None:
        """Add one line in one write; it is on disk when this returns. Whoever else appends, here or in another process, waits.

        StorageError if it can't be written whole: then nothing of it stays.
        """
        path = self.path(answer.annotator_id)
        line = as_lines([{name: value for name, value in asdict(answer).items() if value is not None}])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock:
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX)
                    _append_whole(handle, line)
                finally:
                    os.close(handle)
            sync_folder(path.parent)
        except OSError as error:
            raise StorageError(f"the answer can't be written to {path}: {error.strerror}. Mend that, and answer again.") from error

    def read(self, video_ids: Iterable[str], trees: Mapping[str, Taxonomy]) -> list[Answer]:
        """What the inbox says of some videos, by whatever tool, in order of time; label: the id that it had then.

        Lines that import_labels will refuse are left out, and answers that count no more since their label was retired.
        """
        wanted = set(video_ids)
        found = []
        for event, line in inbox_events(self._inbox, LABELS, trees):
            if event["video_id"] in wanted and trees[event["task"]].follow(event["label_id"]) is not None:
                at = event["answered_at"].astimezone(dt.UTC).isoformat()
                said = (event["event_id"], event["video_id"], event["task"], event["label_id"], event["answer"], event["annotator_id"], at)
                # others' lines may hold anything there
                own = (value if isinstance(value := line.get(name), str) else None for name in OWN_FIELDS)
                found.append(Answer(*said, *own))
        return sorted(found, key=lambda answer: answer.answered_at)


def hand_outs(inbox: Path, trees: Mapping[str, Taxonomy], but: str = "") -> list[tuple[str, str, str]]:
    """(event_id, video_id, task) of what the inbox says was handed out; but: of files whose names begin so, nothing."""
    events = inbox_events(inbox, EXPORTS, trees, but)
    return [(event["event_id"], event["video_id"], event["task"]) for event, _ in events]


def _append_whole(handle: int, line: bytes) -> None:
    end = os.lseek(handle, 0, os.SEEK_END)
    torn = end > 0 and os.pread(handle, 1, end - 1) != b"\n"  # a power cut: what is there becomes a line of its own
    data = b"\n" + line if torn else line
    try:
        if os.write(handle, data) != len(data):
            raise OSError(28, "the disk is full")
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, end)
        raise
