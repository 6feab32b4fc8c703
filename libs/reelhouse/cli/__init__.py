"""`reelhouse ...`: the commands. Each is thin: read options, call one function, show the result."""

from __future__ import annotations

import sys

import typer

from reelhouse import scratch
from reelhouse.cli import asking, checking, labels, models, removing, reporting, running, schedule, serving, vectors
from reelhouse.errors import ReelhouseError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__.split("\n")[0])
for group in (running.app, asking.app, reporting.app, removing.app, checking.app, serving.app):
    app.add_typer(group)
app.add_typer(models.app, name="models")
app.add_typer(labels.app, name="labels")
app.add_typer(vectors.app, name="vectors")
app.add_typer(schedule.app, name="schedule")


def main() -> None:
    """Entry point: a named error is shown as a sentence, with its exit code."""
    try:
        scratch.use_cache_folder()
        app()
    except ReelhouseError as error:
        print(f"reelhouse: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
