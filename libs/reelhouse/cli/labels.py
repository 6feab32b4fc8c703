"""`reelhouse labels`: export, serve, import, plan."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reelhouse.cli.options import Conf, Day, Root, Set, day_of, open_lake, open_pipeline, settings_of
from reelhouse.errors import SettingsError

if TYPE_CHECKING:
    from reelhouse.labels import Taxonomy
    from reelhouse.settings import Settings

app = typer.Typer(help="What people are asked, and what they answered.", no_args_is_help=True)

_REASONS_SHOWN = 10


class Format(StrEnum):
    """What a labelling tool reads."""

    LABEL_STUDIO = "label-studio"
    CSV = "csv"


@app.command("export")
def export_videos(
    date: Day = None,
    form: Annotated[Format, typer.Option("--format", help="for Label Studio, or a CSV for a spreadsheet")] = Format.LABEL_STUDIO,
    into: Annotated[Path | None, typer.Option(help="folder for tasks, contact sheets and guidelines")] = None,
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """Hand out the videos that a day's run wants to be labelled: tasks, a contact sheet each, guidelines; none is handed out twice."""
    from reelhouse import show
    from reelhouse.labelling.export import batch_name, export_queue
    from reelhouse.labelling.inbox import hand_outs
    from reelhouse.labelling.queue import read_queue

    if date is None or into is None:
        raise SettingsError("an export is of one day's queue, and goes to a folder: --date YYYY-MM-DD --into FOLDER")
    day, settings = day_of(date), settings_of(conf, values, root)
    inbox, trees = _inbox_of(settings), _trees_of(settings)
    with open_lake(settings) as lake:
        videos = read_queue(lake, settings.labelling.queue_max, day, hand_outs(inbox, trees, but=batch_name(day)))
    done = export_queue(videos, trees, day, form.value, into, inbox, dt.datetime.now(dt.UTC))
    for path in done.tasks:
        show.progress(f"{len(videos):,} videos, with their contact sheets and guidelines: {path}")
    if done.was_there:
        show.progress(f"they were handed out before: {done.handed_out}")
    else:
        show.progress(f"that they were handed out is in {done.handed_out}; the next run takes them out of the queue")


@app.command("serve")
def serve_page(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="default: labelling.port; 0: any that is free")] = None,
    annotator: Annotated[str, typer.Option(help="name that the page suggests to whoever opens it")] = "",
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """A page for labelling the queue by keyboard, for several people at once; answers go to the inbox, which the next run takes in."""
    from reelhouse import show
    from reelhouse.labelling.inbox import hand_outs
    from reelhouse.labelling.queue import read_queue
    from reelhouse.labelling.serving import check_listening, serve

    settings = settings_of(conf, values, root)
    if port is not None:
        settings = settings.model_copy(update={"labelling": settings.labelling.model_copy(update={"port": port})})
    inbox, trees = _inbox_of(settings), _trees_of(settings)
    check_listening(settings.labelling)
    with open_lake(settings) as lake:
        queue = read_queue(lake, settings.labelling.queue_max, handed_out=hand_outs(inbox, trees))
    serve(settings, queue, trees, annotator=annotator, now=lambda: dt.datetime.now(dt.UTC), say=show.progress)


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

    settings = settings_of(conf, values, root)
    inbox, trees = _inbox_of(settings), _trees_of(settings)
    found = read_answers(file, trees, task or settings.sampling.task, inbox)
    if not found.lines:
        show.progress(f"{file.name} holds no answers")
        return
    path = put_down(inbox, found.lines)
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


def _inbox_of(settings: Settings) -> Path:
    if not settings.sources.inbox:
        raise SettingsError(
            "what is handed out and answered goes to the inbox: say where it is with --set sources.inbox=FOLDER, as the daily run does"
        )
    return Path(settings.sources.inbox)


def _trees_of(settings: Settings) -> dict[str, Taxonomy]:
    from reelhouse.run import taxonomy_of

    return {name: taxonomy_of(settings, name) for name in type(settings.taxonomy).model_fields}
