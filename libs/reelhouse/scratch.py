"""Where temporary files lie: in the one cache folder, so that nothing is written anywhere else."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from reelhouse.errors import StorageError

# An address of a Unix socket has 107 bytes at most; below the folder come names like /tmp12345678_milvus.db.sock (embedded Milvus)
# and /pymp-12345678/listener-12345678 (Python's processes).
FOLDER_BYTES_MAX = 107 - 32
_LEFT_AFTER_SECONDS = 86_400


def cache_folder() -> Path:
    """REELHOUSE_CACHE, else ~/.cache/reelhouse; the set-up finds it by the same rule (libs/environment/layout.py)."""
    return Path(os.environ.get("REELHOUSE_CACHE") or "~/.cache/reelhouse").expanduser().absolute()


def use_cache_folder() -> None:
    """From here on this process and those that it starts put temporary files below the cache folder.

    A TMPDIR of the user's own stays, and so does the system's folder where the cache folder's path is too long for a socket. What
    killed runs left there is removed once it is a day old. Raises StorageError where the folder can't be made.
    """
    folder = cache_folder() / "tmp"
    if os.environ.get("TMPDIR") or len(os.fsencode(folder)) > FOLDER_BYTES_MAX:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"the folder for temporary files, {folder}, can't be made: {error}. Set REELHOUSE_CACHE or TMPDIR.") from error
    remove_abandoned(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


def remove_abandoned(folder: Path) -> None:
    """Remove entries in which nothing was written for a day: a run that is alive writes more often, the SQL server so that it is seen."""
    before = time.time() - _LEFT_AFTER_SECONDS
    for entry in folder.iterdir():
        try:
            if any(path.lstat().st_mtime > before for path in (entry, *entry.rglob("*"))):
                continue
        except OSError:  # another process removes it
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
