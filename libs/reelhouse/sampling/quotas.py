"""How much of a day's batch one kind of videos may take: a root of the label tree, or a day of delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reelhouse.labels.predicted import followed
from reelhouse.sampling.budget import most_share
from reelhouse.sampling.places import Quota

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def roots_of(predictions: DataFrame, tree: DataFrame) -> DataFrame:
    """video_id, root: the root of the label tree that each video's best label lies below.

    predictions: video_id, task, top (best first), one row a video of one task; tree: silver.taxonomy (newest rows). A label that was
    renamed, merged or retired into another counts as what it became; a video without any label that the tree still has has no row.
    """
    from pyspark.sql import functions as F

    best = followed(predictions, tree).select("video_id", "task", F.get("top", F.lit(0)).label_id.alias("label_id"))
    root = F.coalesce(F.get("ancestors", F.size("ancestors") - 1), F.col("label_id"))  # ancestors: nearest first
    return best.join(tree.select("task", "label_id", root.alias("root")), on=["task", "label_id"], how="inner").select("video_id", "root")


def kinds_of(ids: np.ndarray, rows: DataFrame, column: str) -> np.ndarray:
    """Value of a column for each video, (n,) object, None for those without a row. ids (n,) str sorted; rows: one a video, of those
    videos or few more: so many are collected."""
    table = rows.select("video_id", column).toArrow()
    value = dict(zip(table["video_id"].to_pylist(), table[column].to_pylist(), strict=True))
    return np.array([value.get(video) for video in ids.tolist()], object)


def share_quota(kinds: np.ndarray, budget: int, share: float) -> Quota:
    """At most `share` of the budget, but one place at least, for each kind; those of kind None are free.

    kinds (n,) object: str or dates, None.
    """
    names, kind = np.unique(np.array(["" if one is None else str(one) for one in kinds.tolist()], dtype=str), return_inverse=True)
    places = np.full(len(names), max(1, most_share(budget, share)))
    places[names == ""] = budget
    return Quota(kind, places)
