"""Which rows of Delta belong into which collection. Frames in, frames out; no session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reelhouse import tables
from reelhouse.tables import Table
from reelhouse.vectors.schema import EMBEDDING, FIELDS, HASH, ID_BYTES_MAX, WORD_CHARACTERS_MAX

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


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


def wanted_rows(rows: DataFrame, kind: Kind, version: str) -> DataFrame:
    """What the collection should hold of `rows` (of the kind's table): video_id, vector, data_date (text).

    Left out: other versions, and ids that are too long for Milvus.
    """
    from pyspark.sql import functions as F

    wanted = rows.where((F.col("model_version") == version) & (F.octet_length("video_id") <= ID_BYTES_MAX))
    return wanted.select("video_id", F.col(kind.column).alias("vector"), F.col("data_date").cast("string").alias("data_date"))


DOMAIN_TASK = "category"  # the label tree whose topmost labels are the domains


def with_facts(wanted: DataFrame, arrivals: DataFrame, predictions: DataFrame, version: str) -> DataFrame:
    """Those rows with what searches filter by, and a checksum (xxhash64) over all but data_date; columns as schema.FIELDS.

    domain: the topmost part of the best predicted label's path. Unknown: '' for domain and author, 0 for published_at.
    """
    from pyspark.sql import functions as F

    def word(name: str) -> Column:
        return F.substring(F.coalesce(F.col(name), F.lit("")), 1, WORD_CHARACTERS_MAX).alias(name)

    published = F.coalesce(F.unix_timestamp("published_at"), F.lit(0)).alias("published_at")
    about = arrivals.select("video_id", F.col("author_id").alias("author"), "published_at")
    best = predictions.where((F.col("model_version") == version) & (F.col("task") == DOMAIN_TASK))
    domains = best.select("video_id", F.split_part(F.get("top", F.lit(0))["path"], F.lit("/"), F.lit(1)).alias("domain"))
    facts = wanted.join(about, on="video_id", how="left").join(domains, on="video_id", how="left")
    facts = facts.select("video_id", "vector", "data_date", word("domain"), word("author"), published)
    return facts.withColumn("checksum", F.xxhash64("vector", "domain", "author", "published_at")).select(*FIELDS)


def streamed(rows: DataFrame, count: int, rows_at_once: int, *, in_order: bool = False) -> Iterator[Any]:
    """The rows, `count` of them, one after the other, on this machine, which holds about rows_at_once of them (twice that: the next
    ones are fetched meanwhile). in_order: by the UTF-8 bytes of video_id."""
    parts = -(-count // rows_at_once)
    if parts <= 1:
        cut = rows.coalesce(1)
    elif in_order:
        cut = rows.repartitionByRange(parts, "video_id")
    else:
        cut = rows.repartition(parts, "video_id")
    if in_order:
        cut = cut.sortWithinPartitions("video_id")
    return iter(cut.toLocalIterator(prefetchPartitions=True))
