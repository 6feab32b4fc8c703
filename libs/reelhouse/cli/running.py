"""Commands that make and run days: daily, job, plan, pipeline, sample, replay."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reelhouse.cli.options import Conf, Day, Root, Set, day_of, day_to_run, days_of, open_lake, open_pipeline, settings_of
from reelhouse.errors import LateError, LockedError, NotFoundError, ReelhouseError, SettingsError
from reelhouse.oncall import Alert, Trouble, next_step, tell

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.pipeline import Outcome, Pipeline
    from reelhouse.settings import Settings

app = typer.Typer()

SAMPLE = Path("sample")
SAMPLE_ROOT = "warehouse-sample"


@app.command()
def daily(
    date: Day = None,
    first: Annotated[str | None, typer.Option("--from", help="first date of a backfill")] = None,
    last: Annotated[str | None, typer.Option("--to", help="last date of a backfill")] = None,
    videos: Annotated[Path | None, typer.Option(help="a bare folder of video files")] = None,
    manifest: Annotated[Path | None, typer.Option(help="a manifest: csv, jsonl or parquet; see `reelhouse manifest`")] = None,
    sample: Annotated[bool, typer.Option("--sample", help="run every date of the sample")] = False,
    force: Annotated[bool, typer.Option("--force", help="run jobs that are up to date too")] = False,
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """Run the daily pipeline for a date (today in UTC if none is given) or for several."""
    from reelhouse import show

    extra: dict[str, Any] = {}
    for name, path in (("videos", videos), ("manifest", manifest)):
        if path is not None:
            extra[f"sources.{name}"] = str(path.resolve())
    if sample:
        extra |= {"sources.deliveries": str((SAMPLE / "deliveries").resolve()), "storage.root": SAMPLE_ROOT}
        extra |= {"vectors.uri": "", "models.uri": ""}  # what other settings name belongs to another lake, whose aliases it would move
    settings = settings_of(conf, values, root, extra)
    dates = [day_to_run(date)] if date else []
    if first or last:
        if not (first and last) or date:
            raise SettingsError("a backfill wants --from and --to, and no --date")
        dates = days_of(first, last)
    if not dates and sample:
        dates = sorted(day_of(folder.name) for folder in (SAMPLE / "deliveries").glob("????-??-??"))
        if not dates:
            raise NotFoundError(f"there is no sample at {SAMPLE.resolve()}; make it with `{show.program()} sample`")
    if not dates:
        dates = [show.today()]
        show.progress(f"no --date given: running {dates[0]} (today, UTC)")
    with _telling(settings, dates), open_pipeline(settings) as pipeline:
        outcomes = _run_days(pipeline, dates, force)
        show.closing(outcomes)
        if all(o.status != "failed" for o in outcomes):  # else the lake may be out of reach, and that is told first
            if sample:
                _score_sample(pipeline, dates[-1])
            if sample or any(o.status == "succeeded" for o in outcomes):  # a night with nothing new asks the tables nothing
                show.next_things(_some_video(pipeline), f" --root {settings.storage.root}" if settings.storage.root != "warehouse" else "")
        _leave(pipeline, outcomes)


def _run_days(pipeline: Pipeline, dates: list[dt.date], force: bool) -> list[Outcome]:
    """The days one after the other. Where one can't be run at all, what failed before it is told all the same, and is the status."""
    from reelhouse import show

    outcomes: list[Outcome] = []
    for day in dates:
        try:
            outcomes += pipeline.run_day(day, force=force)
        except Exception as error:
            if any(o.status == "failed" for o in outcomes):
                show.closing(outcomes)
                show.progress(f"{day} was not run, nor any day after it: {error}")
                _leave(pipeline, outcomes)
            raise
    return outcomes


@contextmanager
def _telling(settings: Settings, dates: list[dt.date]) -> Iterator[None]:
    """Tell of what ends a run before its jobs can: no disk, no Spark, a mistake of ours."""
    from reelhouse import show

    try:
        yield
    except (LockedError, LateError, typer.Exit):
        raise
    except Exception as error:
        days = ", ".join(map(str, dates))
        cause = f"{type(error).__name__}: {error}"
        alert = Alert("failed", days, settings.storage.root, f"{days} failed. {cause}", (Trouble("", cause, next_step(cause, dates[0])),))
        tell(settings.alerts.on_failure, alert, settings.alerts.timeout_seconds, show.progress)
        raise


def _leave(pipeline: Pipeline, outcomes: list[Outcome], *, whole: bool = True) -> None:
    """Tell of what failed, and end with its exit status: a named error's own, 1 for any other; that of LateError where all is done
    but the deadline passed."""
    from reelhouse import show

    failed = [o for o in outcomes if o.status == "failed"]
    if failed:
        alert, told = _failure(failed, pipeline.lake.root), pipeline.settings.alerts
        tell(told.on_failure, alert, told.timeout_seconds, show.progress)
        code = failed[0].error.exit_code if isinstance(failed[0].error, ReelhouseError) else 1
        raise typer.Exit(code)
    late = sorted({o.date for o in outcomes if pipeline.watch.late(o.date)}) if whole else []
    if late:
        raise LateError(f"{', '.join(map(str, late))}: done, but after the deadline (alerts.deadline_hours)")


