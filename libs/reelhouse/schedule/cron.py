"""The line of a crontab that runs the day before."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from reelhouse.errors import SettingsError
from reelhouse.schedule import PROGRAM

# cron starts commands with next to no environment; of these a run depends on those that are set
KEPT = ("JAVA_HOME", "REELHOUSE_CACHE", "REELHOUSE_CONF_DIR", "REELHOUSE_ENVIRONMENT")


def cron_line(at: str, folder: Path, words: Sequence[str], environ: Mapping[str, str]) -> str:
    """A crontab's line: every day at HH:MM (of cron's clock), in the folder, `reelhouse schedule run` with the words as its options.

    Its exit status is that of the run. Secrets are not taken over from the environment. SettingsError where a path holds a line's end.
    """
    hour, minute = at.split(":")
    kept = [f"{name}={environ[name]}" for name in KEPT if environ.get(name)]
    command = [*(["env", *kept] if kept else []), PROGRAM, "schedule", "run", *words]
    line = f"cd {shlex.quote(str(folder))} && {shlex.join(command)}"
    if "\n" in line:
        raise SettingsError(f"a crontab's line can't hold a line's end, and there is one in {line!r}: rename that file or folder")
    return f"{int(minute)} {int(hour)} * * * {line}".replace("%", r"\%")  # to cron a bare % ends the command
