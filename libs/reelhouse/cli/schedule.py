"""Commands that schedule days: schedule cron, schedule kubernetes, schedule submit, and schedule run, which the first two start."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reelhouse.cli.options import Conf, Day, Root, Set, day_of, open_lake, pairs_of, settings_of
from reelhouse.errors import LockedError, SettingsError, StorageError
from reelhouse.oncall import Alert, Trouble, next_step, tell
from reelhouse.schedule import LOCK, LOGS, check_sources
from reelhouse.settings import pair, plain_secrets, variables_of

if TYPE_CHECKING:
    from reelhouse.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Run a day every night: cron, Kubernetes, spark-submit.")

At = Annotated[str | None, typer.Option(help="HH:MM, instead of schedule.at")]

# a Job may wait behind a long one or be tried again; the clocks of two machines differ
_SLOT_OLD_MINUTES, _SLOT_AHEAD_MINUTES = 30 * 1440, 60


def _scheduled(
    conf: list[Path] | None, values: list[str] | None, root: str | None, at: str | None = None, *, elsewhere: bool = False
) -> tuple[Settings, list[str]]:
    """The settings, and the options that hand them on: single values, root. SettingsError where one of them is a secret."""
    # one by one: of two values of a setting, which are merged, both are handed on
    if plain := [name for text in values or [] for name in plain_secrets(dict([pair(text)]))]:
        raise SettingsError(f"{', '.join(plain)} would be printed: write ${{NAME}} for it, and set the variable NAME where the day runs")
    extra: dict[str, Any] = {"schedule.at": at} if at else {}
    words = [word for text in values or [] for word in ("--set", text)] + (["--root", root] if root else [])
    return settings_of(conf, values, root, extra, elsewhere=elsewhere), words


def _files(conf: list[Path] | None) -> list[str]:
    return [word for path in conf or [] for word in ("--conf", str(path.absolute()))]


@app.command()
def cron(at: At = None, conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Print the line of a crontab that runs the UTC day before; `(crontab -l; reelhouse schedule cron) | crontab -` adds it."""
    from reelhouse.schedule.cron import cron_line, variables_wanted

    settings, words = _scheduled(conf, values, root, at)
    check_sources(settings)
    if wanted := variables_wanted(variables_of(conf or [], pairs_of(values, root))):
        print(f"# {wanted}", file=sys.stderr)  # what is printed besides the line goes into no crontab
    print(cron_line(settings.schedule.at, Path.cwd(), [*_files(conf), *words], os.environ))


@app.command()
def kubernetes(at: At = None, conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Print a CronJob with what belongs to it; `reelhouse schedule kubernetes --conf FILE | kubectl apply -f -` installs it."""
    from reelhouse.pipeline import load_jobs
    from reelhouse.schedule.kubernetes import manifest

    settings, words = _scheduled(conf, values, root, at, elsewhere=True)
    print(manifest(settings, load_jobs(), conf or [], words), end="")


@app.command()
def submit(
    name: str,
    date: Day = None,
    into: Annotated[Path | None, typer.Option(help="folder for the package's archive; submit/ in the cache folder if not given")] = None,
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """Print the spark-submit line that runs one job for one date, the package as an archive for the executors."""
    from reelhouse.errors import NotFoundError
    from reelhouse.pipeline import load_jobs
    from reelhouse.schedule.submit import submit_line
    from reelhouse.scratch import cache_folder

    if date is None:
        raise SettingsError("a job is always given its date: --date YYYY-MM-DD")
    known = [job.name for job in load_jobs()]
    if name not in known:
        raise NotFoundError(f"there is no job {name!r}; there are: {', '.join(known)}")
    settings, words = _scheduled(conf, values, root)
    print(submit_line(settings, name, str(day_of(date)), [*_files(conf), *words], (into or cache_folder() / "submit").absolute()))


@app.command()
def run(
    date: Day = None,
    slot: Annotated[str | None, typer.Option(help="instead: name of the Kubernetes Job, which ends in the minute that it was due")] = None,
    log: Annotated[bool, typer.Option("--log/--no-log", help="output into a log file of the date, or to the terminal")] = True,
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """Run a day (the day before today in UTC, if none is given) as a schedule does: silent, and a few words if it went wrong."""
    from reelhouse.schedule import nightly

    settings, words = _scheduled(conf, values, root)
    options = [*_files(conf), *words]
    now = dt.datetime.now(dt.UTC)
    due = due_at(slot, now) if slot else now
    day = day_of(date) if date else due.date() - dt.timedelta(days=1)
    logs, of_lake = _logs_of(settings)
    file = logs / f"{of_lake}{day}.log" if log else None
    minutes = settings.runs.wait_minutes if settings.runs.when_locked == "wait" else 0
    try:
        with nightly.only_one(logs / f"{of_lake}{LOCK}", day, options, minutes) if log else nullcontext():
            night = nightly.run_day(day, options, file)
    except (LockedError, StorageError) as error:  # no run began that could tell of it
        _tell_of(settings, day, f"{type(error).__name__}: {error}")
        raise
    if night.status > nightly.KILLED:  # it could not tell of that itself
        _tell_of(settings, day, nightly.headline(night))
    elif night.status == LockedError.exit_code:  # no reason to tell where a person runs it, who sees it; here nobody does
        _tell_of(settings, day, f"LockedError: {'; '.join([nightly.headline(night), *night.last_words])}")
    if night.status:
        for line in nightly.summary(night, options, file, lambda day: _troubles(settings, day)):
            print(line)
        raise typer.Exit(night.status)


def due_at(slot: str, now: dt.datetime) -> dt.datetime:
    """When a Job of a CronJob was due: its name ends in minutes since 1970. A retry of it hours later is for the same day.

    SettingsError where the name says nothing of the kind, as that of a Job that a person made: a wrong day would be run.
    """
    minutes, newest = slot.rpartition("-")[2], int(now.timestamp()) // 60
    if not minutes.isdecimal() or not -_SLOT_AHEAD_MINUTES <= newest - int(minutes) <= _SLOT_OLD_MINUTES:
        raise SettingsError(
            "--slot wants the name of a Job that a CronJob made, which ends in the minute since 1970 that it was due, one of the last "
            f"{_SLOT_OLD_MINUTES // 1440} days; got {slot!r}. Give a Job made by hand such a name, of the day after the one to run; "
            f"`kubectl create job --from=cronjob/reelhouse-daily reelhouse-daily-{newest}` runs {now.date() - dt.timedelta(days=1)}"
        )
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=int(minutes))


def _tell_of(settings: Settings, day: dt.date, cause: str) -> None:
    alert = Alert("failed", str(day), settings.storage.root, cause, (Trouble("", cause, next_step(cause, day)),))
    tell(settings.alerts.on_failure, alert, settings.alerts.timeout_seconds, print)


def _logs_of(settings: Settings) -> tuple[Path, str]:
    """The folder of the logs, and what the names of its files begin with: nothing in the lake's own folder, else a mark of the lake."""
    from reelhouse.doctor import local_root

    root = local_root(settings)
    if root and not settings.schedule.logs:
        return root / LOGS, ""
    lake = str(root or settings.storage.root.rstrip("/"))
    return Path(settings.schedule.logs or LOGS).absolute(), f"{hashlib.sha256(lake.encode()).hexdigest()[:8]}-"


def _troubles(settings: Settings, day: dt.date) -> list[Trouble]:
    from reelhouse.pipeline import load_jobs
    from reelhouse.status import status_of

    with open_lake(settings) as lake:
        return status_of(lake, [job.name for job in load_jobs()], day).troubles
