"""Answers as labelling tools export them -> lines of the inbox: Label Studio's JSON and CSV, and a CSV of one's own."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelhouse.errors import LabelError, StorageError
from reelhouse.labels.delivered import inbox_events
from reelhouse.labels.lines import LABELS, parse_line
from reelhouse.labels.taxonomy import Taxonomy
from reelhouse.sources.values import RowError, convert

OWN_COLUMNS = ("video_id", "label", "answer", "annotator_id", "answered_at")
NOT_THIS = "not"  # a control of this name holds labels that the video does not have
_FORMULA = re.compile(r"'*[=+\-@\t\r]")  # or what looks like one that was quoted already
_KINDS = ("choices", "taxonomy", "labels")
_ANNOTATION = "task {}, annotation {}"
_ANSWERED_AT = next(field for field in LABELS.fields if field.name == LABELS.time)


@dataclass(frozen=True)
class Imported:
    """lines: what goes to the inbox, in the file's order; refused: (where in the file, why) of those that import_labels won't take."""

    lines: list[dict[str, Any]]
    refused: list[tuple[str, str]]


def read_answers(path: Path, trees: Mapping[str, Taxonomy], task: str, inbox: Path | None = None) -> Imported:
    """Every answer in a file, and which of them won't be taken; task: for those that name none; inbox: what was imported before.

    .json: Label Studio's export (JSON, not JSON-MIN): the label that an annotation chose is a yes, of several on one line of the tree the
    deepest; those of a control called `not` are a no; a cancelled annotation says -1 of what it had chosen and of what was suggested.
    .csv: Label Studio's, or columns video_id, label, answer, annotator_id, answered_at; a row without the last three is no answer.
    An answer's id is a hash of what it says and when, so that a file, or a later export of the same project, may be imported again:
    what an annotation said before and says no longer is withdrawn with -1, and so is all that one said which its task in the .json has no
    longer (see `_of_deleted`). LabelError if the file is none of these; StorageError if it,
    or the inbox, can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error}") from error
    except UnicodeDecodeError as error:
        raise LabelError(f"{path} is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8") from error
    tasks = _tasks(path, text) if path.suffix.lower() == ".json" else []
    if path.suffix.lower() == ".json":
        answers = _of_label_studio(tasks, trees, task)
    elif path.suffix.lower() == ".csv":
        answers = _of_csv(path, csv.DictReader(io.StringIO(text, newline="")), trees, task)
    else:
        raise LabelError(f"{path.name}: a file of answers is Label Studio's .json or a .csv")
    try:
        said = list(answers)
    except csv.Error as error:
        raise LabelError(f"{path.name} is no CSV: {error}") from error
    except RecursionError as error:
        raise LabelError(f"{path.name}: a result is nested too deeply to be a choice of labels") from error
    if inbox:
        before = _said_before(inbox, trees)
        said = [*_of_deleted(tasks, before, task), *_with_withdrawals(said, before, trees)]
    lines = [_with_id(answer) for answer in said]
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
    return _encoded("".join(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n" for line in lines))


def _encoded(text: str) -> bytes:
    """JSON as UTF-8. Half a character, of which that holds none, stays as JSON writes it: import_labels then says what is wrong."""
    return text.encode(errors="backslashreplace")


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
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path.name} is no JSON: {error}") from error
    if not isinstance(tasks, list) or not all(isinstance(one, dict) and "annotations" in one and "data" in one for one in tasks):
        raise LabelError(f"{path.name}: tasks with `data` and `annotations` are wanted; export the project as JSON (not JSON-MIN)")
    return tasks


def _of_label_studio(tasks: Iterable[Mapping[str, Any]], trees: Mapping[str, Taxonomy], default: str) -> Iterator[dict[str, Any]]:
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
                "from": _ANNOTATION.format(task.get("id"), annotation.get("id")),
                "task": data.get("task") or default,
            }
            said = list(_chosen(annotation))
            if annotation.get("was_cancelled"):
                said = [(label, -1) for label in [*(label for label, _ in said), *suggested]]
            yield from _answers(said, shared, trees)


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
    """Labels of a choice: "a", ["a", "b"], [["a", "below a"]] (a path), {"choices": [...]} or a list of such, as such or as JSON text."""
    if isinstance(value, str):
        text = value.strip()
        if text[:1] in ("[", "{"):
            try:
                return _labels(json.loads(text))
            except (ValueError, RecursionError):
                return [text]
        return [text] if text else []
    if isinstance(value, dict):
        return [label for kind in _KINDS for label in _labels(value.get(kind))]
    if isinstance(value, list):
        return [label for one in value for label in (_labels(one) if isinstance(one, dict) else [_path(one)])]
    return []


