"""The stamp that makes a second set-up a no-op, and the record that reelhouse's session reads."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from environment.layout import Layout

# a caller's settings that change what is set up
SETTINGS = ("JAVA_HOME", "CXX", "REELHOUSE_HOROVOD")
PROGRAMS = ("java", "c++", "g++", "clang++", "make")


def fingerprint(layout: Layout, environ: Mapping[str, str] = os.environ) -> str:
    """A hash of all that the set-up depends on: lock, pins, these scripts, setup.py, Python, the machine's Java and compiler."""
    digest = hashlib.sha256()
    scripts = sorted(Path(__file__).parent.rglob("*.py"))
    for file in [layout.lock, layout.top / "setup.py", *sorted(layout.pins.glob("*.lock")), *scripts]:
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    settings = {name: environ[name] for name in sorted(environ) if name in SETTINGS or name.startswith("HOROVOD_")}
    # the .venv's own programs must not count: an activated .venv is no other machine
    path = os.pathsep.join(part for part in environ.get("PATH", "").split(os.pathsep) if Path(part) != layout.bin)
    programs = {name: os.path.realpath(found) for name in PROGRAMS if (found := shutil.which(name, path=path))}
    facts = [str(layout.top), sys.version, settings, programs, packages_present(layout)]
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()


def hash_of(*files: Path) -> str:
    """One SHA-256 over the contents of these files."""
    digests = [hashlib.sha256(file.read_bytes()).digest() for file in files]
    return hashlib.sha256(b"".join(digests)).hexdigest()


def once(layout: Layout, name: str, made_of: str, action: Callable[[], None], *, undoes: tuple[str, ...] = ()) -> None:
    """Runs a step unless this .venv has had it with the same inputs; what it `undoes` has to be run again."""
    try:
        steps = json.loads(layout.steps.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        steps = {}
    if steps.get(name) == made_of:
        return
    steps = {other: value for other, value in steps.items() if other not in (name, *undoes)}
    write_whole(layout.steps, json.dumps(steps))
    action()
    write_whole(layout.steps, json.dumps(steps | {name: made_of}))


def packages_present(layout: Layout) -> list[str]:
    """The packages that an editable install makes importable: one that comes later needs another install."""
    return [name for name in ("libs/reelhouse", "jobs") if (layout.top / name).is_dir()]


def is_done(layout: Layout, wanted: str) -> bool:
    """Whether the last set-up came to its end with this fingerprint, and what it left is still there."""
    try:
        stamp = layout.stamp.read_text(encoding="utf-8").strip()
        record = json.loads(layout.record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    left = [layout.python, layout.bin / "reelhouse", Path(record["java_home"]) / "bin" / "java", *map(Path, record["jars"])]
    return stamp == wanted and not layout.unfinished.exists() and all(path.exists() for path in left)


def write_whole(file: Path, text: str) -> None:
    """The file with this text, or as it was: never half of it."""
    partial = file.with_name(file.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def write_record(layout: Layout, *, java_home: Path, jars: list[Path], horovod_left_out: str | None) -> None:
    """environment.json: Java, JARs and the launcher for training (with the reason if it is not Horovod)."""
    record = {
        "java_home": str(java_home),
        "jars": [str(jar) for jar in jars],
        "launcher": "torch" if horovod_left_out else "horovod",
        "launcher_reason": horovod_left_out,
        "python": sys.version.split()[0],
        "lock_sha256": hash_of(layout.lock),
    }
    write_whole(layout.record, json.dumps(record, indent=1) + "\n")
