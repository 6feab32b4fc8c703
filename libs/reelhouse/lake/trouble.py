"""What storage says when it refuses, in words that a person can act on."""

from __future__ import annotations

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
}


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
        if isinstance(error, OSError):
            raise StorageError(f"{doing} failed: {error}. Nothing half-written is left; mend that and run again.") from error
        raise
