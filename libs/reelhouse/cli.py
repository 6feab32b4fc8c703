"""`reelhouse ...`: the commands. Each is thin: read options, call one function, show the result."""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reelhouse import settings as settings_module
from reelhouse.errors import NotFoundError, ReelhouseError, SettingsError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.lake import Lake
    from reelhouse.pipeline import Outcome, Pipeline
    from reelhouse.settings import Settings

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__.split("\n")[0])

Conf = Annotated[list[Path] | None, typer.Option("--conf", help="settings file laid over conf/base.yml; may be given again")]
Set = Annotated[list[str] | None, typer.Option("--set", help="one value: section.key=value; may be given again")]
Root = Annotated[str | None, typer.Option("--root", help="storage root; the same as --set storage.root=...")]
Day = Annotated[str | None, typer.Option("--date", help="YYYY-MM-DD (UTC)")]

SAMPLE = Path("sample")
SAMPLE_ROOT = "warehouse-sample"


def settings_of(conf: list[Path] | None, values: list[str] | None, root: str | None, extra: dict[str, Any] | None = None) -> Settings:
    pairs: dict[str, Any] = {}
    for text in values or []:
        dotted, value = settings_module.pair(text)
        pairs[dotted] = value
    pairs |= {"storage.root": root} if root else {}
    return settings_module.load(conf or [], (extra or {}) | pairs)


def day_of(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"a date is wanted as YYYY-MM-DD, got {text!r}") from error


@contextmanager
def open_lake(settings: Settings) -> Iterator[Lake]:
    from reelhouse.lake import Lake, start_session

    with tempfile.TemporaryDirectory(prefix="reelhouse-", ignore_cleanup_errors=True) as scratch:
        lake = Lake(start_session(settings.spark, scratch=Path(scratch)), settings.storage.root)
        try:
            yield lake
        finally:
            lake.spark.stop()


@contextmanager
def open_pipeline(settings: Settings) -> Iterator[Pipeline]:
    from reelhouse import show
    from reelhouse.pipeline import Pipeline

    with open_lake(settings) as lake:
        pipeline = Pipeline(settings, lake, show.progress)
        try:
            yield pipeline
        finally:
            pipeline.close()


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
    from reelhouse.pipeline import days

    extra: dict[str, Any] = {}
    for name, path in (("videos", videos), ("manifest", manifest)):
        if path is not None:
            extra[f"sources.{name}"] = str(path.resolve())
    if sample:
        extra |= {"sources.deliveries": str((SAMPLE / "deliveries").resolve()), "storage.root": SAMPLE_ROOT}
    settings = settings_of(conf, values, root, extra)
    dates = [day_of(date)] if date else []
    if first or last:
        if not (first and last) or date:
            raise SettingsError("a backfill wants --from and --to, and no --date")
        dates = list(days(day_of(first), day_of(last)))
    if not dates and sample:
        dates = sorted(day_of(folder.name) for folder in (SAMPLE / "deliveries").glob("????-??-??"))
        if not dates:
            raise NotFoundError(f"there is no sample at {SAMPLE.resolve()}; make it with `reelhouse sample`")
    if not dates:
        dates = [show.today()]
        show.progress(f"no --date given: running {dates[0]} (today, UTC)")
    with open_pipeline(settings) as pipeline:
        outcomes = [outcome for day in dates for outcome in pipeline.run_day(day, force=force)]
        show.closing(outcomes)
        if sample:
            _score_sample(pipeline, dates[-1])
        show.next_things(_some_video(pipeline), f" --root {settings.storage.root}" if settings.storage.root != "warehouse" else "")
    _leave(outcomes)


def _leave(outcomes: list[Outcome]) -> None:
    failed = [o for o in outcomes if o.status == "failed"]
    if failed:
        code = failed[0].error.exit_code if isinstance(failed[0].error, ReelhouseError) else 1
        raise typer.Exit(code)