def _failure(failed: list[Outcome], root: str) -> Alert:
    notes = [(o, f"{type(o.error).__name__}: {o.words}") for o in failed]
    troubles = tuple(Trouble(o.job, note, next_step(note, o.date)) for o, note in notes)
    dates = ", ".join(sorted({str(o.date) for o in failed}))
    jobs = ", ".join(dict.fromkeys(o.job for o in failed))
    return Alert("failed", dates, root, f"{dates} failed: {jobs}. {troubles[0].cause}", troubles)


def _some_video(pipeline: Pipeline) -> str | None:
    from reelhouse import tables

    row = pipeline.lake.read(tables.EMBEDDINGS).select("video_id").first()  # any: to find the least takes reading all of a large lake
    return row.video_id if row else None


def _score_sample(pipeline: Pipeline, last: dt.date) -> None:
    from reelhouse import show, tables
    from reelhouse.sample import Truth, score_sample

    def rows_of(name: str) -> DataFrame:
        return pipeline.lake.read(tables.ALL[name])

    scores = score_sample(Truth.load(SAMPLE / "truth").upto(last.isoformat()), rows_of)
    rows = [
        (
            score.what,
            score.planted,
            "" if score.found is None else score.found,
            "" if score.recall is None else f"{score.recall:.0%}",
            "" if score.precision is None else f"{score.precision:.0%}",
            score.note,
        )
        for score in scores
    ]
    show.table(
        rows,
        ["what", "planted", "found", "found of planted", "right of reported", ""],
        title="\nWhat was planted in the sample, and what the steps found",
    )


@app.command()
def job(
    name: str,
    date: Day = None,
    force: bool = False,
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
    retry: Annotated[bool, typer.Option(help="try again as conf/pipeline.yml says; a scheduler that does so itself says no")] = True,
) -> None:
    """Run one job for one date."""
    from reelhouse import show

    if date is None:
        raise SettingsError("a job is always given its date: --date YYYY-MM-DD")
    settings, day = settings_of(conf, values, root), day_to_run(date)
    with _telling(settings, [day]), open_pipeline(settings) as pipeline:
        if not retry:
            pipeline.jobs = [replace(each, retries=0) for each in pipeline.jobs]
        outcomes = pipeline.run_day(day, [name], force=force)
        show.closing(outcomes)
        _leave(pipeline, outcomes, whole=False)  # whatever the time is: the day is late, not the job


@app.command()
def plan(date: Day = None, conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Show what `daily` would run for a date, and why."""
    from reelhouse import show

    with open_pipeline(settings_of(conf, values, root)) as pipeline:
        day = day_of(date) if date else show.today()
        show.table([(name, why or "up to date") for name, why in pipeline.plan(day)], ["job", str(day)])


@app.command()
def pipeline(diagram: Annotated[bool, typer.Option("--diagram", help="as a Mermaid flow chart")] = False) -> None:
    """Show the jobs of the day, in order, with what each reads and writes."""
    from reelhouse import show
    from reelhouse.pipeline import flow_chart, load_jobs

    jobs = load_jobs()
    if diagram:
        print(flow_chart(jobs))
        return
    show.table([(j.name, ", ".join(j.after), "\n".join(j.writes), j.minutes) for j in jobs], ["job", "after", "writes", "minutes at most"])


@app.command()
def sample(
    into: Annotated[Path, typer.Option(help="folder that is made")] = SAMPLE,
    videos: Annotated[int, typer.Option(min=12, help="about how many")] = 200,
    days: Annotated[int, typer.Option(min=1)] = 3,
    seed: int = 7,
) -> None:
    """Make about 200 short real videos with texts, clicks and labels, some of them broken on purpose."""
    from reelhouse import show
    from reelhouse.sample import make_sample

    make_sample(into, videos=videos, days=days, seed=seed, say=show.progress)
    show.progress(f"the sample is at {into.resolve()}; run it with `{show.program()} daily --sample`")


@app.command()
def replay(
    first: Annotated[str, typer.Option("--from")],
    last: Annotated[str, typer.Option("--to")],
    into: Annotated[Path, typer.Option(help="fresh storage root for the rebuilt days")],
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """Rebuild days in order into a fresh root and compare every table with what is there."""
    from reelhouse import show
    from reelhouse.replay import replay_days

    settings, dates = settings_of(conf, values, root), days_of(first, last)
    with open_lake(settings) as lake:
        rows = replay_days(lake, settings, dates[0], dates[-1], into, show.progress)
        lines = [
            (r.table, r.date, r.rows, r.replayed, r.exact, r.largest_difference, r.unlike_share, "" if r.same else "NOT THE SAME")
            for r in rows
        ]
        show.table(lines, ["table", "date", "rows", "replayed", "exact columns agree", "largest difference", "share unlike", ""])
    unlike = [f"{r.table} of {r.date}" for r in rows if not r.same]
    show.progress(f"{len(rows) - len(unlike)} of {len(rows)} slices are the same" + (f"; not: {', '.join(unlike)}" if unlike else ""))
    if unlike:
        raise typer.Exit(1)
