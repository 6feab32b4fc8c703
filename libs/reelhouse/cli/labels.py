"""`reelhouse labels`: import, plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reelhouse.cli.options import Conf, Day, Root, Set, day_of, open_pipeline, settings_of
from reelhouse.errors import SettingsError

app = typer.Typer(help="What people are asked, and what they answered.", no_args_is_help=True)

_REASONS_SHOWN = 10


@app.command("import")
def import_answers(
    file: Annotated[
        Path, typer.Argument(help="Label Studio's export (JSON or CSV), or a CSV of video_id, label, answer, annotator_id, answered_at")
    ],
    task: Annotated[str | None, typer.Option(help="label tree of answers that name none; default: sampling.task")] = None,
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """Put a labelling tool's answers into the inbox, which the next run takes in; the same file again adds nothing."""
    from reelhouse import show
    from reelhouse.labels.exchange import put_down, read_answers
    from reelhouse.run import taxonomy_of

    settings = settings_of(conf, values, root)
    if not settings.sources.inbox:
        raise SettingsError("answers are put into the inbox: say where it is with --set sources.inbox=FOLDER, as the daily run does")
    trees = {name: taxonomy_of(settings, name) for name in type(settings.taxonomy).model_fields}
    found = read_answers(file, trees, task or settings.sampling.task)
    if not found.lines:
        show.progress(f"{file.name} holds no answers")
        return
    path = put_down(Path(settings.sources.inbox), found.lines)
    show.progress(f"{len(found.lines):,} answers are in {path}; the next run takes them in")
    for where, why in found.refused[:_REASONS_SHOWN]:
        show.progress(f"will be refused: {where}: {why}")
    if len(found.refused) > _REASONS_SHOWN:
        show.progress(f"... and {len(found.refused) - _REASONS_SHOWN:,} more; all will be in ops.quarantine with their reasons")


@app.command()
def plan(
    budget: Annotated[int, typer.Option(min=1, help="labels that can be paid for")],
    date: Day = None,
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """What accuracy to expect for so many more labels, and what to spend them on."""
    from reelhouse import show
    from reelhouse.label_plan import plan_labels

    day = day_of(date) if date else show.today()
    with open_pipeline(settings_of(conf, values, root)) as pipeline, pipeline.by_hand("plan", day) as run:
        found = plan_labels(run, budget)
    served = f"; the served model has {found.served:.3f}" if found.served is not None else ""
    show.progress(f"{found.labels:,} labels of {found.day}, judged by {found.held_out:,} of them{served}")
    for note in found.notes:
        show.progress(note)
    ahead = [(f"{more:,} more" if more else "now", found.labels + more, e.accuracy, e.low, e.high) for more, e in found.ahead]
    show.table(ahead, ["labels", "in all", "accuracy", f"{found.confidence:.0%} from", "to"], title="What to expect")
    measured = [(labels, reached, e.accuracy) for labels, reached, e in found.measured]
    show.table(measured, ["learned from", "measured", "curve"], title="Measured on parts")
    show.table([(part.kind, part.labels, part.reason) for part in found.parts], ["spend on", "labels", "because"])
