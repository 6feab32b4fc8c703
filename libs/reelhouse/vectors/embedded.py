"""Milvus Lite: a file, and a child process that serves it. One process at a time may open the file.

milvus-lite 2.5.1 has a lock of its own, but a second process that fails to get it deletes the lock file, so that a third
one gets in and two servers write one file (seen). Hence the lock here, taken first and kept as long as the server lives.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import IO

from reelhouse.errors import LockedError, StorageError, VectorStoreError

_open_files: dict[Path, EmbeddedFile] = {}


class EmbeddedFile:
    """The lock on a Milvus Lite file, shared by all stores of this process that use it."""

    def __init__(self, path: Path, lock: IO[str]) -> None:
        self.path, self.users = path, 1
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> EmbeddedFile:
        """LockedError when another process has the file open; StorageError when the folder can't be written."""
        path = path.absolute()
        if path in _open_files:
            _open_files[path].users += 1
            return _open_files[path]
        name = path.with_name(f"{path.name}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = name.open("a+", encoding="utf-8")
        except OSError as error:
            raise StorageError(f"the vectors in {path} can't be opened: {error.strerror}. Free space or mend the permissions.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "?"
            lock.close()
            raise LockedError(
                f"the vectors in {path} are in use by process {holder}: a Milvus Lite file can be opened by one process at a time. "
                "Wait until it ends, or use a Milvus server (setting vectors.uri)."
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        _open_files[path] = cls(path, lock)
        return _open_files[path]

    def start(self) -> None:
        """Start the server, unless it runs. It makes a folder .cache in its home, which is that of the file while it starts."""
        from milvus_lite.server_manager import server_manager_instance

        home = os.environ.get("HOME")
        os.environ["HOME"] = str(self.path.parent)
        try:
            server_manager_instance.start_and_get_uri(str(self.path))
        finally:
            os.environ.pop("HOME") if home is None else os.environ.update(HOME=home)

    def close(self) -> None:
        """End the server and let the file go, once nobody in this process uses it any more."""
        self.users -= 1
        if self.users:
            return
        self._stop_server()
        del _open_files[self.path]
        self._lock.close()

    def vacuum(self) -> None:
        """Rewrite the file without the bytes of deleted rows. The server is ended for it and starts again on the next use."""
        self._stop_server()
        try:
            connection = sqlite3.connect(self.path)
            try:
                connection.execute("VACUUM")
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise VectorStoreError(f"{self.path} can't be rewritten without deleted rows: {error}") from error

    def _stop_server(self) -> None:
        from milvus_lite.server_manager import server_manager_instance

        server_manager_instance.release_server(str(self.path))
