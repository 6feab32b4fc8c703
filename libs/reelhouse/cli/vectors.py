"""`reelhouse vectors status | load | reconcile | search`: the collections in Milvus."""

from __future__ import annotations

from typing import Annotated

import typer

from reelhouse.cli import running
from reelhouse.cli.options import Conf, Day, Root, Set, day_of, open_pipeline, settings_of

app = typer.Typer(help="The vectors in Milvus: collections, load, comparison with Delta, search.", no_args_is_help=True)


@app.command()
def status(conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Show each collection: rows, its model, whether readers see it, alias and index."""
    from reelhouse import show
    from reelhouse.similar import collections_of

    with open_pipeline(settings_of(conf, values, root)) as pipeline:
        rows = collections_of(pipeline.lake, pipeline.services.vectors)
    show.table(rows, ["collection", "model", "rows", "served", "alias", "index"])


@app.command()
def load(date: Day = None, conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Run the job load_vectors for a date, though it may be up to date."""
    running.job("load_vectors", date, True, conf, values, root)


@app.command()
def reconcile(date: Day = None, conf: Conf = None, values: Set = None, root: Root = None) -> None:
    """Compare with Delta as of a date and repair what differs: the job reconcile, though it may be up to date."""
    running.job("reconcile", date, True, conf, values, root)


@app.command()
def search(
    video_id: str,
    count: Annotated[int, typer.Option("-k", "--count")] = 10,
    domain: Annotated[str | None, typer.Option(help="only videos whose best predicted category lies below this topmost one")] = None,
    author: Annotated[str | None, typer.Option(help="only videos of this author")] = None,
    since: Annotated[str | None, typer.Option(help="only videos published on this day (UTC) or later")] = None,
    conf: Conf = None,
    values: Set = None,
    root: Root = None,
) -> None:
    """The videos most similar to one, of a domain, an author, or published since a day."""
    from reelhouse import show
    from reelhouse.similar import similar_videos
    from reelhouse.vectors import only

    where = only(domain, author, day_of(since) if since else None)
    with open_pipeline(settings_of(conf, values, root)) as pipeline:
        rows = similar_videos(pipeline.lake, pipeline.services.vectors, video_id, count, where)
        show.table(rows, ["video_id", "score", "title", "file"], title=f"most similar to {video_id}")
