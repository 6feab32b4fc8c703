"""Where things are: the checkout, its .venv, the one cache folder."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Every path that the set-up reads or writes."""

    top: Path
    cache: Path

    @property
    def temporary(self) -> Path:
        """Temporary files of the set-up and of reelhouse, which clears it (libs/reelhouse/scratch.py)."""
        return self.cache / "tmp"

    @property
    def venv(self) -> Path:
        return self.top / ".venv"

    @property
    def bin(self) -> Path:
        return self.venv / "bin"

    @property
    def python(self) -> Path:
        return self.bin / "python"

    @property
    def share(self) -> Path:
        return self.venv / "share" / "reelhouse"

    @property
    def jars(self) -> Path:
        return self.share / "jars"

    @property
    def java_home(self) -> Path:
        """The wrapped Java, where the machine's own does not do."""
        return self.share / "java"

    @property
    def record(self) -> Path:
        """What was set up, for reelhouse's session to read."""
        return self.share / "environment.json"

    @property
    def classes(self) -> Path:
        """Java's archive of the classes that a session loads; reelhouse's session starts with it."""
        return self.share / "classes.jsa"

    @property
    def stamp(self) -> Path:
        """Holds the fingerprint of the last set-up that came to its end."""
        return self.share / "stamp"

    @property
    def unfinished(self) -> Path:
        """Exists while packages change; found later, it means that some may be half there."""
        return self.share / "unfinished"

    @property
    def steps(self) -> Path:
        """Which steps this .venv has had, and with what."""
        return self.share / "steps.json"

    @property
    def log(self) -> Path:
        return self.share / "setup.log"

    @property
    def lock(self) -> Path:
        return self.top / "requirements.lock"

    @property
    def pins(self) -> Path:
        """Small files of hashes: what is fetched besides the lock."""
        return self.top / "conf" / "environment"


def find_layout(environ: Mapping[str, str] = os.environ) -> Layout:
    """The layout of the checkout that holds this file; the cache folder is REELHOUSE_CACHE, else ~/.cache/reelhouse."""
    cache = environ.get("REELHOUSE_CACHE") or "~/.cache/reelhouse"
    return Layout(top=Path(__file__).resolve().parents[2], cache=Path(cache).expanduser().absolute())
