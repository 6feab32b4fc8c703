"""Commands that schedule days: schedule cron, schedule kubernetes, schedule submit, and schedule run, which the first two start."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reelhouse.cli.options import Conf, Day, Root, Set, day_of, open_lake, settings_of
from reelhouse.errors import SettingsError
from reelhouse.oncall import Alert, Trouble, next_step, tell
from reelhouse.settings import pair, plain_secrets

if TYPE_CHECKING:
    from reelhouse.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Run a day every night: cron, Kubernetes, spark-submit.")

At = Annotated[str | None, typer.Option(help="HH:MM, instead of schedule.at")]


def _scheduled(
    conf: list[Path] | None, values: list[str] | None, root: str | None, at: str | None = None, *, elsewhere: bool = False
) -> tuple[Settings, list[str]]:
    """The settings, and the options that hand them on: single values, root. SettingsError where one of them is a secret."""
    if plain := plain_secrets(dict(pair(text) for text in values or [])):
        raise SettingsError(f"{', '.join(plain)} would be printed: write ${{NAME}} for it, and set the variable NAME where the day runs")
    extra: dict[str, Any] = {"schedule.at": at} if at else {}
    words = [word for text in values or [] for word in ("--set", text)] + (["--root", root] if root else [])
    return settings_of(conf, values, root, extra, elsewhere=elsewhere), words


def _files(conf: list[Path] | None) -> list[str]:
    return [word for path in conf or [] for word in ("--conf", str(path.absolute()))]


@app.command()
def cron(at: At = None, conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Print the line of a crontab that runs the UTC day before; `(crontab -l; reelhouse schedule cron) | crontab -` adds it."""
    from reelhouse.schedule.cron import cron_line

    settings, words = _scheduled(conf, values, root, at)
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
    due = due_at(slot) if slot else dt.datetime.now(dt.UTC)
    day = day_of(date) if date else due.date() - dt.timedelta(days=1)
    if not log:
        night, file = nightly.run_day(day, options, None), None
    else:
        logs = _logs_of(settings)
        with nightly.only_one(logs):
            file = logs / f"{day}.log"
            night = nightly.run_day(day, options, file)
    if night.status > nightly.KILLED:  # it could not tell of that itself
        cause = nightly.headline(night)
        alert = Alert("failed", str(day), settings.storage.root, cause, (Trouble("", cause, next_step(cause, day)),))
        tell(settings.alerts.on_failure, alert, settings.alerts.timeout_seconds, print)
    if night.status:
        for line in nightly.summary(night, options, file, lambda day: _troubles(settings, day)):
            print(line)
        raise typer.Exit(night.status)


def due_at(slot: str) -> dt.datetime:
    """When a Job of a CronJob was due: its name ends in minutes since 1970. A retry of it hours later is for the same day."""
    minutes = slot.rpartition("-")[2]
    if not minutes.isdecimal():
        raise SettingsError(f"--slot wants the name of a Job that a CronJob made, as reelhouse-daily-29384760, got {slot!r}")
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=int(minutes))


def _logs_of(settings: Settings) -> Path:
    if settings.schedule.logs:
        return Path(settings.schedule.logs).absolute()
    root = settings.storage.root
    return (Path("logs") if "://" in root else Path(root) / "logs").absolute()


def _troubles(settings: Settings, day: dt.date) -> list[Trouble]:
    from reelhouse.pipeline import load_jobs
    from reelhouse.status import status_of

    with open_lake(settings) as lake:
        return status_of(lake, [job.name for job in load_jobs()], day).troubles
