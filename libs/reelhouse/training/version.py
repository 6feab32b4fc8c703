"""The version of a model: known before it is trained, the same in every replay."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.resources import files

from reelhouse.sections import TrainingSettings

# How ranks are started and how long they may take does not change what is learned; the snapshot's id holds the settings that made it.
_NOT_LEARNED = {"launcher", "hosts", "timeout_minutes"}
_CODE = {"reelhouse.models": None, "reelhouse.features": None, "reelhouse.training": ("loop.py", "reading.py", "ranks.py")}


def version_of(snapshot_id: str, settings: TrainingSettings) -> str:
    """Short hash of snapshot, settings and code: twelve hexadecimal digits."""
    parts = [snapshot_id, settings.model_dump(exclude=_NOT_LEARNED), code_hash()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


@cache
def code_hash() -> str:
    """Hash of the sources that decide what a model learns."""
    digest = hashlib.sha256()
    for package, wanted in _CODE.items():
        for file in sorted(files(package).iterdir(), key=lambda f: f.name):
            if file.name.endswith(".py") and (wanted is None or file.name in wanted):
                digest.update(f"{package}/{file.name}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
