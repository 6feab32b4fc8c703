"""Media files of a delivery: paths that stay inside of their folder, and the SHA-256 of their bytes. Runs in executors."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

from reelhouse.sources.values import RowError

if TYPE_CHECKING:
    import pyarrow as pa

_CHUNK = 2**20
_CHANGED = ("video_id", "content_sha256", "size_bytes", "rule", "reason", "row")


def inside(folder: str, path: str) -> str | None:
    """Absolute path of `path` (relative to `folder`), or None where it leaves the folder: by .., as an absolute path, by a link."""
    top = os.path.realpath(folder)
    found = os.path.normpath(os.path.join(top, path))
    try:
        real = os.path.realpath(found)
    except (OSError, ValueError):
        return None
    below = top.rstrip(os.sep) + os.sep
    return found if found.startswith(below) and real.startswith(below) else None


def digest(path: str, bytes_max: int) -> tuple[str, int]:
    """(SHA-256 of the file's bytes, its size). Raises RowError: missing_file, not_a_file, file_too_large, unreadable_file."""
    try:
        state = os.stat(path)
        if not stat.S_ISREG(state.st_mode):
            raise RowError("not_a_file", f"{path} is no file")
        if state.st_size > bytes_max:
            raise RowError("file_too_large", f"{path} has {state.st_size} bytes, sources.file_bytes_max is {bytes_max}")
        sha, size = hashlib.sha256(), 0
        with open(path, "rb", buffering=0) as handle:
            while chunk := handle.read(_CHUNK):
                sha.update(chunk)
                size += len(chunk)
        return sha.hexdigest(), size
    except FileNotFoundError:
        raise RowError("missing_file", f"there is no file {path}: deliver it, then the manifest again") from None
    except OSError as error:
        raise RowError("unreadable_file", f"{path} can't be read: {error.strerror}") from None


def hash_media(batches: Iterator[pa.RecordBatch], *, bytes_max: int) -> Iterator[pa.RecordBatch]:
    """For mapInArrow: fill content_sha256, size_bytes and (where there is none) video_id of rows with a uri; refuse bad files."""
    import pyarrow as pa

    for batch in batches:
        changed = {name: batch.column(name).to_pylist() for name in _CHANGED}
        uris = batch.column("uri").to_pylist()
        for at, uri in enumerate(uris):
            if uri is None or changed["rule"][at] is not None:
                continue
            try:
                changed["content_sha256"][at], changed["size_bytes"][at] = digest(uri, bytes_max)
                changed["video_id"][at] = changed["video_id"][at] or changed["content_sha256"][at]
            except RowError as error:
                changed["rule"][at], changed["reason"][at], changed["row"][at] = error.rule, str(error), uri
        columns = [pa.array(changed[f.name], f.type) if f.name in changed else batch.column(f.name) for f in batch.schema]
        yield pa.RecordBatch.from_arrays(columns, schema=batch.schema)
