"""Write a sample: deliveries by date, as a real source would hand them over, and apart from them the truth."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from reelhouse.errors import SettingsError, StorageError
from reelhouse.sample.clips import damage, write_clip, write_copy
from reelhouse.sample.events import Labels, draw_interactions, draw_labels
from reelhouse.sample.plan import Plan, Video, make_plan
from reelhouse.sample.truth import write_jsonl, write_truth
from reelhouse.sample.world import ITEMS

VERSION = 1  # of what a sample holds: one that an older code made is made anew
SAID_EVERY = 25  # videos between two words of progress
COMPLETE, MAKING = ".complete", ".making"
_MANIFEST_COLUMNS = ("video_id", "file", "title", "caption", "hashtags", "cover_text", "asr_text", "author_id", "published_at", "item_ids")
_FORMATS = ("csv", "jsonl", "parquet")  # of the manifests of the first, second, third day, and so on in turn


def make_sample(
    into: Path,
    *,
    videos: int = 200,
    days: int = 3,
    seed: int = 7,
    processes: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Make about `videos` short videos over `days` dates from 2026-01-01 below `into`: deliveries/<date>/ and truth/. Returns `into`.

    The same arguments give the same manifests, labels and truth, byte for byte. A complete sample is left as it is; one that
    was broken off is made anew. Raises SettingsError where `into` holds something else, StorageError where it can't be written.
    """
    wanted = json.dumps({"videos": videos, "days": days, "seed": seed, "version": VERSION}, sort_keys=True)
    into = Path(into)
    if (into / COMPLETE).is_file() and (into / COMPLETE).read_text() == wanted:
        return into
    plan = make_plan(videos, days, seed)
    labels = draw_labels(plan)
    try:
        _clear(into)
        (into / MAKING).write_text(wanted)
        _write_media(into, plan, processes or os.cpu_count() or 1, say)
        for day in range(days):
            _write_day(into / "deliveries" / plan.date(day).isoformat(), plan, labels, day)
        write_truth(into / "truth", plan, labels, refused_rows(plan))
        (into / MAKING).rename(into / COMPLETE)
    except OSError as error:
        raise StorageError(f"the sample can't be written below {into}: {error}") from error
    return into


def dates(sample: Path) -> list[str]:
    """Dates of a sample, oldest first. Raises StorageError where it is not complete."""
    if not (sample / COMPLETE).is_file():
        raise StorageError(f"there is no complete sample in {sample}: make it with `reelhouse sample`")
    return sorted(path.name for path in (sample / "deliveries").iterdir())


def _clear(into: Path) -> None:
    if into.is_dir() and any(into.iterdir()) and not ((into / COMPLETE).exists() or (into / MAKING).exists()):
        raise SettingsError(f"{into} holds something that is no sample: give an empty or new folder")
    into.mkdir(parents=True, exist_ok=True)
    (into / COMPLETE).unlink(missing_ok=True)
    (into / MAKING).touch()
    for name in ("deliveries", "truth"):
        shutil.rmtree(into / name, ignore_errors=True)


def _write_media(into: Path, plan: Plan, processes: int, say: Callable[[str], None]) -> None:
    """Originals first, then the copies that are made from them, then what is broken on purpose and what is delivered again."""
    at = {v.video_id: into / "deliveries" / plan.date(v.day).isoformat() / v.file for v in plan.videos if v.file}
    for path in at.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    firsts = [(at[v.video_id], v.clip) for v in plan.videos if v.clip is not None and v.kind != "copy"]
    copies = [(at[v.video_id], at[v.copy_of], v.transform) for v in plan.videos if v.copy_of is not None]
    say(f"drawing and encoding {len(firsts) + len(copies)} videos")
    done = 0
    for work, jobs in ((write_clip, firsts), (write_copy, copies)):
        for _ in _each(work, jobs, processes):
            done += 1
            if done % SAID_EVERY == 0:
                say(f"{done} of {len(firsts) + len(copies)} videos")
    for video in plan.videos:
        if video.damage is not None:
            damage(at[video.video_id], video.damage)
    for day, video_id in (*plan.repeated, *plan.corrected):
        again = into / "deliveries" / plan.date(day).isoformat() / "media" / at[video_id].name
        again.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(at[video_id], again)


def _each(work: Callable[..., None], jobs: Sequence[tuple[Any, ...]], processes: int) -> Iterator[None]:
    """Does the work, job by job; yields after each."""
    if processes == 1 or len(jobs) < 8:
        for job in jobs:
            work(*job)
            yield
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(work, *job) for job in jobs]:
            done.result()
            yield


