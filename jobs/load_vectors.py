"""Bring the day's embeddings and hashes into Milvus, and take out videos that were taken down.

Reads   gold.embeddings, gold.hashes, gold.predictions, bronze.video_arrivals, bronze.deletions, ops.promotions (as of the day),
        ops.serving (before the day)
Writes  the collections of the model versions that are kept ready; ops.vector_loads, one day, replaced whole
Rerun   safe: rows are written by primary key. Collections are a mirror for readers, whatever date is run: of videos that came again on
        a later date nothing is written, what is known of a video is the newest, and a collection that is made anew takes all days
Launch  reelhouse job load_vectors --date 2026-01-02
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.live import live_versions, mirrored
from reelhouse.vectors import (
    ID_BYTES_MAX,
    KINDS,
    FullLoad,
    ImportFile,
    Kind,
    collection_name,
    import_folder,
    streamed,
    wanted_rows,
    with_facts,
    write_files,
)  # fmt: skip

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.run import Run


def inputs(run: Run) -> dict[str, str]:
    """An embedded store that is gone is filled again."""
    return {"vectors": run.vectors.state()}


def main(run: Run) -> None:
    deleted = {row.video_id for row in run.upto(tables.DELETIONS).select("video_id").toLocalIterator()}
    versions = live_versions(run)
    if not versions:
        run.aside("there are no embeddings to load")
    for kind in KINDS:
        refuse_long_ids(run, kind, versions)
    removed = run.vectors.forget(sorted(deleted))
    with late_takedowns(run, deleted) as late:
        loads = [load(run, kind, version) for version in versions for kind in KINDS]
    removed += sum(late)
    run.publish(tables.VECTOR_LOADS, load_rows(run, [{**row, "deleted": removed} for row in loads]))
    run.input("vectors", run.vectors.state())
    run.metric("deleted", removed)


@contextmanager
def late_takedowns(run: Run, known: Collection[str]) -> Iterator[list[int]]:
    """Videos that are taken down while rows are on their way to Milvus leave it at the end, however that comes. Yields a list that then
    holds how many rows they had. known: those taken down before, which are not sent."""
    removed: list[int] = []
    try:
        yield removed
    finally:
        if late := run.taken_down.keys() - known:
            removed.append(run.vectors.forget(sorted(late)))


def load(run: Run, kind: Kind, version: str) -> dict[str, Any]:
    """The day's rows; all rows of the version where the collection is new, of an older release, or holds too few."""
    name, day = collection_name(kind.name, version), str(run.date)
    if run.vectors.is_current(kind.name, version):
        everything = mirrored(run, kind, version)
        loaded = send(run, kind, version, everything.where(F.col("data_date") == day))
        if run.vectors.count(kind.name, version, upto=day) < everything.count():
            loaded += send(run, kind, version, everything)
    else:
        loaded = load_all(run, kind, version)
    run.metric(f"loaded_{kind.name}", run.record.metrics.get(f"loaded_{kind.name}", 0) + loaded)
    total = run.vectors.count(kind.name, version, upto=day) if run.vectors.exists(kind.name, version) else 0
    return {"collection": name, "model_version": version, "kind": kind.name, "loaded": loaded, "total": total}


def load_all(run: Run, kind: Kind, version: str, *, anew: bool = False) -> int:
    """A collection that is not there or lacks fields (or any: anew), made from all rows there are, those of later days too, which an
    older collection may hold already; on a server readers see it when it is whole."""
    rows = wanted_rows(run.newest(kind.table), kind, version)
    first = rows.head()
    if first is None:
        return 0
    dimension = kind.dimension(first.vector)
    if not run.vectors.is_server:
        with run.vectors.anew(kind.name, version, dimension):
            return send(run, kind, version, rows)
    settings = run.settings.vectors
    with run.lock(f"load-{collection_name(kind.name, version)}"):
        if run.vectors.is_current(kind.name, version) and not anew:  # another run made it meanwhile
            return send(run, kind, version, rows)
        made = FullLoad(run.vectors, kind.name, version, run.progress)
        if not made.begin(dimension):
            return send(run, kind, version, rows)
        wanted = facts_of(run, version, rows)
        if settings.import_folder:
            files = import_through_files(run, kind, made, wanted)
            count, checksum = sum(file.rows for file in files), sum(file.checksum for file in files)
        else:
            wanted = run.keep(wanted)
            count, checksum = wanted.agg(F.count("*"), F.sum(F.col("checksum").cast("decimal(38,0)"))).collect()[0]
            made.upsert(streamed(wanted, count, settings.batch_rows))
        made.finish(count, int(checksum) % 2**64, settings.import_minutes)
    return count


def import_through_files(run: Run, kind: Kind, made: FullLoad, wanted: DataFrame) -> list[ImportFile]:
    settings = run.settings.vectors
    folder = import_folder(settings.import_folder, made.name)
    try:
        run.progress(f"writing the files of {made.name} to {folder}")
        files = write_files(wanted, kind.name, folder, settings.import_rows)
        made.import_files(files, settings.imports_at_once, settings.import_minutes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return files


def facts_of(run: Run, version: str, rows: DataFrame) -> DataFrame:
    return with_facts(rows, run.newest(tables.VIDEO_ARRIVALS), run.newest(tables.PREDICTIONS), version)


def send(run: Run, kind: Kind, version: str, rows: DataFrame) -> int:
    run.progress(f"loading {collection_name(kind.name, version)}")
    stream = streamed(facts_of(run, version, rows), rows.count(), run.settings.vectors.batch_rows)
    return run.vectors.upsert(kind.name, version, stream)


def refuse_long_ids(run: Run, kind: Kind, versions: Sequence[str]) -> None:
    """Milvus takes no id of more than 256 bytes: such a video of the day stays in Delta and can't be searched."""
    too_long = run.day(kind.table).where(F.col("model_version").isin(*versions) & (F.octet_length("video_id") > ID_BYTES_MAX))
    reason = f"video_id must have at most {ID_BYTES_MAX} bytes to be searchable; give the video a shorter id in its manifest"
    run.refuse(
        kind.table,
        too_long.select("video_id").distinct().select(
            F.lit("video_id_too_long").alias("rule"), F.col("video_id").alias("row_key"), F.lit(reason).alias("reason"),
            F.lit(None).cast("string").alias("row"), "video_id",
        ),
    )  # fmt: skip


def load_rows(run: Run, loads: list[dict[str, Any]]) -> DataFrame:
    schema = "collection string, model_version string, kind string, loaded bigint, deleted bigint, total bigint"
    return run.spark.createDataFrame([tuple(row[part.split()[0]] for part in schema.split(", ")) for row in loads], schema)