def _path(one: Any) -> str:
    return "/".join(map(str, one)) if isinstance(one, list) else str(one)


def _of_csv(path: Path, rows: csv.DictReader[str], trees: Mapping[str, Taxonomy], default: str) -> Iterator[dict[str, Any]]:
    columns = set(rows.fieldnames or ())
    if columns.issuperset(OWN_COLUMNS):
        for row in rows:
            if all(row[name] == "" for name in ("answer", "annotator_id", "answered_at")):
                continue  # handed out, and nobody has answered yet
            answer = {name: row[name] for name in OWN_COLUMNS} | {"task": row.get("task") or default}
            answer["video_id"] = _as_written(row["video_id"] or "")
            yield answer | {"answer": _number(row["answer"] or ""), "from": f"line {rows.line_num}"}
        return
    if not columns.issuperset({"annotation_id", "annotator", "updated_at", "video_id"}):
        raise LabelError(
            f"{path.name}: the columns must be {', '.join(OWN_COLUMNS)}, or those of Label Studio's CSV export (video_id, annotation_id, "
            f"annotator, updated_at, label); it has {', '.join(sorted(columns)) or 'none'}"
        )
    for row in rows:
        if not row["annotation_id"]:
            continue  # a task that nobody has annotated yet
        shared = {"video_id": row["video_id"], "annotator_id": row["annotator"], "answered_at": row["updated_at"]}
        shared |= {"from": _ANNOTATION.format(row.get("id"), row["annotation_id"]), "task": row.get("task") or default}
        said = [(label, 0) for label in _labels(row.get(NOT_THIS))] + [(label, 1) for label in _labels(row.get("label"))]
        yield from _answers(said, shared, trees)


def no_formula(text: str) -> str:
    """A cell that a spreadsheet shows instead of computing it: anybody may write a title, or name a file. `_as_written` takes it back."""
    return f"'{text}" if _FORMULA.match(text) else text