def _write_day(folder: Path, plan: Plan, labels: Labels, day: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [_manifest_row(v) for v in plan.videos if v.day == day]
    rows += [_manifest_row(plan.by_id[video_id]) for on, video_id in plan.repeated if on == day]
    rows += [
        _manifest_row(plan.by_id[video_id]) | {"title": corrected_title(plan.by_id[video_id])}
        for on, video_id in plan.corrected
        if on == day
    ]
    if day == min(1, plan.days - 1):
        rows += [row for _, row in _bad_rows(plan)]
    _write_rows(folder / f"manifest.{_FORMATS[day % 3]}", rows, _MANIFEST_COLUMNS)
    clicks = draw_interactions(plan, day)
    _write_rows(folder / f"interactions.{_FORMATS[(day + 1) % 3]}", clicks, tuple(clicks[0]))
    if day == 0:
        items = [
            {"item_id": f"{top}-{k}", "title": title, "category_path": path}
            for top, held in ITEMS.items()
            for k, (title, path) in enumerate(held)
        ]
        _write_rows(folder / "items.csv", items, ("item_id", "title", "category_path"))
    for person in sorted({line["annotator_id"] for line in labels.lines[day]}):
        write_jsonl(folder / "labels" / f"{person}.jsonl", [line for line in labels.lines[day] if line["annotator_id"] == person])
    if day == 1:
        _write_people(folder, plan, labels)


def _write_people(folder: Path, plan: Plan, labels: Labels) -> None:
    """What people did with the first day's results: videos handed out to be labelled, phrases reviewed."""
    moment = f"{plan.date(1)}T10:00:00+00:00"
    free = [v for v in plan.videos if v.day == 0 and v.kind == "original" and v.video_id not in labels.labelled][:4]
    handed = [{"event_id": f"export-{v.video_id}", "video_id": v.video_id, "task": "category", "exported_at": moment} for v in free]
    write_jsonl(folder / "exports" / "exports.jsonl", handed)
    decisions = (("手工咖啡", "accept"), ("watch till the end", "reject"))
    reviews = [
        {"event_id": f"review-{k}", "phrase": phrase, "decision": decision, "reviewer_id": "reviewer1", "reviewed_at": moment}
        for k, (phrase, decision) in enumerate(decisions)
    ]
    write_jsonl(folder / "tag_reviews" / "reviews.jsonl", reviews)


def _manifest_row(video: Video) -> dict[str, Any]:
    text = video.text
    return {
        "video_id": video.video_id,
        "file": video.file,
        "title": text.title,
        "caption": text.caption,
        "hashtags": list(text.hashtags),
        "cover_text": text.cover_text,
        "asr_text": text.asr_text,
        "author_id": video.author_id,
        "published_at": video.published_at.isoformat(),
        "item_ids": list(video.item_ids),
    }


def corrected_title(video: Video) -> str:
    return f"{video.text.title}（更正）"


def _bad_rows(plan: Plan) -> list[tuple[str, dict[str, Any]]]:
    """(rule of ops.quarantine, row) of manifest rows that can't be taken in."""
    nothing: dict[str, Any] = dict.fromkeys(_MANIFEST_COLUMNS) | {"hashtags": [], "item_ids": []}
    day = min(1, plan.days - 1)
    there = next(v for v in plan.videos if v.day == day and v.kind == "original")
    return [
        ("bad_timestamp", nothing | {"video_id": "bad-time", "title": "一个视频", "published_at": "yesterday"}),
        ("path_outside", nothing | {"video_id": "bad-path", "file": "../../../etc/passwd", "title": "一个视频"}),
        ("empty_row", nothing | {"video_id": "bad-empty"}),
        ("duplicate_id", nothing | {"video_id": there.video_id, "title": "另一个视频"}),
    ]


def refused_rows(plan: Plan) -> list[dict[str, Any]]:
    day = min(1, plan.days - 1)
    return [{"rule": rule, "video_id": row["video_id"], "date": plan.date(day).isoformat()} for rule, row in _bad_rows(plan)]


def _write_rows(path: Path, rows: list[dict[str, Any]], columns: Sequence[str]) -> None:
    if path.suffix == ".jsonl":
        write_jsonl(path, [{name: value for name, value in row.items() if value not in (None, [])} for row in rows])
    elif path.suffix == ".csv":
        with open(path, "w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_cell(row[name]) for name in columns] for row in rows)
    else:
        _write_parquet(path, rows, columns)


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else "" if value is None else value


def _write_parquet(path: Path, rows: list[dict[str, Any]], columns: Sequence[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"hashtags": pa.list_(pa.string()), "item_ids": pa.list_(pa.string()), "watched_seconds": pa.float64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in columns])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
