"""`reelhouse ...`: the commands. Each is thin: reads options, calls one function, shows the result."""

from __future__ import annotations

import sys

import typer

from reelhouse import scratch
from reelhouse.cli import asking, checking, labels, models, removing, reporting, running, schedule, serving, vectors
from reelhouse.errors import ReelhouseError

HELP = "Understand short videos, day by day: take them in, choose what to label, find wrong labels, mine tags, train, serve the results."
VARIABLES = "\n\n".join(
    (
        "Environment variables:",
        "REELHOUSE_CACHE: folder of models and temporary files; ~/.cache/reelhouse if not set.",
        "REELHOUSE_CONF_DIR: folder with base.yml, pipeline.yml, taxonomy/ and expectations/, instead of the checkout's conf/.",
        "REELHOUSE_ENVIRONMENT: file that says where Java and the JARs are, as `make setup` writes it, instead of this environment's own.",
    )
)

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=HELP, epilog=VARIABLES)
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
