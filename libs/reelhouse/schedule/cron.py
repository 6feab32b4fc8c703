"""The line of a crontab that runs the day before."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from reelhouse.errors import SettingsError
from reelhouse.schedule import PROGRAM

# cron starts commands with next to no environment; of these a run depends on those that are set
KEPT = (
    "JAVA_HOME",
    "REELHOUSE_CACHE",
    "REELHOUSE_CONF_DIR",
    "REELHOUSE_ENVIRONMENT",
    # of a cluster: spark.master=yarn does not start without the first or the second
    "HADOOP_CONF_DIR",
    "YARN_CONF_DIR",
    "SPARK_CONF_DIR",
    "PYSPARK_PYTHON",
)

# what cron sets by itself
_OF_CRON = ("HOME", "LOGNAME", "PATH", "SHELL", "USER")


def variables_wanted(names: Iterable[str]) -> str:
    """What to tell of variables that the settings ask for and the line does not bring, so that they must be in the crontab; else empty."""
    missing = [name for name in names if name not in KEPT and name not in _OF_CRON]
    if not missing:
        return ""
    lines = ", ".join(f"{name}=..." for name in missing)
    return f"cron has none of your variables, and the settings ask for some: set {lines} in the crontab, above this line, each on its own"


def cron_line(at: str, folder: Path, words: Sequence[str], environ: Mapping[str, str], zone: dt.tzinfo | None = None) -> str:
    """A crontab's line: every day at HH:MM (of cron's clock), in the folder, `reelhouse schedule run` with the words as its options.

    Its exit status is that of the run. Secrets are not taken over from the environment. zone: of cron's clock, the machine's own if not
    given. SettingsError where a path holds a line's end, or where a day would be left out when clocks change: where HH:MM is on the day
    before in UTC for a part of the year.
    """
    hour, minute = at.split(":")
    if len(_days_apart(int(hour), int(minute), zone)) > 1:
        later = [(int(hour) + n) % 24 for n in range(1, 24)]
        safe = next(h for h in later if len(_days_apart(h, int(minute), zone)) == 1)
        raise SettingsError(
            f"{at} here is before midnight (UTC) for one part of the year and after it for the other, so that a day would be left out when "
            f"the clocks change: take another time, such as --at {safe:02}:{minute} (or schedule.at)"
        )
    kept = [f"{name}={environ[name]}" for name in KEPT if environ.get(name)]
    command = [*(["env", *kept] if kept else []), PROGRAM, "schedule", "run", *words]
    line = f"cd {shlex.quote(str(folder))} && {shlex.join(command)}"
    if "\n" in line:
        raise SettingsError(f"a crontab's line can't hold a line's end, and there is one in {line!r}: rename that file or folder")
    return f"{int(minute)} {int(hour)} * * * {line}".replace("%", r"\%")  # to cron a bare % ends the command


def _days_apart(hour: int, minute: int, zone: dt.tzinfo | None) -> set[int]:
    """By how many days the date in UTC differs from the local one at that time, over a year from now."""
    today = dt.date.today()
    local = [dt.datetime.combine(today + dt.timedelta(days=n), dt.time(hour, minute), zone) for n in range(366)]
    return {(one.astimezone(dt.UTC).date() - one.date()).days for one in local}
