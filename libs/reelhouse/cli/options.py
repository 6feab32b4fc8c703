"""What the commands share: their options, and the opening of a lake or a pipeline."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reelhouse import settings as settings_module
from reelhouse.errors import SettingsError

if TYPE_CHECKING:
    from reelhouse.lake import Lake
    from reelhouse.pipeline import Pipeline
    from reelhouse.settings import Settings

Conf = Annotated[list[Path] | None, typer.Option("--conf", help="settings file laid over conf/base.yml; may be given again")]
Set = Annotated[list[str] | None, typer.Option("--set", help="one value: section.key=value; may be given again")]
Root = Annotated[str | None, typer.Option("--root", help="storage root; the same as --set storage.root=...")]
Day = Annotated[str | None, typer.Option("--date", help="YYYY-MM-DD (UTC)")]


def settings_of(
    conf: list[Path] | None, values: list[str] | None, root: str | None, extra: dict[str, Any] | None = None, *, elsewhere: bool = False
) -> Settings:
    return settings_module.load(conf or [], (extra or {}) | pairs_of(values, root), elsewhere=elsewhere)


def pairs_of(values: list[str] | None, root: str | None) -> dict[str, Any]:
    """What the options set: section.key -> value."""
    pairs: dict[str, Any] = {}
    for text in values or []:
        dotted, value = settings_module.pair(text)
        known = pairs.get(dotted)
        pairs[dotted] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return pairs | ({"storage.root": root} if root else {})


def day_of(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"a date is wanted as YYYY-MM-DD, got {text!r}") from error


def day_to_run(text: str) -> dt.date:
    """As day_of. SettingsError for a day to come: what was decided or served for it would be the newest for all days until then."""
    day, today = day_of(text), dt.datetime.now(dt.UTC).date()
    if day > today + dt.timedelta(days=1):  # tomorrow has begun east of Greenwich
        raise SettingsError(f"{day} is in the future (today is {today}, UTC)")
    return day


def days_of(first: str, last: str) -> list[dt.date]:
    """Every date of a backfill. SettingsError if it ends before it begins."""
    from reelhouse.pipeline import days

    begin, end = day_of(first), day_to_run(last)
    if end < begin:
        raise SettingsError(f"--from {begin} is after --to {end}: no day lies between them")
    return list(days(begin, end))


@contextmanager
def open_lake(settings: Settings) -> Iterator[Lake]:
    from reelhouse.lake import opened
    from reelhouse.lake.trouble import damage_errors

    with opened(settings) as lake, damage_errors():
        yield lake


@contextmanager
def open_pipeline(settings: Settings) -> Iterator[Pipeline]:
    from reelhouse import show
    from reelhouse.lake import add_missing_columns
    from reelhouse.pipeline import Pipeline

    with open_lake(settings) as lake:
        if added := add_missing_columns(lake):
            show.progress(f"an earlier version of Reelhouse wrote this lake; added to its tables: {', '.join(added)}")
        pipeline = Pipeline(settings, lake, show.progress)
        try:
            yield pipeline
        finally:
            pipeline.close()
