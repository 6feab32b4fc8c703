"""The density clusters of one day and their ids, of all videos, of which one process holds a bounded number.

More are clustered on Spark where videos are clustered anew, up to another bound; from then on each keeps its cluster. What one process
holds stands for the rest: new clusters are found in it, and all other videos join the cluster of their nearest neighbour in it. A cluster
of which it has too little is stood for by some more.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from reelhouse.features import to_numpy
from reelhouse.sampling.assignment import ClusterIndex, assign_clusters
from reelhouse.sampling.carrying import EarlierClusters, PlacedVideos, place_videos
from reelhouse.sampling.density import NOISE, DensityClusters
from reelhouse.sampling.identity import Identity, Overlaps, identify, match_clusters
from reelhouse.sampling.partitioned import density_clusters_on_spark

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    Frames = Callable[[DataFrame], DataFrame]

# Of a cluster of which few videos are held so many others stand for it, its densest, and its loosest.
_OF_EACH_CLUSTER = 3
PLACED = "video_id string, cluster_id string, density double, is_noise boolean, placed_on date"


@dataclass(frozen=True)
class DayClusters:
    """identity: what the clusters of the day are called. rows: the columns of PLACED of all videos. held: clusters of the videos that one
    process holds, in the order of their ids, numbered by themselves; names (n,) object: the ids of theirs, None for noise."""

    identity: Identity
    rows: DataFrame
    held: DensityClusters
    names: np.ndarray


@dataclass(frozen=True)
class Videos:
    """All videos of a day. ids (n,) str sorted and vectors (n, d): what one process holds. known: video_id of all; those that `fits`, a
    condition on it, are held; left_out: how many are not; those that `clustered`, which are at least these, are clustered where all are
    clustered anew; joining: how many are not. vectors_of: video_id and vector of some."""

    ids: np.ndarray
    vectors: np.ndarray
    known: DataFrame
    fits: Column
    left_out: int
    clustered: Column
    joining: int
    vectors_of: Frames


def place_all(
    videos: Videos,
    before: DataFrame,
    earlier: EarlierClusters,
    anew: str | None,
    *,
    day: dt.date,
    minimum_size: int,
    seed: int,
    keep: Frames,
) -> DayClusters:
    """before: rows of gold.clusters of the day that is gone on from; earlier: those of them that are held; anew: see why_anew. keep: see
    density_clusters_on_spark. Collected is a row for each held video, some for each cluster, and one for each pair of clusters of the
    two days that have a video in common."""
    if videos.left_out and anew is not None:
        return _anew_on_spark(videos, before, day, minimum_size, seed, keep)
    if videos.left_out:
        return _carried_on_spark(videos, before, day, minimum_size, seed, keep)
    found = place_videos(videos.ids, videos.vectors, earlier, anew, day=day, minimum_size=minimum_size, seed=seed)
    identity = match_clusters(earlier.ids, earlier.names, videos.ids, found.clusters.labels, day=day)
    names = identity.of(found.clusters.labels)
    return DayClusters(identity, _rows(videos.known, videos.ids, names, found), found.clusters, names)


def hold_also(videos: Videos, found: DayClusters, others: DataFrame) -> tuple[np.ndarray, np.ndarray, DensityClusters]:
    """(ids sorted, vectors, clusters) of the videos that are held and of `others`, rows of found.rows that are not: they are collected."""
    held = videos.ids, videos.vectors, found.names, found.held.density
    ids, vectors, names, density = (np.concatenate(both) for both in zip(held, _collected(videos, others), strict=True))
    order = np.argsort(ids, kind="stable")
    return ids[order], vectors[order], DensityClusters(pd.factorize(names[order])[0].astype(np.int64), density[order])


def _rows(known: DataFrame, ids: np.ndarray, names: np.ndarray, found: PlacedVideos) -> DataFrame:
    columns = {
        "video_id": ids,
        "cluster_id": names,
        "density": found.clusters.density,
        "is_noise": found.clusters.labels == NOISE,
        "placed_on": found.placed_on.astype(object),
    }
    return known.sparkSession.createDataFrame(pd.DataFrame(columns), PLACED)


def _anew_on_spark(videos: Videos, before: DataFrame, day: dt.date, minimum_size: int, seed: int, keep: Frames) -> DayClusters:
    from pyspark.sql import functions as F

    vectors = keep(videos.vectors_of(videos.known.where(videos.clustered)))
    found = keep(density_clusters_on_spark(vectors, minimum_size=minimum_size, keep=keep))
    identity = identify(Overlaps.on_spark(before, found), day=day)
    numbered = found.sparkSession.createDataFrame(list(enumerate(identity.names)), "cluster int, cluster_id string")
    rows = found.join(F.broadcast(numbered), on="cluster", how="left").drop("cluster")
    held = found.where(videos.fits).select("video_id", "cluster", "density").toArrow().sort_by("video_id")
    labels, density = held["cluster"].fill_null(NOISE).to_numpy().astype(np.int64), held["density"].to_numpy()
    names = identity.of(labels)

    if videos.joining:
        rows = rows.unionByName(_rest_joined(videos, rows, names, density, minimum_size, seed, keep))
    return DayClusters(identity, _placed_on(rows, day), _of_some(labels, density), names)


def _rest_joined(
    videos: Videos, clustered: DataFrame, names: np.ndarray, density: np.ndarray, minimum_size: int, seed: int, keep: Frames
) -> DataFrame:
    """The columns of `clustered` for all that are not among them; names, density: clusters of the held ones."""
    standing = keep(_standing_for_few(clustered, videos.fits, 2 * minimum_size))
    _, *others = _collected(videos, clustered.join(standing, on="video_id", how="left_semi"))
    held = videos.vectors, names, density
    index = ClusterIndex.of(*(np.concatenate(both) for both in zip(held, others, strict=True)), seed=seed)
    return _joined(videos, videos.known.where(~videos.clustered), index)


def _collected(videos: Videos, clustered: DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(ids sorted, vectors, names of clusters, density) of some rows that are not held."""
    told = clustered.select("video_id", "cluster_id", "density").toArrow().sort_by("video_id")
    names = np.array([*told["cluster_id"].to_pylist(), None], object)[:-1]
    vectors = to_numpy(videos.vectors_of(clustered.select("video_id")))[1].reshape(-1, videos.vectors.shape[1])
    return np.array(told["video_id"].to_pylist(), str), vectors, names, told["density"].to_numpy()


