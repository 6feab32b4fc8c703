"""For whoever is on call: what is wrong and what to do next, when a day is late, and who is told.

A target is a command (run without a shell, the alert as JSON on its standard input) or an http(s) address (the alert as its body).
"""

from __future__ import annotations

import datetime as dt
import json
import shlex
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPException
from typing import Literal
from urllib.error import HTTPError

from reelhouse.sections import AlertSettings

_REFUSED = "select rule, row_key, reason from ops.quarantine where data_date = '{date}'"
# by the error's name, with which the note of a failed run begins
_NEXT_STEPS = {
    "QuarantineLimitError": f'see `reelhouse sql "{_REFUSED}"`, mend the source or raise the limit, then {{again}}',
    "SettingsError": "correct the setting (`reelhouse settings` shows those in force), then {again}",
    "SparkError": "see that the machine has memory enough, then {again}",
    "StorageError": "free space or mend the permissions, then {again}",
    "VectorStoreError": "see that Milvus runs and is reachable, then {again}",
}


_BACKFILL_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Trouble:
    """A job that is not done: why, in its own words, and what to do next."""

    job: str
    cause: str
    next_step: str


def again(date: dt.date) -> str:
    return f"`reelhouse daily --date {date}` goes on from here"


def next_step(cause: str, date: dt.date) -> str:
    """What to do about a failed job. cause: the note of its run, which begins with the error's name."""
    words = _NEXT_STEPS.get(cause.split(":")[0], "mend the cause, then {again}")
    return words.format(again=again(date), date=date)


@dataclass(frozen=True)
class Alert:
    """What is told. text: one line for a chat or a subject, all else for a machine."""

    kind: Literal["failed", "late"]
    date: str
    root: str
    text: str
    troubles: tuple[Trouble, ...] = ()

    def json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


class _NoDetours(urllib.request.HTTPRedirectHandler):
    """Where an address says that it has moved, the alert would be asked for there instead of posted, and count as told."""

    def redirect_request(self, *given: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoDetours)


def tell(target: str, alert: Alert, timeout: float, say: Callable[[str], None]) -> None:
    """Send an alert; nothing without a target. A target that fails is said and no reason for the run to fail."""
    if not target:
        return
    try:
        if target.startswith(("http://", "https://")):
            body, head = alert.json().encode(), {"Content-Type": "application/json"}
            with _OPENER.open(urllib.request.Request(target, body, head), timeout=timeout):
                return
        done = subprocess.run(shlex.split(target), input=alert.json(), text=True, timeout=timeout, capture_output=True, check=False)
        if done.returncode:
            say(f"telling of {alert.kind}: the command ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
    except HTTPError as error:
        say(f"telling of {alert.kind} did not work: the address answered with status {error.code}")
    except (OSError, ValueError, HTTPException, subprocess.TimeoutExpired) as error:
        why = (
            error.strerror if isinstance(error, OSError) and error.strerror else ""
        )  # not more: it would show the address, or a secret in it
        say(f"telling of {alert.kind} did not work: {type(error).__name__} {why}".rstrip())


class Watch:
    """Tells, once each, when a day passes its deadline unfinished, or a job takes longer than its minutes.

    The deadline is alerts.deadline_hours after the date's beginning (UTC), and watched from the first job that has work to do. A run
    that begins a day or more after it is a backfill, and not late.
    """

    def __init__(self, settings: AlertSettings, root: str, say: Callable[[str], None]) -> None:
        self._settings, self._root, self._say = settings, root, say
        self._working: set[str] = set()
        self._late: set[dt.date] = set()
        self._deadlines: dict[dt.date, threading.Timer | None] = {}
        self._starting = threading.Lock()

    @contextmanager
    def day(self, date: dt.date, *, whole: bool = True) -> Iterator[None]:
        """While the day is run. Of a day that is not run as a whole but by a process for each job, those that begin after the deadline
        don't tell of it once more."""
        if not whole and self._left(date) <= 0:
            self._deadlines[date] = None
        try:
            yield
        finally:
            _end(self._deadlines.pop(date, None))

    @contextmanager
    def job(self, name: str, date: dt.date, minutes: float) -> Iterator[None]:
        """While the job is at work."""
        self._watch_deadline(date)
        self._working.add(name)
        timer = _begun(minutes * 60, lambda: self._too_long(name, date, minutes))
        try:
            yield
        finally:
            _end(timer)
            self._working.discard(name)

    def late(self, date: dt.date) -> bool:
        """Whether the day's deadline passed before it was done."""
        return date in self._late

    def _deadline(self, date: dt.date) -> dt.datetime:
        return dt.datetime.combine(date, dt.time(), dt.UTC) + dt.timedelta(hours=self._settings.deadline_hours)

    def _left(self, date: dt.date) -> float:
        return (self._deadline(date) - dt.datetime.now(dt.UTC)).total_seconds()

    def _watch_deadline(self, date: dt.date) -> None:
        with self._starting:  # jobs begin side by side
            if date in self._deadlines or not self._settings.deadline_hours:
                return
            left = self._left(date)
            self._deadlines[date] = _begun(max(0.0, left), lambda: self._passed(date)) if left > -_BACKFILL_SECONDS else None

    def _passed(self, date: dt.date) -> None:
        self._late.add(date)
        deadline = self._deadline(date)
        working = ", ".join(sorted(self._working)) or "no job"
        self._send(date, f"{date} is not done at its deadline, {deadline:%Y-%m-%d %H:%M} UTC; at work: {working}")

    def _too_long(self, name: str, date: dt.date, minutes: float) -> None:
        trouble = Trouble(name, f"at work for more than {minutes:g} minutes", "see its progress in the log; `reelhouse status` after it")
        self._send(date, f"{name} of {date} has been at work for more than the {minutes:g} minutes of conf/pipeline.yml", (trouble,))

    def _send(self, date: dt.date, text: str, troubles: Iterable[Trouble] = ()) -> None:
        self._say(f"late: {text}")
        tell(self._settings.on_late, Alert("late", str(date), self._root, text, tuple(troubles)), self._settings.timeout_seconds, self._say)


def _begun(seconds: float, action: Callable[[], None]) -> threading.Timer:
    """Does the action after so many seconds, unless ended before."""
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()
    return timer


def _end(timer: threading.Timer | None) -> None:
    if timer is not None:
        timer.cancel()
        timer.join()  # what it has begun to tell is told
