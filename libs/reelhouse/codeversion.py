"""Which code a job's rows depend on: a hash over the job's file and the domain modules that it imports."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

_LIBS = Path(__file__).resolve().parents[1]
# How a job is run does not change what it computes.
_NOT_COUNTED = ("reelhouse.run", "reelhouse.lake", "reelhouse.pipeline", "reelhouse.quality", "reelhouse.errors", "reelhouse.settings")


@cache
def code_version(job_file: Path, *others: Path) -> str:
    """Short hash of the sources of a job, of every `reelhouse` module that it imports, directly or through others, and of other files."""
    seen = {path: path.read_bytes() for path in others}
    queue = [job_file]
    while queue:
        path = queue.pop()
        if path in seen:
            continue
        seen[path] = path.read_bytes()
        queue += _imported(path, seen[path])
    digest = hashlib.sha256()
    for path in sorted(seen):
        digest.update(path.name.encode() + b"\0" + seen[path] + b"\0")
    return digest.hexdigest()[:16]


def _imported(path: Path, source: bytes) -> list[Path]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source, str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return [file for name in sorted(names) if name.startswith("reelhouse.") and not name.startswith(_NOT_COUNTED) for file in _files(name)]


def _files(module: str) -> list[Path]:
    base = _LIBS.joinpath(*module.split("."))
    return [file for file in (base.with_suffix(".py"), base / "__init__.py") if file.exists()]
