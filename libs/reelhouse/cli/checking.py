"""Commands that look after what is there: doctor, repair."""

from __future__ import annotations

from typing import Annotated

import typer

from reelhouse.cli.options import Conf, Root, Set, open_lake, settings_of
from reelhouse.errors import StorageError

app = typer.Typer()


@app.command()
def doctor(
    thorough: Annotated[bool, typer.Option("--thorough", help="read every file of every table and compare its bytes")] = False,
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """Look at the machine, the installation, the servers and the tables, and say how to mend what is wrong. Changes nothing."""
    from reelhouse import show
    from reelhouse.doctor import examine, worst

    findings = []
    for found in examine(settings_of(conf, values, root), thorough=thorough):
        findings.append(found)
        show.finding(found.level, found.about, found.told, found.mend)
    if worst(findings) == "wrong":
        raise typer.Exit(1)


@app.command()
def repair(conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Take damaged entries out of the tables' logs, and mark the runs that must be repeated. For a root that is a local folder."""
    from reelhouse import show
    from reelhouse.doctor import ON_OBJECT_STORE, local_root
    from reelhouse.mending import repair as repair_lake
    from reelhouse.pipeline import load_jobs

    settings = settings_of(conf, values, root)
    if local_root(settings) is None:
        raise StorageError(
            f"the logs of the tables were not looked at, and nothing was changed: repair can look into local folders only, and "
            f"{settings.storage.root} is none. Instead, {ON_OBJECT_STORE}"
        )
    with open_lake(settings) as lake:
        mended = list(repair_lake(lake, load_jobs()))
    for one in mended:
        show.progress(f"{one.table}: a damaged entry of its log was taken out; it is kept as {one.kept}")
        if one.restored:
            show.progress(f"{one.table}: {one.restored} rows were brought back from the files of the lost commit")
        if one.delivered:
            for day in one.again:
                show.progress(f"{one.table}: rows of {day} came from files: put back first what was delivered for {day} and is archived")
    for day in sorted({day for one in mended for day in one.again}):
        show.progress(f"run `{show.program()} daily --date {day}`: it repeats what was lost")
    if not mended:
        show.progress("no entry of any table's log is damaged")
