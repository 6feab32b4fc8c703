"""`reelhouse sql-server`."""

from __future__ import annotations

import typer

from reelhouse.cli.options import Conf, Root, Set, settings_of

app = typer.Typer()


@app.command("sql-server")
def sql_server(conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Let analysts ask the tables over JDBC, read-only; on this machine alone unless the settings (sql_server) say otherwise."""
    from reelhouse import show
    from reelhouse.sql_server import serve

    serve(settings_of(conf, values, root), show.progress)
