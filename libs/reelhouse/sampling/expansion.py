"""Expansion of few-sample classes through items: what a video's attached item says of its label. Counted on Spark, judged as arrays.

An item's category path (`厨房/咖啡器具`) counts at each of its levels. Learned is how often labelled videos with an item of a category have
a leaf label; where that is often enough, a video with such an item and no label yet is a candidate for the label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.sections import SamplingSettings
    from reelhouse.tables import Table

_Z = 1.645  # the lower end of a two-sided 90 % interval: 95 % of the time the precision is above it
MAPPING = ["item_category", "label_id", "videos", "labelled_videos", "precision", "precision_low"]
CANDIDATE = ["video_id", "item_category", "label_id", "videos", "labelled_videos", "precision_low"]


def precision_low(right: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Lower end of the 90 % interval of the share right / of, float64 in 0..1; 0 where `of` is 0. Source: Wilson 1927."""
    n = np.maximum(np.asarray(of, np.float64), 1)
    p = np.asarray(right, np.float64) / n
    middle, half = p + _Z**2 / (2 * n), _Z * np.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    return np.where(np.asarray(of) > 0, np.clip((middle - half) / (1 + _Z**2 / n), 0, 1), 0.0)


def learn_mapping(counts: pd.DataFrame, minimum: float) -> pd.DataFrame:
    """What item categories mean: columns MAPPING, surest first (ties by names).

    counts: item_category, label_id, videos (labelled videos with both), labelled_videos (with the category); see count_pairs.
    A pair counts where the lower end of its precision's interval is at least `minimum`: 2 of 2 have .43, 1 of 1 has .27.
    """
    low = precision_low(counts["videos"].to_numpy(), counts["labelled_videos"].to_numpy())
    found = counts.assign(precision=counts["videos"] / counts["labelled_videos"], precision_low=low)
    found = found[(found["precision_low"] >= minimum) & (found["videos"] > 0)]
    order = ["precision_low", "videos", "item_category", "label_id"]
    return found.sort_values(order, ascending=[False, False, True, True], ignore_index=True)[MAPPING]


def item_categories(arrivals: DataFrame, items: DataFrame) -> DataFrame:
    """video_id, item_category: every level of the categories of a video's items, once each.

    arrivals: bronze.video_arrivals, items: bronze.items, newest rows. Spaces around a level and empty levels don't count.
    """
    from pyspark.sql import functions as F

    parts = F.filter(F.transform(F.split("category_path", "/"), lambda part: F.trim(part)), lambda part: part != "")
    levels = F.transform(F.sequence(F.lit(1), F.size("parts")), lambda i: F.array_join(F.slice("parts", 1, i), "/"))
    of_item = items.select("item_id", parts.alias("parts")).where(F.size("parts") > 0).select("item_id", levels.alias("levels"))
    attached = arrivals.select("video_id", F.explode("item_ids").alias("item_id"))
    return attached.join(of_item, on="item_id", how="inner").select("video_id", F.explode("levels").alias("item_category")).distinct()


def leaf_labels(task: str, labels: DataFrame, taxonomy: DataFrame) -> DataFrame:
    """video_id, label_id of every leaf label that people gave (answer 1). labels: silver.labels, taxonomy: silver.taxonomy, newest rows."""
    from pyspark.sql import functions as F

    leaves = taxonomy.where((F.col("task") == task) & F.col("is_leaf")).select("label_id")
    given = labels.where((F.col("task") == task) & (F.col("answer") == 1)).select("video_id", "label_id")
    return given.join(F.broadcast(leaves), on="label_id", how="left_semi").distinct()


def count_pairs(categories: DataFrame, given: DataFrame, most: int) -> pd.DataFrame:
    """What learn_mapping learns from: the `most` pairs with most videos. categories: see item_categories; given: see leaf_labels.

    A video that has no leaf label says nothing of a category.
    """
    from pyspark.sql import functions as F

    labelled = categories.join(given.select("video_id").distinct(), on="video_id", how="left_semi")
    of_category = labelled.groupBy("item_category").agg(F.count("*").alias("labelled_videos"))
    pairs = labelled.join(given, on="video_id", how="inner").groupBy("item_category", "label_id").agg(F.count("*").alias("videos"))
    counted = pairs.join(of_category, on="item_category", how="inner").select("item_category", "label_id", "videos", "labelled_videos")
    return counted.orderBy(F.desc("videos"), "item_category", "label_id").limit(most).toPandas()


