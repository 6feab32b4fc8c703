"""Takedowns: an event that hides a video at once from views, jobs and search, and the purge that removes its bytes."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from reelhouse import tables
from reelhouse.errors import AuditError, LockedError, NotFoundError
from reelhouse.lake import Lake, conform
from reelhouse.lake.trouble import storage_errors
from reelhouse.pipeline import begun
from reelhouse.report import forget_videos, mention_of
from reelhouse.schedule import LOCK, LOGS
from reelhouse.settings import CONF
from reelhouse.tables import Column as TableColumn
from reelhouse.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from reelhouse.vectors import VectorStore


def take_down(lake: Lake, vectors: VectorStore, video_id: str, date: dt.date, reason: str, requested_by: str) -> None:
    """Record the takedown of a video; remove its vectors and the reports that show it. Asking twice changes nothing.

    Raises NotFoundError if no video of that id ever arrived.
    """
    with lake.lock("takedown"):  # else one of two at once is lost: each writes the day whole
        if video_id not in lake.taken_down:
            _record(lake, video_id, date, reason, requested_by)
    # also when it was recorded before: that one may have been cut off here
    vectors.forget([video_id])
    forget_videos(lake, [video_id])


def _record(lake: Lake, video_id: str, date: dt.date, reason: str, requested_by: str) -> None:
    from pyspark.sql import functions as F

    from reelhouse.quality import audit

    arrived = lake.read(tables.VIDEO_ARRIVALS).where(F.col("video_id") == video_id).select("content_sha256").distinct().collect()
    if not arrived:
        raise NotFoundError(f"no video {video_id!r} ever arrived; nothing was deleted")
    contents = sorted(row.content_sha256 for row in arrived if row.content_sha256)
    day = {"data_date": date}
    known = lake.read(tables.DELETIONS, f"data_date = date'{date}'")
    event = lake.spark.createDataFrame(
        [(video_id, reason or None, requested_by or None, dt.datetime.now(dt.UTC).replace(tzinfo=None), contents)],
        "video_id string, reason string, requested_by string, requested_at timestamp, content_sha256 array<string>",
    )
    rows = conform(tables.DELETIONS, known.unionByName(conform(tables.DELETIONS, event, day)), day).localCheckpoint()
    if failed := [c for c in audit(tables.DELETIONS, rows, CONF / "expectations").checks if not c["passed"]]:
        raise AuditError(f"bronze.deletions for {date}: {'; '.join(c['details'] for c in failed)}. The takedown was not recorded.")
    lake.replace(tables.DELETIONS, rows, day, count=rows.count(), metadata={"job": "delete", "date": str(date)})


def purge(lake: Lake, vectors: VectorStore) -> dict[str, int]:
    """Remove the rows of taken-down videos, and their names in other rows, from every file; returns rows removed a table, how many
    `reports` showed one, and how many `logs` of scheduled runs below the root named one.

    Only the days that hold such rows are rewritten; old files are removed at once, so Delta's time travel ends here.
    Where another video's row names one that is gone (a copy group, an example), the name becomes `removed-<hash>`.
    LockedError while a run is at work on what is purged.
    """
    gone = lake.taken_down
    removed: dict[str, int] = {}
    if not gone:
        return removed
    # no lock is known there, and files that a run has written and not committed yet would be vacuumed
    if not lake.is_local and (busy := begun(lake.marks())):
        jobs = "; ".join(f"{', '.join(sorted(names))} of {day}" for day, names in sorted(busy.items()))
        raise LockedError(
            f"nothing was purged in {lake.root}: a job is at work there, or failed or was cut off ({jobs}). Wait for it to end, or run "
            "that day again, then purge"
        )
    for table in tables.ALL.values():
        if table is tables.DELETIONS or not lake.exists(table) or not (table.has_video or _naming(table)):
            continue
        count = _purge_table(lake, table, gone)
        if count is not None:
            removed[table.name] = count
    vectors.purge(gone)
    if pages := forget_videos(lake, gone):  # by takedowns these are gone; a report that was being written then is not
        removed["reports"] = len(pages)
    if logs := _purge_logs(lake, gone):
        removed["logs"] = logs
    return removed


def _purge_logs(lake: Lake, gone: list[str]) -> int:
    folder, mention, changed = Path(lake.root) / LOGS, re.compile(mention_of(gone)), 0
    if not lake.is_local or not folder.is_dir():
        return 0
    with _alone(FileLock(folder / LOCK, timeout=0), f"a scheduled run is at work in {lake.root}"), storage_errors(f"writing to {folder}"):
        for path in sorted(folder.glob("*.log")):
            words = path.read_bytes().decode(errors="surrogateescape")
            if mention.search(words):
                part = path.with_suffix(".part")
                part.write_bytes(mention.sub("(removed)", words).encode(errors="surrogateescape"))
                part.replace(path)
                changed += 1
    return changed


def _purge_table(lake: Lake, table: Table, gone: list[str]) -> int | None:
    from pyspark.sql import functions as F

    rows = lake.spark.read.format("delta").load(lake.path(table))
    own = F.col("video_id").isin(gone) if table.has_video else F.lit(False)
    own = F.coalesce(own, F.lit(False))
    named = F.lit(False)
    for column in _naming(table):
        value = F.col(column.name)
        if column.names_videos == "within":
            hit = value.rlike(mention_of(gone))
        else:
            hit = F.arrays_overlap(value, F.array(*map(F.lit, gone))) if column.type.startswith("array") else value.isin(gone)
        named = named | F.coalesce(hit, F.lit(False))
    days = [row.data_date for row in rows.where(own | named).select("data_date").distinct().orderBy("data_date").collect()]
    removed = 0
    for day in days:
        of_day = rows.where(F.col("data_date") == F.lit(day))
        with _alone(lake.lock(f"run-{day}", timeout=0), f"a run is at work on {day} in {lake.root}"):
            kept = _renamed(of_day.where(~own), table, gone)
            kept = conform(table, kept, {"data_date": day}).localCheckpoint()
            count = kept.count()
            removed += of_day.count() - count
            lake.replace(table, kept, {"data_date": day}, count=count, metadata={"job": "purge", "date": str(day)})
    # Also after a purge that was cut off: files of an earlier, finished rewrite may still lie about.
    lake.vacuum(table, hours=0)
    return removed if days else None


@contextmanager
def _alone(lock: Any, busy: str) -> Iterator[None]:
    """No run meanwhile: what it writes between the purge's read and write would be undone. LockedError if there is one."""
    try:
        with lock:
            yield
    except Timeout as error:
        raise LockedError(f"{busy}; purge again when it has ended: what is done stays done") from error


def _renamed(rows: DataFrame, table: Table, gone: list[str]) -> DataFrame:
    from pyspark.sql import functions as F

    names = F.create_map(*[F.lit(part) for video_id in gone for part in (video_id, pseudonym(video_id))])

    def clean(value: Column) -> Column:
        return F.coalesce(names[value], value)

    for column in _naming(table):
        value = F.col(column.name)
        if column.names_videos == "within":
            rows = rows.withColumn(column.name, F.regexp_replace(value, mention_of(gone), "(removed)"))
        else:
            rows = rows.withColumn(column.name, F.transform(value, clean) if column.type.startswith("array") else clean(value))
    return rows


def _naming(table: Table) -> list[TableColumn]:
    return [column for column in table.columns if column.names_videos]


def pseudonym(video_id: str) -> str:
    """What stands for a purged video in other rows: the same everywhere, and not to be turned back."""
    return f"removed-{hashlib.sha256(video_id.encode()).hexdigest()[:12]}"
