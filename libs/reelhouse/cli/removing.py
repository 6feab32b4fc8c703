"""Commands that remove: delete, purge, maintain."""

from __future__ import annotations

from typing import Annotated

import typer

from reelhouse.cli.options import Conf, Day, Root, Set, day_of, open_lake, open_pipeline, settings_of

app = typer.Typer()

# what became of what is no table
_PURGED = {
    "reports": "removed; `reelhouse report --date D` makes one anew without the video",
    "logs": "of scheduled runs named a video and do so no longer",
}


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
        show.progress(
            f"{video_id} is gone from every current view and from Milvus. Reports below the root that showed it are removed; "
            "`reelhouse report` makes them anew. `reelhouse purge` removes its bytes."
        )


@app.command()
def purge(conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Remove the bytes of videos that were taken down from every file of the lake."""
    from reelhouse import show
    from reelhouse.takedown import purge as purge_lake

    with open_pipeline(settings_of(conf, values, root)) as pipeline:
        for name, rows in purge_lake(pipeline.lake, pipeline.services.vectors).items():
            show.progress(f"{name}: {rows} {_PURGED.get(name, 'rows removed')}")


@app.command()
def maintain(conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Compact small files and remove those that no table refers to any more (storage.keep_days)."""
    from reelhouse import show
    from reelhouse.lake.maintenance import maintain as maintain_lake

    settings = settings_of(conf, values, root)
    with open_lake(settings) as lake:
        for name, before, after in maintain_lake(lake, settings.storage.keep_days):
            show.progress(f"{name}: {before} files, now {after}")
