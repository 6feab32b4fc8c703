"""What the set-up recorded about this installation: Java, the Delta JARs, the launcher that could be built."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from reelhouse.errors import StorageError

RECORD = Path(sys.prefix) / "share" / "reelhouse" / "environment.json"


@dataclass(frozen=True)
class Environment:
    java_home: str | None
    jars: list[str]
    launcher: str
    classes: str | None  # Java's archive of the classes that a session loads


def installed() -> Environment:
    """Read the record that `make setup` leaves in the environment. StorageError if it is missing or names lost files."""
    path = Path(os.environ.get("REELHOUSE_ENVIRONMENT") or RECORD)
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StorageError(f"the environment's record {path} can't be read ({error}); run `make setup`") from error
    lost = [jar for jar in record["jars"] if not Path(jar).exists()]
    if lost:
        raise StorageError(f"Delta's JARs are missing: {', '.join(lost)}; run `make setup`")
    classes = path.with_name("classes.jsa")
    archived = str(classes) if classes.is_file() else None
    return Environment(record.get("java_home"), record["jars"], record.get("launcher", "torch"), archived)