def _carried_on_spark(videos: Videos, before: DataFrame, day: dt.date, minimum_size: int, seed: int, keep: Frames) -> DayClusters:
    """As in one process, where besides the held videos some more stand for the clusters of which few are held."""
    alive = keep(before.join(videos.known, on="video_id", how="left_semi"))
    standing = keep(_standing_for_few(alive, videos.fits, 2 * minimum_size))
    ids, vectors = _sorted_together((videos.ids, videos.vectors), to_numpy(videos.vectors_of(standing)))
    earlier = EarlierClusters.of(before.where(videos.fits).unionByName(before.join(standing, on="video_id", how="left_semi")))
    others = alive.where(~videos.fits).join(standing, on="video_id", how="left_anti")
    elsewhere = {r.cluster_id: r["count"] for r in others.groupBy("cluster_id").count().collect()}
    found = place_videos(ids, vectors, earlier, None, day=day, minimum_size=minimum_size, seed=seed, elsewhere=elsewhere)
    labels, density = found.clusters.labels, found.clusters.density
    identity = match_clusters(earlier.ids, earlier.names, ids, labels, day=day)
    names = identity.of(labels)

    new = videos.known.where(~videos.fits).join(alive, on="video_id", how="left_anti")
    joined = _joined(videos, new, ClusterIndex.of(vectors, names, density, seed=seed))
    rows = _rows(videos.known, ids, names, found).unionByName(_still_named(others, identity)).unionByName(_placed_on(joined, day))
    held = np.searchsorted(ids, videos.ids)
    return DayClusters(identity, rows, _of_some(labels[held], density[held]), names[held])


def _standing_for_few(alive: DataFrame, fits: Column, enough: int) -> DataFrame:
    """video_id of some that are not held, of each cluster of which fewer than `enough` are: the densest, which new videos are most likely
    near to, and the loosest, which says how far the cluster reaches."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    of_cluster = Window.partitionBy("cluster_id")
    held = F.sum(fits.cast("int")).over(of_cluster)
    from_dense, from_loose = (
        F.row_number().over(Window.partitionBy("cluster_id", "fits").orderBy(order, "video_id")) for order in (F.desc("density"), "density")
    )
    placed = alive.where("cluster_id is not null").withColumn("fits", fits)
    placed = placed.select("video_id", "fits", held.alias("held"), from_dense.alias("from_dense"), from_loose.alias("from_loose"))
    stands = (F.col("from_dense") <= _OF_EACH_CLUSTER) | (F.col("from_loose") == 1)
    return placed.where(~F.col("fits") & (F.col("held") < enough) & stands).select("video_id")


def _sorted_together(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    if not len(other[0]):
        return one
    ids = np.concatenate([one[0], other[0]])
    order = np.argsort(ids, kind="stable")
    return ids[order], np.concatenate([one[1], other[1]])[order]


def _of_some(labels: np.ndarray, density: np.ndarray) -> DensityClusters:
    """Clusters numbered without gaps."""
    numbers, dense = np.unique(labels, return_inverse=True)
    return DensityClusters(dense.astype(np.int64) - int(NOISE in numbers), density)


def _still_named(others: DataFrame, identity: Identity) -> DataFrame:
    """The columns of PLACED; in no cluster where theirs is one no more."""
    from pyspark.sql import functions as F

    names = others.sparkSession.createDataFrame([(name, name) for name in identity.names], "cluster_id string, lives string")
    named = others.select("video_id", "cluster_id", "density", "placed_on").join(F.broadcast(names), on="cluster_id", how="left")
    return named.select("video_id", F.col("lives").alias("cluster_id"), "density", F.col("lives").isNull().alias("is_noise"), "placed_on")


def _joined(videos: Videos, others: DataFrame, index: ClusterIndex) -> DataFrame:
    return assign_clusters(videos.vectors_of(others), others.sparkSession.sparkContext.broadcast(index.to_bytes()))


def _placed_on(joined: DataFrame, day: dt.date) -> DataFrame:
    from pyspark.sql import functions as F

    return joined.withColumn("placed_on", F.lit(day))
