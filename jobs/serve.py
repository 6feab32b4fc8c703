"""Say which model readers see, once everything of it is complete: the last step of the day.

Reads   gold.predictions, gold.embeddings, gold.hashes (as of the day), ops.vector_loads (the day), ops.serving (before the day),
        the collections
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
from reelhouse.mirror import follow_serving
from reelhouse.vectors import EMBEDDING, HASH, ID_BYTES_MAX, KINDS, collection_name, newest_version, wanted_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.run import Run


def main(run: Run) -> None:
    run.day(tables.VECTOR_LOADS)  # recorded as read: a new load asks for a new look at the collections
    version = newest_version(run.upto(tables.EMBEDDINGS))
    if version is None:
        run.aside("there is no model to serve yet")
    embeddings, hashes, predictions = (run.current(t) for t in (tables.EMBEDDINGS, tables.HASHES, tables.PREDICTIONS))
    parts = {tables.HASHES.name: hashes}
    if not version.startswith(UNTRAINED):
        parts[tables.PREDICTIONS.name] = predictions
    lacking = {name: count for name, rows in parts.items() if (count := without(embeddings, rows, version))}
    lacking |= not_loaded(run, version)
    if lacking:
        found = ", ".join(f"{count} videos in {name}" for name, count in lacking.items())
        raise VectorStoreError(
            f"model {version} is not complete and is not served: it lacks {found}. Run predict, load_vectors and reconcile again."
        )
    keep_what_was_served(run, embeddings, version)
    videos = searchable(embeddings, version).count()
    run.publish(tables.SERVING, serving_row(run, version, videos))
    follow_serving(run, preparing=[version])
    run.metric("videos", videos)
    run.note(f"serving {version}")


def keep_what_was_served(run: Run, embeddings: DataFrame, version: str) -> None:
    """Steps aside from a version that lacks videos which the version served so far has: they would vanish from search.

    So it is when an encoder changed: the videos of earlier days have no vectors by the new one until their days are run again.
    """
    row = run.before(tables.SERVING).orderBy(F.desc("data_date")).head()
    if row is None or row.model_version == version:
        return
    served, fresh = searchable(embeddings, row.model_version), searchable(embeddings, version)
    lost = served.join(fresh.select("video_id"), on="video_id", how="left_anti").select("video_id", "data_date")
    count = lost.count()
    if count:
        first = lost.agg(F.min("data_date")).first()[0]  # type: ignore[index]
        examples = ", ".join(r.video_id for r in lost.orderBy("video_id").limit(3).collect())
        run.metric("videos_lacking", count)
        run.aside(
            f"{version} is not served: it lacks {count} videos that {row.model_version} has ({examples}), which stays. Did an encoder "
            f"change? Run the days of those videos again, by `reelhouse daily --from {first} --to {run.date}` or earlier, or set it back"
        )


def searchable(embeddings: DataFrame, version: str) -> DataFrame:
    """Videos with an embedding of the version; ids too long for Milvus were refused by load_vectors and are no reason to wait."""
    return embeddings.where((F.col("model_version") == version) & (F.octet_length("video_id") <= ID_BYTES_MAX))


def without(embeddings: DataFrame, part: DataFrame, version: str) -> int:
    """How many of those videos have no row of the version in `part`."""
    there = part.where(F.col("model_version") == version).select("video_id")
    return searchable(embeddings, version).join(there, on="video_id", how="left_anti").count()


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


def serving_row(run: Run, version: str, videos: int) -> DataFrame:
    schema = "model_version string, embedding_collection string, hash_collection string, videos bigint"
    row = (version, collection_name(EMBEDDING, version), collection_name(HASH, version), videos)
    return run.spark.createDataFrame([row], schema)
