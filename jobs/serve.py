"""Say which model readers see, once everything of it is complete: the last step of the day.

Reads   gold.predictions, gold.embeddings, gold.hashes, ops.promotions (as of the day), ops.vector_loads (the day), ops.serving
        (before the day), the collections
Writes  ops.serving, one row for the day; then the aliases of a Milvus server follow it within seconds, and rows and collections that
        were kept for readers go
Rerun   safe: the same inputs give the same row. Until it is written, readers keep the model of the day before
Launch  reelhouse job serve --date 2026-01-02
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.errors import VectorStoreError
from reelhouse.features import UNTRAINED
from reelhouse.live import SWITCHING, live_versions, newest_served, not_loaded, searchable, served_before, serving_row, videos_lost, without
from reelhouse.mirror import drop_unneeded, point_aliases
from reelhouse.training.champion import champions_of

if TYPE_CHECKING:
    from reelhouse.run import Run


def main(run: Run) -> None:
    run.day(tables.VECTOR_LOADS)  # recorded as read: a new load asks for a new look at the collections
    with run.lock(SWITCHING):
        versions = live_versions(run)
        if not versions:
            run.aside("there is no model to serve yet")
        check_complete(run, versions[0])
        version = version_to_serve(run, versions[0])
        videos = searchable(run.current(tables.EMBEDDINGS), version).count()
        run.publish(tables.SERVING, serving_row(run.spark, version, videos))
        point_aliases(run)  # before the tables are cleared: who reads by an alias is to lag by seconds, however that goes
        if seen := newest_served(run.ever(tables.SERVING)):
            run.sweep("predict", model_version=seen)
        drop_unneeded(run, preparing=versions)
    run.metric("videos", videos)
    run.note(f"serving {version}")


def check_complete(run: Run, version: str) -> None:
    """VectorStoreError where a table or a collection does not hold the version's videos."""
    if lacks(run, version):
        # a takedown that was asked for meanwhile is in the tables at once, and in the collections a moment later
        run.vectors.forget(sorted(run.taken_down))
        if lacking := lacks(run, version):
            found = ", ".join(f"{name} by {count} videos" for name, count in lacking.items())
            raise VectorStoreError(
                f"model {version} is not complete and is not served: it differs in {found}. Run predict, load_vectors and reconcile again."
            )


def lacks(run: Run, version: str) -> dict[str, int]:
    """What the version's videos are missing: name of the table or collection -> how many."""
    embeddings = run.current(tables.EMBEDDINGS)
    parts = {tables.HASHES.name: run.current(tables.HASHES)}
    if not version.startswith(UNTRAINED):
        parts[tables.PREDICTIONS.name] = run.current(tables.PREDICTIONS)
    lacking = {name: count for name, rows in parts.items() if (count := without(embeddings, rows, version))}
    return lacking | not_loaded(run, version)


def version_to_serve(run: Run, version: str) -> str:
    """The version, or the one served so far where readers would lose videos by it, unless a person rejected that one.

    So it is when an encoder changed: the videos of earlier days have no vectors by the new one until their days are run again.
    """
    served = served_before(run)
    if served in (None, version) or served in champions_of(run.upto(tables.PROMOTIONS)).rejected:
        return version
    lost = videos_lost(run.current(tables.EMBEDDINGS), served, version)
    count = lost.count()
    if not count:
        return version
    first = lost.agg(F.min("data_date")).first()[0]  # type: ignore[index]
    examples = ", ".join(r.video_id for r in lost.orderBy("video_id").limit(3).collect())
    run.metric("videos_lacking", count)
    run.note(
        f"{version} is not served: it lacks {count} videos that {served} has ({examples}), which stays. Did an encoder change, or was "
        f"{version} promoted after predict had run? Run the days of those videos again, by `reelhouse daily --from {first} --to "
        f"{run.date}` or earlier, or set it back"
    )
    return served
