"""What storage says when it refuses, in words that a person can act on."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from reelhouse.errors import StorageError

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


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn what an OS or Spark says of a full disk, a read-only folder and the like into a StorageError."""
    try:
        yield
    except Exception as error:
        text = str(error)
        for sign, meaning in _STORAGE_TROUBLE.items():
            if sign in text:
                raise StorageError(f"{doing} failed: {meaning}. Nothing half-written is left; mend that and run again.") from error
        if isinstance(error, OSError) and error.errno in _STORAGE_ERRORS:
            raise StorageError(f"{doing} failed: {error}. Nothing half-written is left; mend that and run again.") from error
        raise
