"""`reelhouse labels`: import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reelhouse.cli.options import Conf, Root, Set, settings_of
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
