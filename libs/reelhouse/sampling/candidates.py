"""Which videos may still be chosen: whose copies, and what is labelled, handed out or chosen already. On Spark, then arrays."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from reelhouse.tables.silver import IS_ANSWERED

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def served_version(serving: DataFrame) -> str | None:
    """The model of the newest row of ops.serving; None without any."""
    newest = serving.orderBy("data_date", ascending=False).first()
    return newest.model_version if newest else None


def earlier_version(serving: DataFrame, served: str) -> str | None:
    """The model that was served before `served`, by ops.serving; None without any."""
    from pyspark.sql import functions as F

    return served_version(serving.where(F.col("model_version") != served))


def settled_videos(task: str, labels: DataFrame, exports: DataFrame, *batches: DataFrame) -> DataFrame:
    """video_id of every video that needs no (further) choosing for a task, once each.

    labels: silver.labels (newest rows); a video counts with an answer of 1 or 0, unless a label of it is contested. exports:
    bronze.label_exports; batches: earlier (or today's) rows of gold.sample_batch and gold.active_batch. Those before an answer of -1
    (people disagreed, or could not say) don't count: the video is to be chosen again. Of its day, an export comes before the answer, a
    batch after it.
    """
    from pyspark.sql import functions as F

    unanswered = labels.where((F.col("task") == task) & (F.col("answer") == -1)).select("video_id", F.col("data_date").alias("open_since"))
    same = F.col("given.video_id") == F.col("open.video_id")
    given_out = [(exports, F.col("data_date") <= F.col("open_since"))] + [(b, F.col("data_date") < F.col("open_since")) for b in batches]
    given = [
        frame.where(F.col("task") == task)
        .alias("given")
        .join(unanswered.alias("open"), on=same & earlier, how="left_anti")
        .select("video_id")
        for frame, earlier in given_out
    ]
    of_task = labels.where(F.col("task") == task).groupBy("video_id")
    answered = of_task.agg(F.expr(IS_ANSWERED).alias("is_answered")).where("is_answered").select("video_id")
    return reduce(lambda a, b: a.unionByName(b), given, answered).distinct()


def labelled_videos(task: str, labels: DataFrame) -> DataFrame:
    """video_id of every video that has a label (answer 1) for a task, once each."""
    from pyspark.sql import functions as F

    return labels.where((F.col("task") == task) & (F.col("answer") == 1)).select("video_id").distinct()


def place_at_most(ids: DataFrame, rows_max: int) -> tuple[Column, int]:
    """(a condition on video_id that holds for at most rows_max videos, for how many it doesn't): those of least hash of video_id, the
    same ones on every run. ids: one row a video. Only hashes and ids are put in order, and never on the driver."""
    from pyspark.sql import functions as F

    left_out = max(ids.count() - rows_max, 0)
    if not left_out:
        return F.lit(True), 0
    place = F.struct(F.xxhash64("video_id").alias("hash"), "video_id").alias("place")
    last = ids.select(place).orderBy("place").limit(rows_max).agg(F.max("place").alias("place")).select("place.*").first()
    assert last is not None
    hashed = F.xxhash64("video_id")
    return (hashed < last["hash"]) | ((hashed == last["hash"]) & (F.col("video_id") <= last["video_id"])), left_out


def keep_at_most(rows: DataFrame, rows_max: int) -> tuple[DataFrame, int]:
    """(at most rows_max rows, how many were left out): see place_at_most. rows: one a video."""
    fits, left_out = place_at_most(rows.select("video_id"), rows_max)
    return (rows.where(fits) if left_out else rows), left_out


def keep_with_settled(rows: DataFrame, settled: DataFrame, rows_max: int) -> tuple[DataFrame, int]:
    """As keep_at_most, and besides those kept at most as many others that are settled, so that what is like them counts as covered.
    settled: video_id, once each."""
    fits, left_out = place_at_most(rows.select("video_id"), rows_max)
    if not left_out:
        return rows, 0
    also, _ = keep_at_most(rows.where(~fits).join(settled, on="video_id", how="left_semi"), rows_max)
    return rows.where(fits).unionByName(also), left_out


def groups_and_covered(ids: np.ndarray, videos: DataFrame, copies: DataFrame, settled: DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Copy group of each video as a number, (n,) int64, and whether anything of its group is settled, (n,) bool.

    ids (n,) str, sorted; videos: their video_id on Spark, or those of more: so many rows are collected. copies: silver.copies (newest
    rows); a video without a row, or without a group, is a group of its own. settled: video_id, once each.
    """
    from pyspark.sql import functions as F

    group = F.coalesce("copy_group", "video_id").alias("copy_group")
    group_of = copies.select("video_id", "copy_group")
    done = settled.join(group_of, on="video_id", how="left").select(group).distinct().withColumn("covered", F.lit(True))
    grouped = videos.select("video_id").join(group_of, on="video_id", how="left").select("video_id", group)
    rows = grouped.join(done, on="copy_group", how="left").select(
        "video_id", "copy_group", F.coalesce("covered", F.lit(False)).alias("covered")
    )
    table = rows.toArrow().sort_by("video_id")
    at = np.searchsorted(np.array(table["video_id"].to_pylist(), dtype=str), ids)
    names, covered = np.array(table["copy_group"].to_pylist(), dtype=str), np.array(table["covered"].to_pylist(), dtype=bool)
    return np.unique(names[at], return_inverse=True)[1].astype(np.int64), covered[at]
