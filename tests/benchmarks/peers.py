"""Other people's methods, measured beside ours: each in an environment of its own below the cache folder, never the product's."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from reelhouse.scratch import cache_folder

UV = Path(sys.prefix) / "bin" / "uv"


def interpreter(*packages: str) -> Path:
    """A Python that has those packages (name==version), installed once."""
    key = hashlib.sha256(" ".join((*packages, sys.version)).encode()).hexdigest()[:12]
    environment, made = cache_folder() / "peers" / key, cache_folder() / "peers" / f"{key}.made"
    if not made.exists():
        shutil.rmtree(environment, ignore_errors=True)
        environment.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([UV, "venv", "-q", "--python", sys.executable, environment], check=True)
        subprocess.run([UV, "pip", "install", "-q", "--python", environment / "bin" / "python", *packages], check=True)
        made.touch()
    return environment / "bin" / "python"


def told(python: Path, program: str, *words: str) -> Any:
    """What a program prints as its last line, read as JSON."""
    done = subprocess.run([python, "-c", program, *words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{python} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])
