"""Which rows of Delta belong into which collection. Frames in, frames out; no session."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reelhouse import tables
from reelhouse.tables import Table
from reelhouse.vectors.store import EMBEDDING, HASH, ID_BYTES_MAX

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Kind:
    """A kind of vector: its name in collections, its table and the column that holds it."""

    name: str
    table: Table
    column: str

    def dimension(self, vector: Sequence[float] | bytes) -> int:
        """As Milvus counts it: floats of an embedding, bits of a hash."""
        return len(vector) * (8 if self.name == HASH else 1)


KINDS = (Kind(EMBEDDING, tables.EMBEDDINGS, "vector"), Kind(HASH, tables.HASHES, "hash"))


def newest_version(embeddings: DataFrame) -> str | None:
    """The model version that was predicted with last; None without any row. predict writes one version a day."""
    from pyspark.sql import functions as F

    newest = embeddings.orderBy(F.desc("data_date"), "model_version").select("model_version").head()
    return str(newest.model_version) if newest else None


def wanted_rows(rows: DataFrame, kind: Kind, version: str, newer: Collection[str] = ()) -> DataFrame:
    """What the collection should hold of `rows` (of the kind's table): video_id, vector, checksum (xxhash64), data_date (text).

    Left out: other versions, ids that are too long for Milvus, and `newer`: videos of which Milvus holds a vector of a
    later date, which a rerun of an old date must not replace.
    """
    from pyspark.sql import functions as F

    wanted = rows.where((F.col("model_version") == version) & (F.octet_length("video_id") <= ID_BYTES_MAX))
    if newer:
        later = rows.sparkSession.createDataFrame([(i,) for i in newer], "video_id string")
        wanted = wanted.join(later, on="video_id", how="left_anti")
    return wanted.select(
        "video_id",
        F.col(kind.column).alias("vector"),
        F.xxhash64(kind.column).alias("checksum"),
        F.col("data_date").cast("string").alias("data_date"),
    )


def streamed(rows: DataFrame, rows_at_once: int, *, in_order: bool = False) -> Iterator[Any]:
    """The rows, one after the other, on this machine, which holds about rows_at_once of them (twice that: the next ones are fetched
    meanwhile). in_order: by the UTF-8 bytes of video_id."""
    parts = max(1, -(-rows.count() // rows_at_once))
    ranges = rows.repartitionByRange(parts, "video_id").sortWithinPartitions("video_id")
    cut = ranges if in_order else rows.repartition(parts, "video_id")
    return iter(cut.toLocalIterator(prefetchPartitions=True))
