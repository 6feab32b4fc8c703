"""Cold start: does a model's uncertainty say yet where it errs? Until it does, sampling by density chooses.

What the switch is worth was measured on five sets and 20 to 1,000 labels (tests/benchmarks/bench_planning.py): where it is off, density
brings 1.5 points of accuracy more than the smallest margins do, and .4 less than uncertainty_by_cluster, which is itself sampling by
density for a model that knows little. Where it is on, uncertainty_by_cluster and density are even, and margins alone catch up at 1,000.
So for our own strategy it is a guard against models that are sure of their errors, for the others a gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reelhouse.labels.predicted import followed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Trust:
    """rows, errors: labelled videos that the model did not learn from, and those of them that it gets wrong. auroc: the chance that it
    is less sure of an error than of a right answer, 0..1; NaN without both. p: the chance of such an auroc if its uncertainty said
    nothing, 0..1; 1 without both."""

    rows: int
    errors: int
    auroc: float
    p: float


def trust_in(uncertainty: np.ndarray, errors: np.ndarray) -> Trust:
    """Whether errors rank above right answers by uncertainty: one-sided Mann-Whitney test (Mann and Whitney 1947), exact where rows are
    few and no two alike. uncertainty (n,), larger is less sure; errors (n,) bool."""
    from scipy.stats import mannwhitneyu

    errors = np.asarray(errors, bool)
    wrong, right = int(errors.sum()), int((~errors).sum())
    if not wrong or not right:
        return Trust(len(errors), wrong, float("nan"), 1.0)
    found = mannwhitneyu(uncertainty[errors], uncertainty[~errors], alternative="greater")
    return Trust(len(errors), wrong, float(found.statistic) / (wrong * right), float(found.pvalue))


def held_out_answers(task: str, predictions: DataFrame, labels: DataFrame, taxonomy: DataFrame, learned: DataFrame) -> DataFrame:
    """video_id, is_error of each labelled video that a model was not taught by, once each.

    predictions: of the model for the task: video_id, top (best first). labels: silver.labels, taxonomy: silver.taxonomy, newest rows.
    learned: video_id of what the model was taught by. The best label is right where people gave it or one below it, wrong where they
    gave another that is not above it; where they only gave labels above it, nothing is known. Labels that were predicted under a former id
    count as what they became.
    """
    from pyspark.sql import functions as F

    taxonomy = taxonomy.where(F.col("task") == task)
    tree = taxonomy.select("label_id", F.concat(F.array("label_id"), "ancestors").alias("lineage"))
    given = labels.where((F.col("task") == task) & (F.col("answer") == 1)).select("video_id", "label_id")
    of_labelled = predictions.join(given.select("video_id").distinct(), on="video_id", how="left_semi").withColumn("task", F.lit(task))
    said = followed(of_labelled, taxonomy).where(F.size("top") > 0).select("video_id", F.get("top", F.lit(0))["label_id"].alias("best"))
    best_tree = tree.select(F.col("label_id").alias("best"), F.col("lineage").alias("best_lineage"))
    compared = (
        given.join(learned, on="video_id", how="left_anti")
        .join(F.broadcast(tree), on="label_id", how="inner")
        .join(said, on="video_id", how="inner")
        .join(F.broadcast(best_tree), on="best", how="inner")
        .withColumn("right", F.array_contains("lineage", F.col("best")))
        .withColumn("other", ~F.array_contains("best_lineage", F.col("label_id")))
    )
    judged = compared.groupBy("video_id").agg(F.max("right").alias("right"), F.max("other").alias("other"))
    return judged.where(F.col("right") | F.col("other")).select("video_id", (~F.col("right")).alias("is_error"))
