"""Commands that show what is there: status, sql, tables, runs, explain, similar, manifest, settings, taxonomy."""

from __future__ import annotations

import textwrap
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reelhouse import settings as settings_module
from reelhouse.cli.options import Conf, Day, Root, Set, day_of, open_lake, open_pipeline, settings_of
from reelhouse.errors import LateError, NotFoundError, ReelhouseError, StorageError

if TYPE_CHECKING:
    from reelhouse.lake import Lake

app = typer.Typer()


@app.command()
def status(
    date: Day = None,
    check: Annotated[bool, typer.Option("--check", help="end with 1 if a job failed, 3 if the day is not done: for a monitor")] = False,
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """One screen: how the last day (or a date) ended and what to do next, what is served, what was refused, how fresh each table is."""
    from reelhouse import show
    from reelhouse.pipeline import load_jobs
    from reelhouse.status import status_of

    day = day_of(date) if date else None
    with open_lake(settings_of(conf, values, root)) as lake:
        try:
            found = status_of(lake, [job.name for job in load_jobs()], day)
        except NotFoundError as error:
            raise LateError(str(error)) if check else error from None
        show.status(found)
    if check and "failed" in found.outcomes:
        raise typer.Exit(1)
    if check and "not run" in found.outcomes:
        raise LateError(f"{found.day} is not done: {found.outcomes['not run']} jobs were not run")
    if check and found.troubles:
        raise LateError(f"{found.day} is not done: {found.troubles[0].job}: {found.troubles[0].cause}")


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
            answer(lake, statement, limit)
            return
        show.progress("every table by name; `reelhouse tables` lists them; end with exit")
        while (line := _prompt()) is not None:
            try:
                answer(lake, line, limit)
            except ReelhouseError as error:
                show.errors.print(str(error), markup=False, soft_wrap=True)


def _prompt() -> str | None:
    try:
        line = input("sql> ").strip().rstrip(";")
    except EOFError:
        return None
    return None if line in ("exit", "quit") else line or "select 1 where false"


def answer(lake: Lake, statement: str, limit: int) -> None:
    """Print what a question to the tables finds. ReadOnlyError if it is none, NotFoundError with Spark's words if that fails."""
    from pyspark.errors import PySparkException

    from reelhouse import show
    from reelhouse.lake import catalog
    from reelhouse.lake.reading import check_reads

    reading = statement.lstrip(" (").lower().startswith(("select", "with"))
    try:
        check_reads(lake.spark, statement)
        catalog.register(lake, statement if reading else None)
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
    view = catalog.view_of(name)
    if view is not None:
        _show_view(name, *view)
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


def _show_view(name: str, comment: str, question: str, said: dict[str, str]) -> None:
    from reelhouse import show
    from reelhouse.lake import catalog

    # what columns a view has is known to Spark alone; a lake without tables will do
    with open_lake(settings_module.load(values={"spark.master": "local[1]"})) as lake:
        catalog.register(lake, f"select * from {name}")
        columns = lake.spark.table(name).schema.fields
    show.console.print(f"[bold]{name}[/]  {show.plain(comment)}\na view:\n{show.plain(textwrap.dedent(question))}\n")
    show.table([(c.name, c.dataType.simpleString(), said.get(c.name, "")) for c in columns], ["column", "type", "what it is"])


@app.command()
def runs(
    run_id: Annotated[str | None, typer.Argument(help="one run, shown in full")] = None,
    date: Day = None,
    limit: Annotated[int, typer.Option(help="runs shown at most")] = 40,
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """Show the ledger: what ran, what it read, wrote and refused; of one run all that is known."""
    settings = settings_of(conf, values, root)
    if run_id is not None:
        with open_lake(settings) as lake:
            _show_run(lake, run_id)
        return
    where = f"where data_date = date'{day_of(date)}'" if date else ""
    statement = (
        "select data_date, job, status, rows_in, rows_out, quarantined, round(seconds, 1) seconds, "
        f"date_format(started_at, 'MM-dd HH:mm:ss') started, note, run_id from ops.runs {where} order by started_at desc, run_id"
    )
    with open_lake(settings) as lake:
        answer(lake, statement, limit)


def _show_run(lake: Lake, run_id: str) -> None:
    from pyspark.sql import functions as F

    from reelhouse import show
    from reelhouse import tables as known

    row = lake.read(known.RUNS).where(F.col("run_id") == run_id).first()
    if row is None:
        raise NotFoundError(f"there is no run {run_id!r}; `reelhouse runs` lists them")
    parts = ("reads", "writes", "inputs", "metrics", "checks")
    show.table([(name, getattr(row, name)) for name in known.RUNS.names if name not in parts], ["run", ""])
    slices = [(what, s.table, s.slice, s.rows, s.fingerprint) for what in ("reads", "writes") for s in row[what]]
    show.table(slices, ["", "table", "slice", "rows", "fingerprint"], title="\nWhat it read and wrote")
    for title, values in (("Inputs", row.inputs), ("Metrics", row.metrics)):
        show.table(sorted(values.items()), ["name", "value"], title=f"\n{title}")
    failed = [(c.table, c.check, c.column, c.failed_rows, c.total_rows, c.details) for c in row.checks if not c.passed]
    title = f"\nChecks: {len(row.checks)} were made, {len(failed)} found something"
    show.table(failed, ["table", "check", "column", "failed rows", "of", "details"], title=title)


@app.command()
def explain(video_id: str, conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Everything known about one video, and the chain that made each value."""
    from reelhouse import show
    from reelhouse.explain import chain, facts, made_by

    with open_lake(settings_of(conf, values, root)) as lake:
        known = list(facts(lake, video_id))
        for _, group in groupby(known, key=lambda fact: (fact.table.name, fact.row["data_date"], fact.run_id)):
            rows = list(group)
            for fact in rows:
                shown = {k: v for k, v in fact.row.items() if v not in (None, [], "") and k not in ("video_id", "data_date")}
                show.console.print(f"[bold]{fact.table.name}[/]  {fact.row['data_date']}  [dim]{fact.run_id}[/]")
                show.console.print("   " + "  ".join(f"[cyan]{k}[/]={show.plain(v)}" for k, v in shown.items()))
            for line in made_by(rows[-1].run):
                show.console.print(f"   [dim]{show.plain(line)}[/]", soft_wrap=True)
        lines = list(chain(lake, known))
        show.console.print("\n[bold]From the vectors back to the labels[/]" if lines else "")
        for line in lines:
            show.console.print(f"   {show.plain(line)}", soft_wrap=True)


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
def manifest() -> None:
    """Show the columns that a manifest may have, and the fields of lines in labels/, exports/ and tag_reviews/ of the inbox."""
    from reelhouse import show
    from reelhouse.labels.lines import line_fields
    from reelhouse.sources import manifest_columns

    rows = [*manifest_columns(), *line_fields()]
    show.table([list(row.values()) for row in rows], list(rows[0]))


@app.command("settings")
def settings_command(conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Show the settings in force and what differs from the defaults."""
    from reelhouse import show

    default, now = settings_module.load(), settings_of(conf, values, root)
    rows = []
    for section, fields in now.model_dump().items():
        for key, value in fields.items():
            changed = value != getattr(getattr(default, section), key)
            rows.append((f"{section}.{key}", settings_module.shown(f"{section}.{key}", value), "changed" if changed else ""))
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
    try:
        into.write_text(yaml.safe_dump(tree, allow_unicode=True, sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"the label tree can't be written to {into}: {error.strerror}. Make its folder first.") from error
    show.progress(f"{into}: {len(tree['labels'])} labels. Use it with --set taxonomy.{task}={into.resolve()}")
