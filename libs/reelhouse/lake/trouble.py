"""What storage says when it refuses, in words that a person can act on."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

import yaml

from reelhouse import tables
from reelhouse.errors import DamagedTableError, ReelhouseError, StorageError
from reelhouse.settings import CONF

_STORAGE_TROUBLE = {
    "No space left on device": "the disk is full",
    "Read-only file system": "the file system is read-only",
    "Permission denied": "writing is not permitted",
    "Not a directory": "a part of the path is a file, not a folder",
    "File too large": "the file would be larger than this process may write",
    "Disk quota exceeded": "the disk quota is used up",
    "database or disk is full": "the disk is full",  # SQLite's words
    "attempt to write a readonly database": "the file system is read-only",
}
# Of the operating system's errors those of files: a server that does not answer is another matter, and worth another try.
_STORAGE_ERRORS = {
    errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT, errno.EFBIG,
    errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG,
}  # fmt: skip


_DAMAGED = re.compile(r"\[FAILED_READ_FILE\.(\w+)\] Encountered error while reading file (?:file:)?(\S+?)\.?\s")
_LOG_GAP = re.compile(r"\[(DELTA_VERSIONS_NOT_CONTIGUOUS|DELTA_MISSING_PART_FILES|DELTA_LOG_FILE_NOT_FOUND\w*)\]\s*([^\n]*)")
_PLACE = re.compile(r"/tables/(\w+)/(\w+)/(_delta_log/)?(?:data_date=(\d{4}-\d\d-\d\d)/)?")

# what people decided, and what stays of videos and lines of the inbox that are no longer there
_KEPT = re.compile(r"/decided_by=(?!gates/)|/batch=(videos/|inbox/)")


def damage(text: str) -> DamagedTableError | None:
    """What Spark or Delta says of a file that it can't read, as an error that names table, file and remedy; None if that is not it."""
    if found := _DAMAGED.search(text):
        why, path = found[1], found[2]
        path = "/" + path.lstrip("/") if path.startswith("//") else path
        table, in_log, date = _place(path)
        lost = "is lost" if why == "FILE_NOT_EXIST" else "is damaged: its bytes are not those that were written"
        if in_log:
            mend = CHECKPOINT if path.endswith(".checkpoint.parquet") else REPAIR
            return DamagedTableError(f"{table or 'a table'}: {path}, a part of its log, {lost}. {mend}", table)
        return DamagedTableError(f"{table or 'a table'}: its file {path} {lost}. {written_again(path)}", table, date)
    if found := _LOG_GAP.search(text):
        return DamagedTableError(
            f"the log of a table has lost entries ({found[2].strip()}). Bring _delta_log back from a copy; `reelhouse doctor` says which"
        )
    return None


CHECKPOINT = "Remove that file, then run `reelhouse maintain`: the log's entries say the same"
REPAIR = "`reelhouse repair` takes it out and says which days must run again"


def written_again(path: str) -> str:
    """How to mend a table's file that is lost: what writes it again, where a job does and need not read it for that."""
    table, _, date = _place(path)
    jobs = yaml.safe_load((CONF / "pipeline.yml").read_text(encoding="utf-8"))["jobs"]
    writer = next((job["name"] for job in jobs if table in job.get("writes", ())), None)
    kept = _KEPT.search(unquote(unquote(path)))
    if writer is None or date is None or kept or (table == tables.LABEL_EVENTS.name and "/batch=labels%" not in path):
        return "Bring it back from a copy"
    again = f"`reelhouse job {writer} --date {date} --force` writes it again"
    batch = re.search(r"/batch=([^/]+)/", path)
    return f"{again} while {unquote(unquote(batch[1]))} is delivered; else bring it back from a copy" if batch else again


def _place(path: str) -> tuple[str, bool, str | None]:
    """Table, whether the file is of its log, and the day of a file below a root."""
    found = _PLACE.search(path)
    name = f"{found[1]}.{found[2]}" if found else ""
    return (name if name in tables.ALL else "", bool(found and found[3]), found[4] if found else None)


@contextmanager
def damage_errors() -> Iterator[None]:
    """Turn what Spark says of a damaged or lost file of a table into a DamagedTableError; for those who read."""
    try:
        yield
    except ReelhouseError:
        raise
    except Exception as error:
        if damaged := damage(str(error)):
            raise damaged from error
        raise


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn what an OS or Spark says of a full disk, a read-only folder, a damaged file and the like into a StorageError."""
    try:
        yield
    except ReelhouseError:
        raise
    except Exception as error:
        text = str(error)
        if damaged := damage(text):
            raise damaged from error
        for sign, meaning in _STORAGE_TROUBLE.items():
            if sign in text:
                raise StorageError(f"{doing} failed: {meaning}. Nothing half-written is left; mend that and run again.") from error
        if isinstance(error, OSError) and error.errno in _STORAGE_ERRORS:
            raise StorageError(f"{doing} failed: {error}. Nothing half-written is left; mend that and run again.") from error
        raise