def _some_video(pipeline: Pipeline) -> str | None:
    from reelhouse import tables

    row = pipeline.lake.read(tables.EMBEDDINGS).select("video_id").orderBy("video_id").first()
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
def job(name: str, date: Day = None, force: bool = False, conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Run one job for one date."""
    from reelhouse import show

    if date is None:
        raise SettingsError("a job is always given its date: --date YYYY-MM-DD")
    with open_pipeline(settings_of(conf, values, root)) as pipeline:
        outcomes = pipeline.run_day(day_of(date), [name], force=force)
        show.closing(outcomes)
    _leave(outcomes)


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
    videos: int = 200,
    days: int = 3,
    seed: int = 7,
) -> None:
    """Make about 200 short real videos with texts, clicks and labels, some of them broken on purpose."""
    from reelhouse import show
    from reelhouse.sample import make_sample

    make_sample(into, videos=videos, days=days, seed=seed)
    show.progress(f"the sample is at {into.resolve()}; run it with `reelhouse daily --sample`")


@app.command()
def sql(
    statement: Annotated[str | None, typer.Argument(help="one statement; interactive without it")] = None,
    limit: Annotated[int, typer.Option(help="rows shown at most")] = 50,
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """Ask the tables: reelhouse sql "select * from gold.label_queue order by rank"."""
    from reelhouse import show

    with open_lake(settings_of(conf, values, root)) as lake:
        if statement is not None:
            _answer(lake, statement, limit)
            return
        show.progress("every table by name; `reelhouse tables` lists them; end with exit")
        while (line := _prompt()) is not None:
            try:
                _answer(lake, line, limit)
            except ReelhouseError as error:
                show.errors.print(str(error))


def _prompt() -> str | None:
    try:
        line = input("sql> ").strip().rstrip(";")
    except EOFError:
        return None
    return None if line in ("exit", "quit") else line or "select 1 where false"


def _answer(lake: Lake, statement: str, limit: int) -> None:
    from pyspark.errors import PySparkException

    from reelhouse import show
    from reelhouse.lake import catalog

    reading = statement.lstrip(" (").lower().startswith(("select", "with"))
    catalog.register(lake, statement if reading else None)
    try:
        rows = lake.spark.sql(statement)
        found = rows.limit(limit + 1).collect()
    except PySparkException as error:
        raise NotFoundError(str(error).split("JVM stacktrace")[0].strip()) from error
    show.table(found[:limit], rows.columns)
    if len(found) > limit:
        show.progress(f"... and more; the first {limit} rows are shown (--limit)")


@app.command()
def tables(name: Annotated[str | None, typer.Argument(help="one table, e.g. gold.predictions")] = None) -> None:
    """Show the tables and views, or the columns of one."""
    from reelhouse import show
    from reelhouse import tables as known
    from reelhouse.lake import catalog

    if name is None:
        show.table(sorted(catalog.names().items()), ["table or view", "what it holds"])
        return
    if name not in known.ALL:
        raise NotFoundError(f"there is no table {name!r}; `reelhouse tables` lists them")
    table = known.ALL[name]
    show.console.print(
        f"[bold]{table.name}[/]  {table.comment}\nkey: {', '.join(table.key)}   partitions: {', '.join(table.partition_by)}\n"
    )
    show.table(
        [(c.name, c.type, "" if c.nullable else "never null", c.comment) for c in table.columns], ["column", "type", "", "what it is"]
    )


@app.command()
def manifest() -> None:
    """Show the columns that a manifest may have."""
    from reelhouse import show
    from reelhouse.sources import manifest_columns

    rows = manifest_columns()
    show.table([list(row.values()) for row in rows], list(rows[0]))


@app.command()
def runs(date: Day = None, limit: Annotated[int, typer.Option()] = 40, conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Show the ledger: what ran, what it read, wrote and refused."""
    where = f"where data_date = date'{day_of(date)}'" if date else ""
    statement = (
        "select data_date, job, status, rows_in, rows_out, quarantined, round(seconds, 1) seconds, "
        f"date_format(started_at, 'MM-dd HH:mm:ss') started, note, run_id from ops.runs {where} order by started_at desc, run_id"
    )
    with open_lake(settings_of(conf, values, root)) as lake:
        _answer(lake, statement, limit)


@app.command()
def explain(video_id: str, conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Everything known about one video, and the chain that made each value."""
    from reelhouse import show
    from reelhouse.explain import facts

    with open_pipeline(settings_of(conf, values, root)) as pipeline:
        for fact in facts(pipeline.lake, pipeline.ledger, pipeline.jobs, video_id):
            shown = {k: v for k, v in fact.row.items() if v not in (None, [], "") and k not in ("video_id", "data_date")}
            show.console.print(f"[bold]{fact.table.name}[/]  {fact.row['data_date']}  [dim]{fact.run_id}[/]")
            show.console.print("   " + "  ".join(f"[cyan]{k}[/]={show.plain(v)}" for k, v in shown.items()))


@app.command()
def similar(
    video_id: str,
    count: Annotated[int, typer.Option("-k", "--count")] = 10,
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """The most similar videos by their vectors, from Milvus, with titles, scores and files."""
    from reelhouse import show
    from reelhouse.similar import similar_videos

    with open_pipeline(settings_of(conf, values, root)) as pipeline:
        rows = similar_videos(pipeline.lake, pipeline.services.vectors, video_id, count)
        show.table(rows, ["video_id", "score", "title", "file"], title=f"most similar to {video_id}")


@app.command()
def delete(
    video_id: str,
    reason: Annotated[str, typer.Option(help="why, for the record")] = "",
    by: Annotated[str, typer.Option(help="who asks")] = "",
    date: Day = None,
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """Take a video down: it leaves every current view, Milvus and training at once; its bytes go with `reelhouse purge`."""
    from reelhouse import show
    from reelhouse.takedown import take_down

    with open_pipeline(settings_of(conf, values, root)) as pipeline:
        take_down(pipeline.lake, pipeline.services.vectors, video_id, day_of(date) if date else show.today(), reason, by)
        show.progress(f"{video_id} is gone from every current view and from Milvus. `reelhouse purge` removes its bytes.")


@app.command()
def purge(conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Remove the bytes of videos that were taken down from every file of the lake."""
    from reelhouse import show
    from reelhouse.takedown import purge as purge_lake

    with open_pipeline(settings_of(conf, values, root)) as pipeline:
        for name, rows in purge_lake(pipeline.lake, pipeline.services.vectors).items():
            show.progress(f"{name}: {rows} rows removed")


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

    settings = settings_of(conf, values, root)
    with open_lake(settings) as lake:
        rows = replay_days(lake, settings, day_of(first), day_of(last), into, show.progress)
        show.table([tuple(r.__dict__.values()) for r in rows], list(rows[0].__dict__) if rows else ["nothing to compare"])
    if any(not r.same for r in rows):
        raise typer.Exit(1)


@app.command()
def maintain(conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Compact small files and remove those that no table refers to any more (storage.keep_days)."""
    from reelhouse import show
    from reelhouse.lake.maintenance import maintain as maintain_lake

    settings = settings_of(conf, values, root)
    with open_lake(settings) as lake:
        for name, before, after in maintain_lake(lake, settings.storage.keep_days):
            show.progress(f"{name}: {before} files, now {after}")


@app.command("settings")
def settings_command(conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Show the settings in force and what differs from the defaults."""
    from reelhouse import show

    default, now = settings_module.load(), settings_of(conf, values, root)
    rows = []
    for section, fields in now.model_dump().items():
        for key, value in fields.items():
            changed = value != getattr(getattr(default, section), key)
            rows.append((f"{section}.{key}", "********" if key == "token" and value else str(value), "changed" if changed else ""))
    show.table(rows, ["setting", "value", ""])


taxonomy_app = typer.Typer(help="The label tree.", no_args_is_help=True)
app.add_typer(taxonomy_app, name="taxonomy")


@taxonomy_app.command("build")
def taxonomy_build(
    manifest_file: Annotated[Path, typer.Argument(help="manifest whose column `category` holds paths a/b/c")],
    into: Annotated[Path, typer.Option(help="taxonomy file to write")],
    task: str = "category",
) -> None:
    """Make a taxonomy file from the categories of a manifest."""
    import yaml

    from reelhouse import show
    from reelhouse.labels import taxonomy_from_paths
    from reelhouse.sources import category_paths

    tree = taxonomy_from_paths(category_paths(manifest_file), task)
    into.write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), encoding="utf-8")
    show.progress(f"{into}: {len(tree['labels'])} labels. Use it with --set taxonomy.{task}={into.resolve()}")


def main() -> None:
    """Entry point: a named error is shown as a sentence, with its exit code."""
    try:
        app()
    except ReelhouseError as error:
        print(f"reelhouse: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
