"""Files that people and labelling tools put down as JSON lines: which there are for a date, what they hold so far.

In the inbox, to which people and tools append, only complete lines count: a last line without its newline is still being written
and is left for next time. A delivered file is finished: its last line needs no newline.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelhouse.errors import StorageError
from reelhouse.labels.lines import LineKind, parse_line
from reelhouse.labels.taxonomy import Taxonomy
from reelhouse.sources.values import RowError

FOLDERS = ("labels", "exports", "tag_reviews")
INBOX = "inbox/"
BLOCK_BYTES = 8 * 2**20  # a Spark task parses about so much


@dataclass(frozen=True)
class Chunk:
    """Lines of a file: bytes [start, end), the number of the first line (from 1), and the bytes' CRC-32."""

    batch: str
    path: str
    start: int
    end: int
    first_line: int
    checksum: int


@dataclass(frozen=True)
class DeliveredFile:
    """A file of one of FOLDERS. `batch` is its path below the delivery folder; those of the inbox begin with `inbox/`.

    `is_unfinished`: its last line lacks the newline and was left for next time.
    """

    folder: str
    batch: str
    content: str
    chunks: tuple[Chunk, ...]
    is_unfinished: bool = False

    @property
    def is_log(self) -> bool:
        """A file of the inbox: it grows, is emptied and begun anew, but what it said once was said."""
        return self.batch.startswith(INBOX)


def delivered_files(deliveries: str, inbox: str, date: dt.date, block_bytes: int = BLOCK_BYTES) -> list[DeliveredFile]:
    """JSON-line files for a date: of <deliveries>/<date>/ and of the inbox, each sorted by name. Missing folders hold nothing.

    deliveries, inbox: folders, or empty where there are none. Hidden files are left out. Raises StorageError if one can't be read.
    """
    roots = [(Path(deliveries) / date.isoformat(), "")] if deliveries else []
    roots += [(Path(inbox), INBOX)] if inbox else []
    files = []
    for folder in FOLDERS:
        for root, prefix in roots:
            for path in sorted((root / folder).glob("*.jsonl")):
                if path.is_file() and not path.name.startswith("."):
                    files.append(_scan(path, folder, f"{prefix}{folder}/{path.name}", block_bytes))
    return files


def read_chunk(chunk: Chunk) -> list[tuple[int, bytes]]:
    """(line number, line without its line end) of a chunk. Raises StorageError if the file is not what it was when it was scanned."""
    try:
        with open(chunk.path, "rb") as handle:
            handle.seek(chunk.start)
            data = handle.read(chunk.end - chunk.start)
    except OSError as error:
        raise StorageError(f"{chunk.path} could be listed but not read ({error}): run again") from error
    if zlib.crc32(data) != chunk.checksum:
        raise StorageError(f"{chunk.path} was changed while it was read: run again once it is written")
    lines = data.removesuffix(b"\n").split(b"\n")
    if chunk.start == 0:
        lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")  # byte order mark
    return [(number, line.removesuffix(b"\r")) for number, line in enumerate(lines, chunk.first_line)]


def inbox_events(
    inbox: Path, kind: LineKind, trees: Mapping[str, Taxonomy], but: str = ""
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(event, the line as it was written) of the inbox's lines of one kind, as import_labels takes them.

    Lines that it refuses are left out: it tells of them. but: of files whose names begin so, nothing. StorageError as delivered_files.
    """
    for file in delivered_files("", str(inbox), dt.date.min):
        name = file.batch.rpartition("/")[2]
        if file.folder != kind.folder or (but and name.startswith(but)):
            continue
        for chunk in file.chunks:
            for _, line in read_chunk(chunk):
                with suppress(RowError):
                    yield parse_line(kind, line, trees), json.loads(line)


def _scan(path: Path, folder: str, batch: str, block_bytes: int) -> DeliveredFile:
    digest, chunks = hashlib.sha256(), []
    start, line, rest = 0, 1, b""

    def add(data: bytes) -> None:
        nonlocal start, line
        digest.update(data)
        chunks.append(Chunk(batch, str(path.resolve()), start, start + len(data), line, zlib.crc32(data)))
        start, line = start + len(data), line + data.count(b"\n")

    try:
        with open(path, "rb") as handle:
            while block := handle.read(block_bytes):
                cut = block.rfind(b"\n") + 1
                if not cut:
                    rest += block
                    continue
                data, rest = rest + block[:cut], block[cut:]
                add(data)
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error}. Make it readable, or take it out of the folder, and run again.") from error
    is_unfinished = batch.startswith(INBOX) and bool(rest.strip())
    if rest.strip() and not is_unfinished:
        add(rest)
    return DeliveredFile(folder, batch, digest.hexdigest()[:24], tuple(chunks), is_unfinished)
