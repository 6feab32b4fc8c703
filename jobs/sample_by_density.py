"""Keep the density clusters of all videos from day to day, and choose those that people should label, without any model.

The clusters of the day before are carried over, and new videos join them; all videos are clustered anew after sampling.recluster_days
days, once sampling.recluster_share of them came since, or where an encoder changed. A cluster keeps its id either way.
Of more than sampling.rows_max videos so many, always the same ones, are chosen from. Up to sampling.spark_rows_max are then clustered
on Spark; from day to day those that are chosen from stand for the others: new clusters are found among them, and each other new video
joins the cluster of its nearest neighbour among them.

Reads   silver.features, silver.text_features, silver.video_text, silver.copies, silver.labels, bronze.label_exports (as of the day),
        gold.clusters, gold.cluster_days (the day before), gold.sample_batch, gold.active_batch (before the day: nothing is chosen twice);
        for quotas silver.videos, silver.taxonomy (as of the day), gold.predictions, ops.serving (before the day)
Writes  gold.cluster_days, gold.clusters, gold.sample_batch, one day, replaced whole
Rerun   safe: same date, same inputs -> same rows
Launch  reelhouse job sample_by_density --date 2026-01-02
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.features import layout_of, pooled_vectors, to_numpy
from reelhouse.sampling import NOISE, DensityClusters, DensitySample, sample_by_density
from reelhouse.sampling.candidates import groups_and_covered, keep_at_most, place_at_most, served_version, settled_videos
from reelhouse.sampling.carrying import EarlierClusters, why_anew
from reelhouse.sampling.days import Videos, hold_also, place_all
from reelhouse.sampling.drift import ClusterBefore, ClusterToday, cluster_days, sizes_and_exemplars
from reelhouse.sampling.places import Quota
from reelhouse.sampling.quotas import kinds_of, roots_of, share_quota
from reelhouse.sampling.same_vectors import join_same
from reelhouse.sampling.words import characteristic_words

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from reelhouse.run import Run
    from reelhouse.sampling.identity import Identity
    from reelhouse.sections import SamplingSettings
    from reelhouse.tables import Table


def build(
    ids: np.ndarray,
    vectors: np.ndarray,
    clusters: DensityClusters,
    groups: np.ndarray,
    covered: np.ndarray,
    quotas: Sequence[Quota],
    settings: SamplingSettings,
    seed: int,
) -> pd.DataFrame:
    """gold.sample_batch, without data_date.

    ids (n,) str, vectors (n, d), clusters of all of them, groups (n,) copy groups, covered (n,) bool, quotas: see sample_by_density.
    Videos of the same vector are copies too, whatever they have in place of frames.
    """
    groups, covered = join_same(groups, covered, vectors)
    sample = sample_by_density(
        vectors,
        budget=settings.budget,
        seed=seed,
        clusters=clusters,
        groups=groups,
        covered=covered,
        random_share=settings.random_share,
        quotas=quotas,
    )
    return pd.DataFrame(
        {
            "video_id": ids[sample.indices],
            "task": settings.task,
            "rank": np.arange(1, len(sample.indices) + 1, dtype=np.int32),
            "reason": _reasons(sample, covered),
            "score": pd.Series(sample.gains).astype(object).where(~sample.is_random, None),
            "is_random": sample.is_random,
        }
    )


def main(run: Run) -> None:
    settings = run.settings.sampling
    features, texts = run.current(tables.FEATURES), run.current(tables.TEXT_FEATURES)
    layout = layout_of(features, texts)
    if not layout.parts:
        run.aside("no video has a vector yet: nothing to cluster")
    known = run.keep(features.select("video_id").union(texts.select("video_id")).distinct())
    fits, left_out = place_at_most(known, settings.rows_max)
    clustered_anew, joining = place_at_most(known, max(settings.spark_rows_max, settings.rows_max))
    ids, vectors = to_numpy(pooled_vectors(features.where(fits), texts.where(fits), layout))

    def vectors_of(some: DataFrame) -> DataFrame:
        on = {"on": "video_id", "how": "left_semi"}
        return pooled_vectors(features.join(some, **on), texts.join(some, **on), layout)

    before = run.previous(tables.CLUSTERS).where("features_version is not null")  # rows of before there were such ids don't count
    earlier = EarlierClusters.of(before.where(fits))
    share, days = settings.recluster_share, settings.recluster_days
    anew = why_anew(earlier, ids, features_version=layout.id, day=run.date, share_max=share, days_max=days)
    videos = Videos(ids, vectors, known, fits, left_out, clustered_anew, joining, vectors_of)
    found = place_all(videos, before, earlier, anew, day=run.date, minimum_size=settings.minimum_cluster_size, seed=run.seed, keep=run.keep)
    clustered = run.keep(found.rows.withColumn("features_version", F.lit(layout.id)))
    run.note(_told(ids, earlier, found.names, anew, left_out, joining))
    run.metric("noise_share", (found.held.labels == NOISE).mean() if len(ids) else 0.0)

    earlier_batches = run.before(tables.SAMPLE_BATCH), run.before(tables.ACTIVE_BATCH)
    settled = settled_videos(settings.task, run.current(tables.LABELS), run.upto(tables.LABEL_EXPORTS), *earlier_batches)
    clusters, looked_at = found.held, known.where(fits)
    if left_out:  # what is like those that are settled but not held counts as covered
        also = run.keep(keep_at_most(clustered.where(~fits).join(settled, on="video_id", how="left_semi"), settings.rows_max)[0])
        ids, vectors, clusters = hold_also(videos, found, also)
        looked_at = looked_at.unionByName(also.select("video_id"))
    groups, covered = groups_and_covered(ids, looked_at, run.current(tables.COPIES), settled)
    batch = build(ids, vectors, clusters, groups, covered, _quotas(run, ids, fits), settings, run.seed)
    # the days first: a day that has gold.clusters has both, which the next day builds on
    run.publish(tables.CLUSTER_DAYS, _cluster_days(run, found.identity, clustered, earlier))
    run.publish(tables.CLUSTERS, clustered)
    run.publish(tables.SAMPLE_BATCH, _frame(run, tables.SAMPLE_BATCH, batch))


def _cluster_days(run: Run, identity: Identity, clustered: DataFrame, earlier: EarlierClusters) -> DataFrame:
    """gold.cluster_days. What is collected is a row a cluster."""
    texts = run.current(tables.VIDEO_TEXT).select("video_id", "tokens")
    words = {r.cluster_id: r.words for r in characteristic_words(clustered, texts).collect()}
    today = {
        r.cluster_id: ClusterToday(r.size, r.exemplar, r.density, words.get(r.cluster_id, ()))
        for r in sizes_and_exemplars(clustered).collect()
    }
    known = run.before(tables.CLUSTER_DAYS).where((F.col("data_date") == F.lit(earlier.day)) & (F.col("size") > 0))
    before = {r.cluster_id: ClusterBefore(r["size"], r.first_seen, r.name, r.words) for r in known.collect()}
    rows = cluster_days(identity, today, before, run.date)
    run.metric("clusters", len(today))
    for change, count in sorted(Counter(row["change"] for row in rows).items()):
        run.metric(f"clusters {change}", count)
    schema = tables.CLUSTER_DAYS.spark_schema("data_date")
    return run.spark.createDataFrame([tuple(row[name] for name in schema.names) for row in rows], schema)


def _told(ids: np.ndarray, earlier: EarlierClusters, names: np.ndarray, anew: str | None, left_out: int, joining: int) -> str:
    new = ~np.isin(ids, earlier.ids, assume_unique=True)
    inside = np.array([name is not None for name in names[new].tolist()], bool)
    if anew is not None and not left_out:
        return f"all {len(ids):,} videos were clustered: {anew}"
    more = f"; {left_out:,} could not be chosen (sampling.rows_max)" if left_out else ""
    if anew is None:
        among = " that could be chosen" if left_out else ""
        return f"the clusters were carried over; of {int(new.sum()):,} new videos{among} {int(inside.sum()):,} are in one{more}"
    joined = f", but for {joining:,} that joined theirs (sampling.spark_rows_max)" if joining else ""
    return f"all videos were clustered on Spark{joined}: {anew}{more}"


def _quotas(run: Run, ids: np.ndarray, fits: Column) -> list[Quota]:
    """What sampling.domain_share_max and sampling.day_share_max ask for."""
    settings, quotas = run.settings.sampling, []
    if settings.domain_share_max < 1:
        version = served_version(run.before(tables.SERVING))
        said = run.previous(tables.PREDICTIONS).where((F.col("model_version") == version) & (F.col("task") == settings.task) & fits)
        roots = kinds_of(ids, roots_of(said, run.current(tables.TAXONOMY)), "root")
        quotas.append(share_quota(roots, settings.budget, settings.domain_share_max))
    if settings.day_share_max < 1:
        days = kinds_of(ids, run.current(tables.VIDEOS).where(fits), "data_date")
        quotas.append(share_quota(days, settings.budget, settings.day_share_max))
    return quotas


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
