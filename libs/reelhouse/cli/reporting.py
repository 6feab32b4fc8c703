"""Commands that write reports: report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reelhouse.cli.options import Conf, Day, Root, Set, day_of, open_lake, settings_of
from reelhouse.errors import SettingsError

app = typer.Typer()


@app.command()
def report(
    date: Day = None,
    into: Annotated[Path | None, typer.Option(help="folder for it; default: reports/ below the storage root")] = None,
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """Write a day as one HTML file that needs nothing else: the run, contact sheets, tags, models, vectors."""
    from reelhouse import show
    from reelhouse.pipeline import load_jobs
    from reelhouse.report import write_report

    if date is None:
        raise SettingsError("a report is of one day: --date YYYY-MM-DD")
    settings = settings_of(conf, values, root)
    with open_lake(settings) as lake:
        path = write_report(lake, settings.report, day_of(date), [job.name for job in load_jobs()], into)
    show.progress(f"{path}  ({path.stat().st_size / 1e6:.1f} MB); all days: {path.with_name('index.html')}")
