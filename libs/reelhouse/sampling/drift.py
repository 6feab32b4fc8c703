"""What became of each density cluster since the day before: the rows of gold.cluster_days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reelhouse.sampling.identity import Identity
from reelhouse.sampling.words import name_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# From so large a part of its size on, a tenth, a cluster has grown or shrunk; what changes less is kept.
_PART_OF_SIZE = 10


@dataclass(frozen=True)
class ClusterToday:
    """size: videos of the cluster; exemplar: its densest one, whose density is `density`; words: see characteristic_words."""

    size: int
    exemplar: str
    density: float
    words: Sequence[str] = ()


@dataclass(frozen=True)
class ClusterBefore:
    """What gold.cluster_days said of a cluster on the day before."""

    size: int
    first_seen: dt.date
    name: str
    words: Sequence[str]


def sizes_and_exemplars(members: DataFrame) -> DataFrame:
    """cluster_id, size, exemplar, density: one row a cluster, from video_id, cluster_id, density, placed_on. The exemplar is the densest
    video; of equals the one that has been there longest, then that of the least id: what joins a cluster has its neighbour's density."""
    from pyspark.sql import functions as F

    order = F.struct(-F.col("density"), "placed_on", "video_id")
    exemplar = F.min_by(F.struct("video_id", "density"), order).alias("exemplar")
    found = members.where(F.col("cluster_id").isNotNull()).groupBy("cluster_id").agg(F.count(F.lit(1)).alias("size"), exemplar)
    return found.select("cluster_id", "size", F.col("exemplar.video_id").alias("exemplar"), F.col("exemplar.density").alias("density"))


def cluster_days(
    identity: Identity, today: Mapping[str, ClusterToday], before: Mapping[str, ClusterBefore], day: dt.date
) -> list[dict[str, Any]]:
    """Rows of gold.cluster_days without data_date, by cluster_id: one for each of today's clusters, and one for each of the day before
    that is dying: nobody has its id today, whether its videos are elsewhere, in no cluster, or taken down.

    today: each of identity.names. before: clusters of the day before with a size above 0; one that is missing there counts as unknown:
    of size 0, first seen today.
    """
    rows: list[dict[str, Any]] = []
    for name, relation, came_from in zip(identity.names, identity.relations, identity.came_from, strict=True):
        now, was = today[name], before.get(name)
        previous = was.size if was else 0
        rows.append(
            {
                "cluster_id": name,
                "name": name_of(name, list(now.words)),
                "words": list(now.words),
                "size": now.size,
                "previous_size": previous,
                "change": change_of_size(now.size, previous) if relation == "kept" else relation,
                "came_from": list(came_from),
                "exemplar_video_id": now.exemplar,
                "density": now.density,
                "first_seen": was.first_seen if was else day,
            }
        )
    for name in sorted({*identity.dying, *before} - set(identity.names)):
        gone = before.get(name, ClusterBefore(0, day, name, ()))
        rows.append(
            {
                "cluster_id": name,
                "name": gone.name,
                "words": list(gone.words),
                "size": 0,
                "previous_size": gone.size,
                "change": "dying",
                "came_from": [],
                "exemplar_video_id": None,
                "density": None,
                "first_seen": gone.first_seen,
            }
        )
    return sorted(rows, key=lambda row: row["cluster_id"])


def change_of_size(size: int, previous: int) -> str:
    """grown: at least a tenth larger than on the day before, by all its videos, whether they are new or were elsewhere; shrunk: at
    least a tenth smaller; else kept."""
    if _PART_OF_SIZE * abs(size - previous) < previous:
        return "kept"
    return "grown" if size >= previous else "shrunk"
