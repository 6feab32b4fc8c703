"""Which videos may still be chosen: whose copies, and what is labelled, handed out or chosen already. On Spark, then arrays."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def settled_videos(task: str, labels: DataFrame, exports: DataFrame, *batches: DataFrame) -> DataFrame:
    """video_id of every video that needs no (further) choosing for a task, once each.

    labels: silver.labels (newest rows); a video counts with an answer of 1 or 0. exports: bronze.label_exports; batches: earlier
    (or today's) rows of gold.sample_batch and gold.active_batch. Those before an answer of -1 (people disagreed, or could not say)
    don't count: the video is to be chosen again. Of its day, an export comes before the answer, a batch after it.
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
    answered = labels.where((F.col("task") == task) & F.col("answer").isin(0, 1)).select("video_id")
    return reduce(lambda a, b: a.unionByName(b), given, answered).distinct()


def labelled_videos(task: str, labels: DataFrame) -> DataFrame:
    """video_id of every video that has a label (answer 1) for a task, once each."""
    from pyspark.sql import functions as F

    return labels.where((F.col("task") == task) & (F.col("answer") == 1)).select("video_id").distinct()


def keep_at_most(vectors: DataFrame, rows_max: int) -> tuple[DataFrame, int]:
    """(at most rows_max rows, how many were left out): those of least hash of video_id, the same ones on every run."""
    from pyspark.sql import functions as F

    left_out = max(vectors.count() - rows_max, 0)
    return (vectors.orderBy(F.xxhash64("video_id"), "video_id").limit(rows_max) if left_out else vectors), left_out


def groups_and_covered(ids: np.ndarray, copies: DataFrame, settled: DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Copy group of each video as a number, (n,) int64, and whether anything of its group is settled, (n,) bool.

    ids (n,) str. copies: silver.copies (newest rows); a video without a row, or without a group, is a group of its own.
    """
    from pyspark.sql import functions as F

    group = F.coalesce("copy_group", "video_id")
    members = copies.select("video_id", group.alias("copy_group")).where("copy_group <> video_id")
    group_of = {row.video_id: row.copy_group for row in members.toLocalIterator()}
    done = settled.join(members, on="video_id", how="left").select(group.alias("copy_group")).distinct()
    names = np.array([group_of.get(video, video) for video in ids.tolist()], dtype=str)
    covered = np.isin(names, np.array([row.copy_group for row in done.toLocalIterator()], dtype=str))
    return np.unique(names, return_inverse=True)[1].astype(np.int64), covered
