"""What cron and Kubernetes start: one day as a process of its own, with its output in a log, and a few words if it went wrong.

A process of its own, since one that is killed (no memory left) can't say so itself.
"""

from __future__ import annotations

import datetime as dt
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from reelhouse.errors import LockedError, StorageError
from reelhouse.schedule import PROGRAM

if TYPE_CHECKING:
    from reelhouse.status import Trouble

_TOLD_LINES_MAX = 12
_MEANING = {2: "the settings are wrong", 3: "done, but late", 4: "over the quarantine limit", 5: "another run is at work"}
KILLED = 128  # an exit status above it: of a process that a signal ended
_BEFORE_THE_LEDGER = (2, 5)  # exit statuses of a run that wrote nothing


@dataclass(frozen=True)
class Night:
    """How the run of a date ended: its exit status (128 + n after signal n), seconds, and what it printed last."""

    date: dt.date
    status: int
    seconds: float
    last_words: list[str]


@contextmanager
def only_one(file: Path, date: dt.date, words: Sequence[str] = (), minutes: float = 0) -> Iterator[None]:
    """Held during the run of a date: that of the date before may take longer than a day.

    file: the lock, of one lake. words: further options of the run. LockedError, with the command that runs the date, for the second
    that waited so many minutes; StorageError without the folder.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(file, timeout=60 * minutes)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        waited = f" after {minutes:g} minutes (runs.wait_minutes)" if minutes else ""
        raise LockedError(
            f"an earlier scheduled run is still at work{waited} (lock {lock.lock_file}), so {date} was not run and won't be by itself; "
            f"once that has ended: {_by_hand(date, words)}"
        ) from error
    except OSError as error:
        raise StorageError(
            f"the folder of the logs, {file.parent}, can't be used: {error}. Mend the permissions or set schedule.logs."
        ) from error
    with lock:
        yield


def run_day(date: dt.date, words: Sequence[str], log: Path | None) -> Night:
    """Run `reelhouse daily` for the date; words: its further options. Output is appended to the log, or goes on to ours if None.

    StorageError where the log can't be written or the program can't be started: nothing was run.
    """
    begun = time.monotonic()
    command = [PROGRAM, "daily", "--date", str(date), *words]
    try:
        status, lines = (_status_of(command, None), []) if log is None else _logged(command, date, log)
    except OSError as error:
        raise StorageError(f"{date} was not run: {error}. Mend that, then {_by_hand(date, words)}") from error
    return Night(date, status, time.monotonic() - begun, _last_words(lines))


def _logged(command: Sequence[str], date: dt.date, log: Path) -> tuple[int, list[str]]:
    """The exit status, and the lines that the run added to the log."""
    with log.open("a+b") as file:
        file.seek(0, os.SEEK_END)
        place = file.tell()
        file.write(f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S} UTC  reelhouse daily {date}\n".encode())
        file.flush()
        status = _status_of(command, file)
        file.seek(place)
        return status, file.read().decode(errors="replace").splitlines()[1:]


def _status_of(command: Sequence[str], output: IO[bytes] | None) -> int:
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output) as child:
        before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())  # a pod that must leave, a machine that goes down
        try:
            code = child.wait()
        finally:
            signal.signal(signal.SIGTERM, before)
    return code if code >= 0 else KILLED - code


def _last_words(lines: list[str]) -> list[str]:
    """The named error with which a run ended, whole; else its last lines."""
    places = [number for number, line in enumerate(lines) if line.startswith("reelhouse: ")]
    return (lines[places[-1] :] if places else [line for line in lines if line.strip()][-_TOLD_LINES_MAX:])[:_TOLD_LINES_MAX]


def headline(night: Night) -> str:
    """How the run ended, in a line."""
    killed = f"killed by signal {night.status - KILLED}" if night.status > KILLED else "failed"
    return f"reelhouse daily {night.date}: {_MEANING.get(night.status, killed)} (exit status {night.status}) after {night.seconds:,.0f} s"


def summary(night: Night, words: Sequence[str], log: Path | None, troubles_on: Callable[[dt.date], Sequence[Trouble]]) -> Iterator[str]:
    """Lines for a mail: how the run ended, each job that failed with its cause and the next step, how to run it again, the log.

    troubles_on: reads them from the ledger; what it raises itself is told in their place.
    """
    yield headline(night)
    troubles: Sequence[Trouble] = []
    if night.status not in _BEFORE_THE_LEDGER:
        try:
            troubles = troubles_on(night.date)
        except Exception as error:  # noqa: BLE001 - whatever it is, the words and the status of the run itself must get through
            yield f"the ledger can't be asked: {error}"
    waiting = [trouble for trouble in troubles if trouble.cause.startswith("not run")]
    for trouble in (trouble for trouble in troubles if trouble not in waiting):
        yield f"  {trouble.job}: {trouble.cause}"
        yield f"    next: {trouble.next_step}"
    if waiting:
        yield f"  not run: {', '.join(trouble.job for trouble in waiting)}"
    if not troubles or night.status == 3:
        yield from (f"  {line}" for line in night.last_words)
    yield f"again: {_by_hand(night.date, words)}"
    if log:
        yield f"log: {log}"


def _by_hand(date: dt.date, words: Sequence[str]) -> str:
    """What a person types to run the date as the schedule does."""
    return f"cd {shlex.quote(str(Path.cwd()))} && {shlex.join([PROGRAM, 'daily', '--date', str(date), *words])}"
