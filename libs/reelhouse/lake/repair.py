"""Entries of a Delta log that a crash of the machine or a failing disk left cut short: finding them, and taking them out.

Delta reads an empty entry as a commit that changed nothing, so rows would be missing without a word: a lake on local folders looks
for such entries before it reads a table.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ENTRY = re.compile(r"\d{20}\.json")
_SUM_HEADER = b"crc\0"


@dataclass(frozen=True)
class DamagedEntry:
    """An entry of a log. run: what its writer said of itself (job, date, run_id), as far as that can be read."""

    path: Path
    run: dict[str, str]


def entries(log: Path) -> list[Path]:
    """The entries of a log, oldest first."""
    return sorted(path for path in log.iterdir() if _ENTRY.fullmatch(path.name)) if log.is_dir() else []


def empty_entries(log: Path) -> list[Path]:
    return [path for path in entries(log) if path.stat().st_size == 0]


def damaged_entries(log: Path) -> list[DamagedEntry]:
    """Entries that are empty, that are no JSON lines, or whose bytes are not those that Hadoop's checksum beside them is of."""
    return [DamagedEntry(path, _run_of(path)) for path in entries(log) if not _is_whole(path)]


def added_files(log: Path) -> set[str]:
    """Names of the files that whole entries of a log say were added, whether or not later ones removed them."""
    return {Path(line["add"]["path"]).name for path in entries(log) for line in _lines(path) if "add" in line}


def void(entry: DamagedEntry) -> Path:
    """Put an entry that changes nothing in the place of a damaged one, which is kept as `<name>.damaged`; returns where.

    What the lost commit wrote is no longer in the table, what it replaced is there again: its job must run again.
    """
    kept = entry.path.with_name(f"{entry.path.name}.damaged")
    commit = {"commitInfo": {"timestamp": int(entry.path.stat().st_mtime * 1000), "operation": "VOID", "operationParameters": {}}}
    part = entry.path.with_name(f".{entry.path.name}.part")
    part.write_text(json.dumps(commit) + "\n", encoding="utf-8")
    kept.unlink(missing_ok=True)
    kept.hardlink_to(entry.path)
    _sum_file(entry.path).unlink(missing_ok=True)
    entry.path.with_suffix(".crc").unlink(missing_ok=True)  # Delta's own summary of the table as of this entry
    part.replace(entry.path)
    return kept


def has_bytes_of_its_sum(path: Path) -> bool:
    """Whether a file's bytes fit the checksums that Hadoop keeps beside it (CRC-32 of every 512 bytes); true where it keeps none."""
    sums = _sum_file(path)
    if not sums.exists():
        return True
    content = sums.read_bytes()
    if len(content) < 8 or not content.startswith(_SUM_HEADER):
        return False
    (size,) = struct.unpack(">i", content[4:8])
    wanted = iter(struct.unpack(f">{(len(content) - 8) // 4}I", content[8 : 8 + (len(content) - 8) // 4 * 4]))
    with path.open("rb") as file:
        while chunk := file.read(size):
            if zlib.crc32(chunk) != next(wanted, None):
                return False
    return next(wanted, None) is None


def _is_whole(path: Path) -> bool:
    lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    return bool(lines) and len(list(_lines(path))) == len(lines) and has_bytes_of_its_sum(path)


def _run_of(path: Path) -> dict[str, str]:
    for line in _lines(path):
        if "commitInfo" in line:
            said = line["commitInfo"].get("userMetadata")
            return dict(json.loads(said)) if said else {}
    return {}


def _lines(path: Path) -> Iterator[dict]:
    """The leading lines that are whole JSON objects."""
    for line in path.read_bytes().split(b"\n"):
        try:
            value = json.loads(line)
        except ValueError:
            return
        yield value


def _sum_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.crc")
