"""Bring the day's embeddings and hashes into Milvus, and take out videos that were taken down.

Reads   gold.embeddings, gold.hashes (as of the day), bronze.deletions (as of the day)
Writes  the collections of the newest model version; ops.vector_loads, one day, replaced whole
Rerun   safe: rows are written by primary key; vectors of later dates are left alone
Launch  reelhouse job load_vectors --date 2026-01-02
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.vectors import ID_BYTES_MAX, KINDS, Kind, collection_name, newest_version, streamed, wanted_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.run import Run


def inputs(run: Run) -> dict[str, str]:
    """An embedded store that is gone is filled again."""
    return {"vectors": run.vectors.state()}


def main(run: Run) -> None:
    deleted = {row.video_id for row in run.upto(tables.DELETIONS).select("video_id").toLocalIterator()}
    version = newest_version(run.upto(tables.EMBEDDINGS))
    if version is None:
        run.aside("there are no embeddings to load")
    removed = run.vectors.forget(sorted(deleted))
    loads = [load(run, kind, version) for kind in KINDS]
    # asked for while the rows were on their way
    if late := run.taken_down.keys() - deleted:
        removed += run.vectors.forget(sorted(late))
    run.publish(tables.VECTOR_LOADS, load_rows(run, [{**row, "deleted": removed} for row in loads]))
    run.input("vectors", run.vectors.state())
    run.metric("deleted", removed)


def load(run: Run, kind: Kind, version: str) -> dict[str, Any]:
    """The day's rows; all rows of the version where the collection is new or holds too few."""
    name, day = collection_name(kind.name, version), str(run.date)
    current = run.current(kind.table)
    of_day = run.day(kind.table)
    refuse_long_ids(run, kind, of_day.where(F.col("model_version") == version))
    made = make_collection(run, kind, version, current)
    if made is None:
        return {"collection": name, "model_version": version, "kind": kind.name, "loaded": 0, "total": 0}
    newer = run.vectors.newer(kind.name, version, than=day)
    everything = wanted_rows(current, kind, version, newer)
    loaded = 0 if made else send(run, kind, version, wanted_rows(of_day, kind, version, newer))
    if made or run.vectors.count(kind.name, version, upto=day) < everything.count():
        loaded += send(run, kind, version, everything)
    run.metric(f"loaded_{kind.name}", loaded)
    total = run.vectors.count(kind.name, version, upto=day)
    return {"collection": name, "model_version": version, "kind": kind.name, "loaded": loaded, "total": total}


def make_collection(run: Run, kind: Kind, version: str, rows: DataFrame) -> bool | None:
    """Whether the collection had to be made; None where it is not there and there is no row to tell its dimension."""
    if run.vectors.exists(kind.name, version):
        return False
    first = wanted_rows(rows, kind, version).head()
    return run.vectors.ensure(kind.name, version, kind.dimension(first.vector)) if first else None


def send(run: Run, kind: Kind, version: str, rows: DataFrame) -> int:
    run.progress(f"loading {collection_name(kind.name, version)}")
    stream = streamed(rows, run.settings.vectors.batch_rows)
    return run.vectors.upsert(kind.name, version, ((r.video_id, r.vector, r.checksum, r.data_date) for r in stream))


def refuse_long_ids(run: Run, kind: Kind, rows: DataFrame) -> None:
    """Milvus takes no id of more than 256 bytes: such a video stays in Delta and can't be searched."""
    too_long = rows.where(F.octet_length("video_id") > ID_BYTES_MAX)
    reason = f"video_id must have at most {ID_BYTES_MAX} bytes to be searchable; give the video a shorter id in its manifest"
    run.refuse(
        kind.table,
        too_long.select(
            F.lit("video_id_too_long").alias("rule"), F.col("video_id").alias("row_key"), F.lit(reason).alias("reason"),
            F.lit(None).cast("string").alias("row"), "video_id",
        ),
    )  # fmt: skip


def load_rows(run: Run, loads: list[dict[str, Any]]) -> DataFrame:
    schema = "collection string, model_version string, kind string, loaded bigint, deleted bigint, total bigint"
    return run.spark.createDataFrame([tuple(row[part.split()[0]] for part in schema.split(", ")) for row in loads], schema)