def candidates(
    categories: DataFrame, mapping: pd.DataFrame, videos: DataFrame, copies: DataFrame, settled: DataFrame, count: int
) -> pd.DataFrame:
    """At most `count` videos to label for the labels of `mapping` (of Expansion), best first: columns CANDIDATE.

    Labels take turns, the one with fewest labelled videos first, each with its surest candidate. Of copies one is taken, and none
    where one is settled. videos: video_id of those that may be shown.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    if not len(mapping) or count <= 0:
        return pd.DataFrame(columns=CANDIDATE)
    facts = "item_category string, label_id string, videos long, labelled_videos long, precision_low double, label_videos long"
    known = mapping[["item_category", "label_id", "videos", "labelled_videos", "precision_low", "label_videos"]]
    wanted = F.broadcast(categories.sparkSession.createDataFrame(known, facts))
    group = F.coalesce("copy_group", "video_id").alias("copy_group")
    group_of = copies.select("video_id", "copy_group")
    done = settled.join(group_of, on="video_id", how="left").select(group).distinct()
    matched = categories.join(wanted, on="item_category", how="inner").join(videos.select("video_id"), on="video_id", how="left_semi")
    grouped = matched.join(group_of, on="video_id", how="left").select(*matched.columns, group)
    surest = Window.partitionBy("copy_group").orderBy(F.desc("precision_low"), "label_videos", "video_id", "item_category", "label_id")
    in_turn = Window.partitionBy("label_id").orderBy(F.desc("precision_low"), "video_id")
    free = grouped.join(done, on="copy_group", how="left_anti").withColumn("place", F.row_number().over(surest)).where("place = 1")
    queued = free.withColumn("turn", F.row_number().over(in_turn)).where(F.col("turn") <= count)
    return queued.orderBy("turn", "label_videos", "label_id").limit(count).select(*CANDIDATE).toPandas()


@dataclass(frozen=True)
class Inputs:
    """As of a day, newest rows: silver.labels, silver.taxonomy, bronze.video_arrivals, bronze.items, silver.videos, silver.copies; settled:
    see reelhouse.sampling.candidates."""

    labels: DataFrame
    taxonomy: DataFrame
    arrivals: DataFrame
    items: DataFrame
    videos: DataFrame
    copies: DataFrame
    settled: DataFrame

    @classmethod
    def of(cls, read: Callable[[Table], DataFrame], labels: DataFrame, copies: DataFrame, settled: DataFrame) -> Inputs:
        """read: gives the newest rows of a table, as Run.current does."""
        from reelhouse import tables

        taxonomy, arrivals, items, videos = map(read, (tables.TAXONOMY, tables.VIDEO_ARRIVALS, tables.ITEMS, tables.VIDEOS))
        return cls(labels, taxonomy, arrivals, items, videos, copies, settled)


@dataclass(frozen=True)
class Expansion:
    """mapping: columns MAPPING and label_videos, is_rare. found: columns CANDIDATE and path, the label's."""

    mapping: pd.DataFrame
    found: pd.DataFrame


def expand(given: Inputs, settings: SamplingSettings, count: int, keep: Callable[[DataFrame], DataFrame] = lambda rows: rows) -> Expansion:
    """What items say of the labels of settings.task, and at most `count` videos to label for its rare leaves.

    keep: holds what is used more than once until the caller is done (Run.keep). Collected are at most settings.rows_max pairs of a
    category and a label, and a number for each leaf that has a label.
    """
    from pyspark.sql import functions as F

    categories = keep(item_categories(given.arrivals, given.items))
    if categories.isEmpty():
        return Expansion(_with_rarity(_no_mapping(), {}, settings.rare_labels), pd.DataFrame(columns=[*CANDIDATE, "path"]))
    leaves = keep(leaf_labels(settings.task, given.labels, given.taxonomy))
    label_videos = {row.label_id: row["count"] for row in leaves.groupBy("label_id").count().collect()}
    learned = learn_mapping(count_pairs(categories, leaves, settings.rows_max), settings.item_precision_min)
    mapping = _with_rarity(learned, label_videos, settings.rare_labels)
    found = candidates(categories, mapping[mapping["is_rare"]], given.videos, given.copies, given.settled, count)
    paths = given.taxonomy.where((F.col("task") == settings.task) & F.col("label_id").isin(sorted(set(found["label_id"]))))
    path_of = {row.label_id: row.path for row in paths.select("label_id", "path").collect()}
    return Expansion(mapping, found.assign(path=[path_of[label] for label in found["label_id"]]))


def reason_of(candidate: Any) -> str:
    """Why a candidate (a row of Expansion.found) is to be labelled, in words."""
    return (
        f"its item is of category {candidate.item_category}, which in {candidate.videos} of {candidate.labelled_videos} labelled videos "
        f"meant {candidate.path}, a label with few videos"
    )


def _with_rarity(mapping: pd.DataFrame, label_videos: Mapping[str, int], rare_labels: int) -> pd.DataFrame:
    counts = np.array([label_videos[label] for label in mapping["label_id"]], np.int64)
    return mapping.assign(label_videos=counts, is_rare=counts < rare_labels)


def _no_mapping() -> pd.DataFrame:
    counts = {"item_category": [], "label_id": [], "videos": np.zeros(0, np.int64), "labelled_videos": np.zeros(0, np.int64)}
    return learn_mapping(pd.DataFrame(counts), 1.0)
