"""Which of a day's rows are new, which add nothing, which contradict another. DataFrame -> DataFrame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from reelhouse.sources.columns import VIDEOS, FileKind
from reelhouse.sources.deliveries import BARE_BATCH
from reelhouse.tables import REFUSED, REFUSED_CHARACTERS_MAX

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@dataclass(frozen=True)
class Arrivals:
    """`new`: rows for the kind's table, without data_date; ingested_at is null but in those that stay. `refused`: for ops.quarantine."""

    new: DataFrame
    refused: DataFrame


def settle(
    rows: DataFrame,
    before: DataFrame,
    kind: FileKind,
    *,
    stays: DataFrame | None = None,
    taken_down: Mapping[str, Sequence[str]] | None = None,
) -> Arrivals:
    """Choose what a day adds to what is known from the days before.

    rows: as `reading.read_rows` gives them (cache it: it is read several times). before: the kind's table, data_date < D.
    stays: rows of the day in the kind's table whose file is gone (`staying.staying_rows`). taken_down: video id -> SHA-256 of
    its files; content of another id that is among them is refused (taken_down).
    Of rows with one key the one that stays, else the first (by batch, row) is taken; identical ones add nothing, others are
    refused (duplicate_id). A row whose key and content are those of the newest row of the days before adds nothing; nor does a
    file of a bare folder whose content is known already.
    """
    good = rows.where(F.col("rule").isNull()).withColumns({"ingested_at": F.lit(None).cast("timestamp"), "_turn": F.lit(1)})
    if stays is not None:
        good = good.unionByName(_as_read(stays), allowMissingColumns=True)
    refused = _refusals(rows)
    if kind is VIDEOS:
        if taken_down:
            gone = _is_taken_down(taken_down)
            refused = refused.unionByName(_taken_down_refusals(good.where(gone)))
            good = good.where(~gone)
        good = _without_known_files(good, before)
    good = good.withColumn("_content", content_hash(kind))
    order = Window.partitionBy(kind.key).orderBy("_turn", "batch", "source_row")
    ranked = good.withColumns({"_rank": F.row_number().over(order), "_first": F.first("_content").over(order)})
    contradicting = ranked.where((F.col("_rank") > 1) & (F.col("_content") != F.col("_first")))
    first = ranked.where(F.col("_rank") == 1)
    new = first.join(_newest(before, first, kind), on=[kind.key, "_content"], how="left_anti").select(*kind.table.undated)
    return Arrivals(new, refused.unionByName(_duplicates(contradicting, kind)))


def _as_read(stays: DataFrame) -> DataFrame:
    """Rows of the table as if they were read again, each before the delivered ones of its key."""
    return stays.drop("data_date").withColumns({"_turn": F.lit(0), "row_key": F.concat_ws(":", "batch", "source_row")})


def _is_taken_down(taken_down: Mapping[str, Sequence[str]]) -> Column:
    """Rows of another video with content that was taken down. Rows of the video itself are left out when the table is written,
    and must not be named in the quarantine after a purge."""
    contents = sorted({content for held in taken_down.values() for content in held})
    hit = F.col("content_sha256").isin(*contents) & ~F.coalesce(F.col("video_id"), F.lit("")).isin(*taken_down)
    return F.coalesce(hit, F.lit(False))


def _taken_down_refusals(rows: DataFrame) -> DataFrame:
    reason = F.concat(
        F.lit("the content of "), F.col("uri"), F.lit(" was taken down (`reelhouse delete`): take the file out of the delivery")
    )
    shown = F.to_json(F.struct("uri"))  # not its texts: they may be those of the video that had to go
    return rows.select(F.lit("taken_down").alias("rule"), "row_key", reason.alias("reason"), shown.alias("row"), "video_id")


def content_hash(kind: FileKind) -> Column:
    """SHA-256 of a row's content: all columns that two deliveries of the same row share. Times to the microsecond."""
    types = {c.name: c.type for c in kind.table.columns}
    parts = [F.unix_micros(name).alias(name) if types[name] == "timestamp" else F.col(name) for name in kind.content]
    return F.sha2(F.to_json(F.struct(*parts)), 256)


def _without_known_files(good: DataFrame, before: DataFrame) -> DataFrame:
    """Files of a bare folder (they have no id but their content) stay only if no other row, of any day, has their content."""
    bare = F.col("batch") == BARE_BATCH
    known = (
        before.select("content_sha256").unionByName(good.where(~bare).select("content_sha256")).where(F.col("content_sha256").isNotNull())
    )
    return good.where(~bare).unionByName(good.where(bare).join(known, on="content_sha256", how="left_anti"))


def _newest(before: DataFrame, wanted: DataFrame, kind: FileKind) -> DataFrame:
    """(key, content) of the newest row before the day, for the keys of `wanted`."""
    order = Window.partitionBy(kind.key).orderBy(F.desc("data_date"), "batch")
    return (
        before.join(wanted.select(kind.key), on=kind.key, how="left_semi")
        .withColumn("_rank", F.row_number().over(order))
        .where("_rank = 1")
        .select(kind.key, content_hash(kind).alias("_content"))
    )


def _refusals(rows: DataFrame) -> DataFrame:
    refused = rows.where(F.col("rule").isNotNull())
    return (
        refused.select(*REFUSED)
        if "video_id" in rows.columns
        else refused.withColumn("video_id", F.lit(None).cast("string")).select(*REFUSED)
    )


def _duplicates(rows: DataFrame, kind: FileKind) -> DataFrame:
    video = F.col("video_id") if "video_id" in rows.columns else F.lit(None).cast("string")
    key = F.concat_ws(":", "batch", "source_row")
    reason = F.concat(
        F.lit(f"{kind.key} "), F.col(kind.key), F.lit(" was delivered before on this day with another content: give each its own id")
    )
    content = F.substring(F.to_json(F.struct(kind.key, *kind.content)), 1, REFUSED_CHARACTERS_MAX)
    return rows.select(
        F.lit("duplicate_id").alias("rule"), key.alias("row_key"), reason.alias("reason"), content.alias("row"), video.alias("video_id")
    )
