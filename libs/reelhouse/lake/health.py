"""The state of tables on local folders as their files tell it: read without Spark, in milliseconds a table, and while runs are at work."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from reelhouse import tables
from reelhouse.lake.repair import damaged_entries, entries, has_bytes_of_its_sum
from reelhouse.tables import Table


@dataclass(frozen=True)
class TableHealth:
    """What is wrong with a table's files, and how it stands.

    damaged: log entries that can't be read. missing: the number of an entry that is not there. lost_checkpoint: the file that
    `_last_checkpoint` names and that is not there or can't be read; reaches_back: whether the log's entries go back to the first, which
    makes up for it.
    lost: files that the table refers to and that are not there, or have other bytes. left: bytes of files that it no longer refers to,
    written before a given time.
    """

    table: str
    damaged: list[Path] = field(default_factory=list)
    missing: int | None = None
    lost_checkpoint: Path | None = None
    reaches_back: bool = True
    lost: list[Path] = field(default_factory=list)
    files: int = 0
    days: int = 0
    left: int = 0
    optimized: dt.datetime | None = None


def table_health(root: Path, table: Table, *, left_before: float, thorough: bool = False) -> TableHealth | None:
    """None where the table was never written. thorough: read every file and compare its bytes with their checksums."""
    folder = root / "tables" / table.path
    log = folder / "_delta_log"
    if not entries(log) and not list(log.glob("*.checkpoint*.parquet")):
        return None
    if damaged := [entry.path for entry in damaged_entries(log)]:
        return TableHealth(table.name, damaged)
    version, held, lost = _last_checkpoint(log)
    reaches_back = (log / f"{0:020d}.json").exists()
    if lost and not reaches_back:
        return TableHealth(table.name, lost_checkpoint=lost, reaches_back=False)
    numbers = [int(entry.stem) for entry in entries(log)]
    missing = next((n for n in range(numbers[0], numbers[-1]) if n not in numbers), None) if numbers else None
    if missing is not None:
        return TableHealth(table.name, missing=missing)
    active, optimized = _active(log, version, held)
    paths = {folder / unquote(path): size for path, size in active.items()}
    gone = [p for p, size in paths.items() if not _is_there(p, size, thorough)]
    left = sum(p.stat().st_size for p in folder.rglob("*.parquet") if log not in p.parents and p not in paths and _older(p, left_before))
    days = {part for path in active for part in path.split("/") if part.startswith("data_date=")}
    return TableHealth(
        table.name,
        lost_checkpoint=lost, reaches_back=reaches_back, lost=sorted(gone), files=len(active), days=len(days), left=left,
        optimized=optimized,
    )  # fmt: skip


def newest_start(root: Path) -> dt.datetime | None:
    """When the run that began last began (UTC), as ops.runs has it."""
    import pyarrow.parquet as pq

    folder = root / "tables" / tables.RUNS.path
    log = folder / "_delta_log"
    if not entries(log):
        return None
    version, held, _ = _last_checkpoint(log)
    active, _ = _active(log, version, held)
    found = [value for path in active for value in pq.ParquetFile(folder / unquote(path)).read(["started_at"])["started_at"].to_pylist()]
    return max((value.replace(tzinfo=dt.UTC) for value in found), default=None)


def unknown_folders(root: Path) -> list[Path]:
    """Folders below tables/ that are no table's."""
    known = {root / "tables" / t.path for t in tables.ALL.values()}
    return sorted(p for p in (root / "tables").glob("*/*") if p not in known)


def _is_there(path: Path, size: int, thorough: bool) -> bool:
    return path.is_file() and path.stat().st_size == size and (not thorough or has_bytes_of_its_sum(path))


def _older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except FileNotFoundError:  # a run at work removed it
        return False


def _last_checkpoint(log: Path) -> tuple[int, dict[str, int], Path | None]:
    """Version of the checkpoint that is named as the last, and path -> bytes of the files that it holds; -1 and none without one.

    Its own path where it is not there or can't be read, with which it counts as none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        version = int(json.loads((log / "_last_checkpoint").read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):  # Delta looks for one itself then
        version = max((int(path.name[:20]) for path in log.glob("*.checkpoint.parquet")), default=-1)
    if version < 0:
        return -1, {}, None
    path = log / f"{version:020d}.checkpoint.parquet"
    try:
        rows = pq.read_table(path, columns=["add"])["add"].to_pylist()
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return -1, {}, path
    return version, {row["path"]: row["size"] for row in rows if row and row["path"]}, None


def _active(log: Path, version: int, held: Mapping[str, int]) -> tuple[dict[str, int], dt.datetime | None]:
    """Path -> bytes of the files that a table refers to, and when it was last compacted as far as its log reaches.

    held: those of the checkpoint of that version.
    """
    active = dict(held)
    optimized = None
    for action in _actions(log, version):
        if "add" in action:
            active[action["add"]["path"]] = action["add"]["size"]
        elif "remove" in action:
            active.pop(action["remove"]["path"], None)
        elif action.get("commitInfo", {}).get("operation") == "OPTIMIZE":
            optimized = dt.datetime.fromtimestamp(action["commitInfo"]["timestamp"] / 1000, dt.UTC)
    return active, optimized


def _actions(log: Path, after: int) -> Iterator[dict[str, Any]]:
    for entry in entries(log):
        if int(entry.stem) > after:
            yield from (json.loads(line) for line in entry.read_text(encoding="utf-8").splitlines() if line.strip())


def days_ago(days: int) -> float:
    """Seconds since the epoch, so many days ago."""
    return time.time() - 86_400 * days
