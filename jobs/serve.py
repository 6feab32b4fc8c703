"""Say which model readers see, once everything of it is complete: the last step of the day.

Reads   gold.predictions, gold.embeddings, gold.hashes, ops.promotions (as of the day), ops.vector_loads (the day), ops.serving
        (before the day), the collections
Writes  ops.serving, one row for the day; then the aliases of a Milvus server follow it, and collections that nobody needs go
Rerun   safe: the same inputs give the same row. Until it is written, readers keep the model of the day before
Launch  reelhouse job serve --date 2026-01-02
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.errors import VectorStoreError
from reelhouse.features import UNTRAINED
from reelhouse.live import SWITCHING, live_versions, searchable, served_before, serving_row, videos_lost, without
from reelhouse.mirror import follow_serving
from reelhouse.vectors import KINDS, collection_name, wanted_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.run import Run


def main(run: Run) -> None:
    run.day(tables.VECTOR_LOADS)  # recorded as read: a new load asks for a new look at the collections
    with run.lock(SWITCHING):
        versions = live_versions(run)
        if not versions:
            run.aside("there is no model to serve yet")
        version, embeddings = versions[0], run.current(tables.EMBEDDINGS)
        if lacking := lacks(run, embeddings, version):
            found = ", ".join(f"{count} videos in {name}" for name, count in lacking.items())
            raise VectorStoreError(
                f"model {version} is not complete and is not served: it lacks {found}. Run predict, load_vectors and reconcile again."
            )
        keep_what_was_served(run, embeddings, version)
        videos = searchable(embeddings, version).count()
        run.publish(tables.SERVING, serving_row(run.spark, version, videos))
        follow_serving(run, preparing=versions)
    run.metric("videos", videos)
    run.note(f"serving {version}")


def lacks(run: Run, embeddings: DataFrame, version: str) -> dict[str, int]:
    """What the version's videos are missing: name of the table or collection -> how many."""
    parts = {tables.HASHES.name: run.current(tables.HASHES)}
    if not version.startswith(UNTRAINED):
        parts[tables.PREDICTIONS.name] = run.current(tables.PREDICTIONS)
    lacking = {name: count for name, rows in parts.items() if (count := without(embeddings, rows, version))}
    return lacking | not_loaded(run, version)


def keep_what_was_served(run: Run, embeddings: DataFrame, version: str) -> None:
    """Steps aside from a version that lacks videos which the version served so far has: they would vanish from search.

    So it is when an encoder changed: the videos of earlier days have no vectors by the new one until their days are run again.
    """
    served = served_before(run)
    if served is None or served == version:
        return
    lost = videos_lost(embeddings, served, version)
    count = lost.count()
    if count:
        first = lost.agg(F.min("data_date")).first()[0]  # type: ignore[index]
        examples = ", ".join(r.video_id for r in lost.orderBy("video_id").limit(3).collect())
        run.metric("videos_lacking", count)
        run.aside(
            f"{version} is not served: it lacks {count} videos that {served} has ({examples}), which stays. Did an encoder "
            f"change? Run the days of those videos again, by `reelhouse daily --from {first} --to {run.date}` or earlier, or set it back"
        )


def not_loaded(run: Run, version: str) -> dict[str, int]:
    """How many rows each collection has too few or too many, where it does."""
    wrong = {}
    for kind in KINDS:
        name, day = collection_name(kind.name, version), str(run.date)
        newer = run.vectors.newer(kind.name, version, than=day) if run.vectors.exists(kind.name, version) else set()
        wanted = wanted_rows(run.current(kind.table), kind, version, newer).count()
        held = run.vectors.count(kind.name, version, upto=day) if run.vectors.exists(kind.name, version) else 0
        if wanted != held:
            wrong[name] = abs(wanted - held)
    return wrong