def _as_written(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _answers(said: list[tuple[str, int]], shared: dict[str, Any], trees: Mapping[str, Taxonomy]) -> Iterator[dict[str, Any]]:
    """One answer a label, at most one yes; of an annotation without any, one that import_labels will refuse, so that it is not lost."""
    answers = dict(said)
    yes = [label for label, answer in answers.items() if answer == 1]
    if not answers:
        yield {"label": None, "answer": -1, **shared}
    for label, answer in answers.items():
        if answer != 1:
            yield {"label": label, "answer": answer, **shared}
        elif label == yes[0]:
            yield {"label": label if len(yes) == 1 else _deepest(yes, trees.get(str(shared["task"]))), "answer": 1, **shared}


def _deepest(labels: list[str], tree: Taxonomy | None) -> str | list[str]:
    """The one that lies below all the others; where there is none, all of them, which import_labels refuses."""
    ids = {label: tree.follow(tree.resolve(label) or "") for label in labels} if tree else {}
    for label, label_id in ids.items():
        if tree and label_id and {label_id, *tree.ancestors(label_id)}.issuperset(ids.values()):
            return label
    return labels


_Before = Mapping[tuple[str, ...], list[dict[str, Any]]]


def _said_before(inbox: Path, trees: Mapping[str, Taxonomy]) -> _Before:
    """By annotation: its events that the inbox holds."""
    before: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for event, line in inbox_events(inbox, LABELS, trees):
        before.setdefault(_annotation(line), []).append(event)
    return before


def _of_deleted(tasks: Iterable[Mapping[str, Any]], before: _Before, default: str) -> Iterator[dict[str, Any]]:
    """A -1 for each label of an annotation that a task of the file had and has no longer. A task that is not in the file withdraws nothing.

    Label Studio sets a task's `updated_at` when an annotation of it is deleted: an annotation that is newer stays, since the file is then
    the older of the two; so does all of a task without that time. The -1 follows the annotation's last word at once, so that what its
    author said instead, before the task's time, stands.
    """
    for task in tasks:
        data = task["data"] if isinstance(task["data"], dict) else {}
        there = {_ANNOTATION.format(task.get("id"), one.get("id")) for one in _objects(task["annotations"])}
        of_task, about = _ANNOTATION.format(task.get("id"), ""), (str(data.get("video_id")), str(data.get("task") or default))
        at = _time({LABELS.time: task.get("updated_at")})
        for (name, *where, person), events in sorted(before.items()):
            if at is None or name in there or not name.startswith(of_task) or tuple(where) != about:
                continue
            last = max(event["answered_at"] for event in events)
            if last < at:
                shared = {"video_id": about[0], "annotator_id": person, "from": name, "task": about[1]}
                shared["answered_at"] = (last + dt.timedelta(microseconds=1)).isoformat()
                yield from ({"label": label, "answer": -1, **shared} for label, answer in sorted(_stood(events).items()) if answer != -1)


def _stood(events: Iterable[dict[str, Any]]) -> dict[str, int]:
    """The newest answer by label."""
    return {event["label_id"]: event["answer"] for event in sorted(events, key=lambda event: event["answered_at"])}


def _with_withdrawals(answers: list[dict[str, Any]], before: _Before, trees: Mapping[str, Taxonomy]) -> list[dict[str, Any]]:
    """The answers, and before them a -1 for each label that an annotation gave in an earlier version and gives no longer."""
    versions: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for answer in answers:
        if answer["from"].startswith("task "):  # a row of one's own CSV has no versions
            versions.setdefault(_annotation(answer), []).append(answer)
    withdrawn, emptied = [], set()
    for key, version in versions.items():
        at = _time(version[0])
        earlier = [event for event in before.get(key, ()) if at and event["answered_at"] < at]
        if not earlier:
            continue
        tree = trees[key[2]]
        texts = [text for answer in version for text in (answer["label"] if isinstance(answer["label"], list) else [answer["label"]])]
        kept = {None, *(tree.follow(tree.resolve(text) or "") for text in texts)}
        lost = [label for label, answer in sorted(_stood(earlier).items()) if answer != -1 and tree.follow(label) not in kept]
        withdrawn += [{**version[0], "label": label, "answer": -1} for label in lost]
        emptied |= {key} if lost else set()
    return [*withdrawn, *(one for one in answers if one["label"] is not None or _annotation(one) not in emptied)]


def _annotation(line: Mapping[str, Any]) -> tuple[str, ...]:
    """Whose version a line is part of: the annotation's name, and what it is of."""
    return tuple(str(line.get(name)) for name in ("from", "video_id", "task", "annotator_id"))


def _time(line: Mapping[str, Any]) -> dt.datetime | None:
    try:
        at: dt.datetime | None = convert(_ANSWERED_AT, line.get(LABELS.time))
    except RowError:
        return None
    return at


def _number(text: str) -> Any:
    return int(text) if text.strip() in ("1", "0", "-1") else text


def _with_id(line: dict[str, Any]) -> dict[str, Any]:
    said = [line.get(name) for name in ("video_id", "task", "label", "answer", "annotator_id", "answered_at")]
    return {"event_id": hashlib.sha256(_encoded(json.dumps(said, ensure_ascii=False))).hexdigest()[:32]} | line
