"""`reelhouse models`: list, compare, promote, rollback, reject."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from reelhouse.cli.options import Conf, Day, Root, Set, day_of, day_to_run, open_pipeline, settings_of

if TYPE_CHECKING:
    from reelhouse.run import Run

app = typer.Typer(help="Models: what is registered, how they compare, which one is the champion.", no_args_is_help=True)

Version = Annotated[str, typer.Argument(help="model_version, as `reelhouse models list` shows it")]
By = Annotated[str, typer.Option(help="who decides; the user of this machine if not given")]
Reason = Annotated[str, typer.Option(help="why, for the record")]
Force = Annotated[bool, typer.Option("--force", help="against the gates, or although readers would miss videos")]


@app.command("list")
def list_models(conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Every registered model: MLflow's aliases, accuracy, what was decided by whom, whether readers see it."""
    from reelhouse import show
    from reelhouse.promotion import overview

    with open_pipeline(settings_of(conf, values, root)) as pipeline:
        rows = overview(pipeline.lake, pipeline.services.registry)
        show.table(rows, ["model_version", "no.", "trained for", "aliases", "accuracy", "of rows", "last decision", "readers see it"])


@app.command()
def compare(one: Version, other: Version, date: Day = None, conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Two models on the evaluation rows of the newest snapshot, or of a day's: by slice, with the interval of the difference."""
    from reelhouse import show
    from reelhouse.judging import compare_models, newest_snapshot

    with open_pipeline(settings_of(conf, values, root)) as pipeline:
        day = day_of(date) if date else newest_snapshot(pipeline.lake)
        with pipeline.by_hand("compare", day) as run:
            compared = compare_models(run, one, other)
        lines = [(c.slice, c.rows, c.candidate, c.champion, c.difference, c.low, c.high, c.outcome) for c in compared]
        confidence = f"{pipeline.settings.gates.confidence:.0%}"
        columns = ["slice", "rows", one, other, "difference", f"{confidence} from", "to", "as a gate"]
        show.table(lines, columns, title=f"Accuracy on the evaluation rows of {day}")


@app.command()
def promote(
    version: Version, by: By = "", reason: Reason = "", force: Force = False, date: Day = None, conf: Conf = None, values: Set = None,
    root: Root = None,
) -> None:  # fmt: skip
    """Make a model the champion: the next run scores every video by it, then readers see it."""
    from reelhouse.promotion import promote as decide

    _decide(lambda run: decide(run, version, by or getpass.getuser(), reason, force=force), date, conf, values, root)


@app.command()
def rollback(
    by: By = "", reason: Reason = "", force: Force = False, date: Day = None, conf: Conf = None, values: Set = None, root: Root = None
) -> None:
    """Go back to the champion before, at once; the present one is rejected."""
    from reelhouse.promotion import rollback as decide

    _decide(lambda run: decide(run, by or getpass.getuser(), reason, force=force), date, conf, values, root)


@app.command()
def reject(
    version: Version, by: By = "", reason: Reason = "", date: Day = None, conf: Conf = None, values: Set = None, root: Root = None
) -> None:
    """Keep the gates from promoting a model."""
    from reelhouse.promotion import reject as decide

    _decide(lambda run: decide(run, version, by or getpass.getuser(), reason), date, conf, values, root)


def _decide(action: Callable[[Run], str], date: str | None, *options: object) -> None:
    from reelhouse import show
    from reelhouse.promotion import newest_day

    asked = day_to_run(date) if date else None
    with open_pipeline(settings_of(*options)) as pipeline:  # type: ignore[arg-type]
        day = asked or newest_day(pipeline.lake)
        with pipeline.by_hand("models", day) as run:
            said = action(run)
            run.note(said)
            run.finish("succeeded")
        show.progress(said)
