"""Cluster all videos by density and choose those that people should label, without any model: dense regions, then the long tail.

Of more than sampling.rows_max videos so many are clustered and chosen from, always the same ones; each other video joins the cluster
of its nearest neighbour among them, on Spark.

Reads   silver.features, silver.text_features, silver.copies, silver.labels, bronze.label_exports (as of the day),
        gold.sample_batch, gold.active_batch (before the day: nothing is chosen twice)
Writes  gold.clusters, gold.sample_batch, one day, replaced whole
Rerun   safe: same date, same inputs -> same rows
Launch  reelhouse job sample_by_density --date 2026-01-02
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reelhouse import tables
from reelhouse.features import layout_of, pooled_vectors, to_numpy
from reelhouse.sampling import NOISE, DensitySample, sample_by_density
from reelhouse.sampling.assignment import ClusterIndex, assign_clusters
from reelhouse.sampling.candidates import groups_and_covered, place_at_most, settled_videos

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.run import Run
    from reelhouse.settings import SamplingSettings
    from reelhouse.tables import Table


def build(
    ids: np.ndarray, vectors: np.ndarray, groups: np.ndarray, covered: np.ndarray, settings: SamplingSettings, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(gold.clusters, gold.sample_batch), without data_date.

    ids (n,) str, vectors (n, d), groups (n,) copy groups, covered (n,) bool: see sample_by_density. A cluster is called by the
    video_id of its densest video (the first of equals).
    """
    sample = sample_by_density(
        vectors,
        budget=settings.budget,
        seed=seed,
        minimum_size=settings.minimum_cluster_size,
        groups=groups,
        covered=covered,
        random_share=settings.random_share,
    )
    labels, density = sample.clusters.labels, sample.clusters.density
    names = _cluster_names(ids, labels, density)
    clusters = pd.DataFrame({"video_id": ids, "cluster_id": names, "density": density, "is_noise": labels == NOISE})
    batch = pd.DataFrame(
        {
            "video_id": ids[sample.indices],
            "task": settings.task,
            "rank": np.arange(1, len(sample.indices) + 1, dtype=np.int32),
            "reason": _reasons(sample, covered),
            "score": density[sample.indices],
            "is_random": sample.is_random,
        }
    )
    return clusters, batch


def main(run: Run) -> None:
    settings = run.settings.sampling
    features, texts = run.current(tables.FEATURES), run.current(tables.TEXT_FEATURES)
    layout = layout_of(features, texts)
    if not layout.parts:
        run.aside("no video has a vector yet: nothing to cluster")
    known = run.keep(features.select("video_id").union(texts.select("video_id")).distinct())
    fits, left_out = place_at_most(known, settings.rows_max)
    ids, vectors = to_numpy(pooled_vectors(features.where(fits), texts.where(fits), layout))
    earlier = run.before(tables.SAMPLE_BATCH), run.before(tables.ACTIVE_BATCH)
    settled = settled_videos(settings.task, run.current(tables.LABELS), run.upto(tables.LABEL_EXPORTS), *earlier)
    groups, covered = groups_and_covered(ids, known.where(fits), run.current(tables.COPIES), settled)
    clusters, batch = build(ids, vectors, groups, covered, settings, run.seed)
    run.metric("clusters", clusters["cluster_id"].nunique())
    run.metric("noise_share", clusters["is_noise"].mean() if len(clusters) else 0.0)
    clustered = _frame(run, tables.CLUSTERS, clusters)
    if left_out:
        run.note(f"sampling.rows_max is {settings.rows_max:,}: {left_out:,} more videos joined the cluster of their nearest neighbour")
        names, density = clusters["cluster_id"].to_numpy(object), clusters["density"].to_numpy()
        index = run.spark.sparkContext.broadcast(ClusterIndex.of(vectors, names, density, seed=run.seed).to_bytes())
        others = assign_clusters(pooled_vectors(features.where(~fits), texts.where(~fits), layout), index)
        clustered = clustered.unionByName(others)
    run.publish(tables.CLUSTERS, clustered)
    run.publish(tables.SAMPLE_BATCH, _frame(run, tables.SAMPLE_BATCH, batch))


def _cluster_names(ids: np.ndarray, labels: np.ndarray, density: np.ndarray) -> np.ndarray:
    names = np.full(len(ids), None, object)
    order = np.lexsort((ids, -density))
    found, first = np.unique(labels[order], return_index=True)
    for label, place in zip(found.tolist(), first.tolist(), strict=True):
        if label != NOISE:
            names[labels == label] = ids[order[place]]
    return names


def _reasons(sample: DensitySample, covered: np.ndarray) -> list[str]:
    labels = sample.clusters.labels
    size = np.bincount(labels - NOISE)
    done = np.bincount(labels[covered] - NOISE, minlength=len(size))
    reasons = []
    for region, is_random in zip((labels[sample.indices] - NOISE).tolist(), sample.is_random.tolist(), strict=True):
        if is_random:
            reasons.append("drawn at random, for unbiased evaluation")
        elif region == 0:
            reasons.append("the long tail: in no dense region")
        else:
            before = f"{done[region]} labelled or handed out before" if done[region] else "none labelled yet"
            reasons.append(f"typical of a dense region of {size[region]} videos, {before}")
    return reasons


def _frame(run: Run, table: Table, rows: pd.DataFrame) -> DataFrame:
    schema = table.spark_schema()
    return run.spark.createDataFrame(rows, type(schema)([field for field in schema if field.name in rows.columns]))
