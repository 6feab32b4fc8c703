"""Answers as labelling tools export them -> lines of the inbox: Label Studio's JSON and CSV, and a CSV of one's own."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelhouse.errors import LabelError, StorageError
from reelhouse.labels.lines import LABELS, parse_line
from reelhouse.labels.taxonomy import Taxonomy
from reelhouse.sources.values import RowError

OWN_COLUMNS = ("video_id", "label", "answer", "annotator_id", "answered_at")
NOT_THIS = "not"  # a control of this name holds labels that the video does not have
_KINDS = ("choices", "taxonomy", "labels")


@dataclass(frozen=True)
class Imported:
    """lines: what goes to the inbox, in the file's order; refused: (where in the file, why) of those that import_labels won't take."""

    lines: list[dict[str, Any]]
    refused: list[tuple[str, str]]


def read_answers(path: Path, trees: Mapping[str, Taxonomy], task: str) -> Imported:
    """Every answer in a file, and which of them won't be taken; task: for those that name none.

    .json: Label Studio's export (JSON, not JSON-MIN): each label that an annotation chose is a yes; those of a control called `not` a no; a
    cancelled annotation says -1 of what was suggested. .csv: Label Studio's, or columns video_id, label, answer, annotator_id,
    answered_at; a row without the last three is no answer. An answer's id is a hash of what it says and when, so that a file, or a later
    export of the same project, may be imported again. LabelError if the file is none of these; StorageError if it can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error}") from error
    except UnicodeDecodeError as error:
        raise LabelError(f"{path} is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8") from error
    if path.suffix.lower() == ".json":
        answers = _of_label_studio(_tasks(path, text))
    elif path.suffix.lower() == ".csv":
        answers = _of_csv(path, csv.DictReader(io.StringIO(text, newline="")))
    else:
        raise LabelError(f"{path.name}: a file of answers is Label Studio's .json or a .csv")
    try:
        lines = [_with_id({"task": task} | answer) for answer in answers]
    except csv.Error as error:
        raise LabelError(f"{path.name} is no CSV: {error}") from error
    refused = []
    for line in lines:
        try:
            parse_line(LABELS, json.dumps(line).encode(), trees)
        except RowError as error:
            refused.append((line["from"], str(error)))
    return Imported(lines, refused)


def put_down(inbox: Path, lines: Iterable[Mapping[str, Any]]) -> Path:
    """Write lines as one file of the inbox's labels/, whole or not at all, and on disk when this returns. The same lines: the same file."""
    content = as_lines(lines)
    path = inbox / LABELS.folder / f"import-{hashlib.sha256(content).hexdigest()[:16]}.jsonl"
    write_whole(path, content)
    return path


def as_lines(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """JSON lines as the inbox holds them: names sorted, each with its newline."""
    return "".join(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n" for line in lines).encode()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, and on disk when this returns; its folder is made. StorageError if it can't be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"{path.name} can't be written to {path.parent}: {error}") from error


def sync_folder(folder: Path) -> None:
    """Bring the names of a folder's files to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _tasks(path: Path, text: str) -> list[Any]:
    try:
        tasks = json.loads(text)
    except ValueError as error:
        raise LabelError(f"{path.name} is no JSON: {error}") from error
    if not isinstance(tasks, list) or not all(isinstance(one, dict) and "annotations" in one and "data" in one for one in tasks):
        raise LabelError(f"{path.name}: tasks with `data` and `annotations` are wanted; export the project as JSON (not JSON-MIN)")
    return tasks


def _of_label_studio(tasks: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        data = task["data"] if isinstance(task["data"], dict) else {}
        suggested = [label for one in _objects(task.get("predictions")) for label, _ in _chosen(one)]
        for annotation in _objects(task["annotations"]):
            person = annotation.get("completed_by")
            person = (person.get("email") or person.get("id")) if isinstance(person, dict) else person
            shared = {
                "video_id": data.get("video_id"),
                "annotator_id": None if person is None else str(person),
                "answered_at": annotation.get("updated_at") or annotation.get("created_at"),
                "from": f"task {task.get('id')}, annotation {annotation.get('id')}",
            } | ({"task": data["task"]} if data.get("task") else {})
            said: list[tuple[str | None, int]] = list(_chosen(annotation))
            if annotation.get("was_cancelled"):
                said = [(label, -1) for label in suggested]
            yield from _answers(said, shared)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _chosen(annotation: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """(label, answer) of each choice of an annotation or prediction."""
    for result in _objects(annotation.get("result")):
        value = result.get("value")
        if isinstance(value, dict):
            answer = 0 if result.get("from_name") == NOT_THIS else 1
            yield from ((label, answer) for kind in _KINDS for label in _labels(value.get(kind)))


def _labels(value: Any) -> list[str]:
    """Labels of a choice: "a", ["a", "b"], [["a", "below a"]] (a path) or {"choices": [...]}, as such or as JSON text."""
    if isinstance(value, str):
        text = value.strip()
        if text[:1] in ("[", "{"):
            try:
                return _labels(json.loads(text))
            except ValueError:
                return [text]
        return [text] if text else []
    if isinstance(value, dict):
        return [label for kind in _KINDS for label in _labels(value.get(kind))]
    if isinstance(value, list):
        return ["/".join(map(str, one)) if isinstance(one, list) else str(one) for one in value]
    return []


def _of_csv(path: Path, rows: csv.DictReader[str]) -> Iterator[dict[str, Any]]:
    columns = set(rows.fieldnames or ())
    if columns.issuperset(OWN_COLUMNS):
        for row in rows:
            if all(row[name] == "" for name in ("answer", "annotator_id", "answered_at")):
                continue  # handed out, and nobody has answered yet
            task = {"task": row["task"]} if row.get("task") else {}
            answer = {name: row[name] for name in OWN_COLUMNS}
            yield answer | {"answer": _number(row["answer"] or ""), "from": f"line {rows.line_num}"} | task
        return
    if not columns.issuperset({"annotation_id", "annotator", "updated_at", "video_id"}):
        raise LabelError(
            f"{path.name}: the columns must be {', '.join(OWN_COLUMNS)}, or those of Label Studio's CSV export (video_id, annotation_id, "
            f"annotator, updated_at, label); it has {', '.join(sorted(columns)) or 'none'}"
        )
    for row in rows:
        shared = {"video_id": row["video_id"], "annotator_id": row["annotator"], "answered_at": row["updated_at"]}
        shared |= {"from": f"line {rows.line_num}"} | ({"task": row["task"]} if row.get("task") else {})
        said: list[tuple[str | None, int]] = [(label, 0) for label in _labels(row.get(NOT_THIS))]
        said += [(label, 1) for label in _labels(row.get("label"))]
        yield from _answers(said, shared)


def _answers(said: list[tuple[str | None, int]], shared: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One answer a label; of an annotation without any, one that import_labels will refuse, so that it is not lost."""
    yield from ({"label": label, "answer": answer, **shared} for label, answer in dict(said or [(None, -1)]).items())


def _number(text: str) -> Any:
    return int(text) if text.strip() in ("1", "0", "-1") else text


def _with_id(line: dict[str, Any]) -> dict[str, Any]:
    said = [line.get(name) for name in ("video_id", "task", "label", "answer", "annotator_id", "answered_at")]
    return {"event_id": hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()[:32]} | line
