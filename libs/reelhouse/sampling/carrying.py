"""Density clusters from day to day: carried over while few videos are new, which join them, and made anew once they are many.

On planted data (60 groups and 300, a tenth of the rows background, 128 dimensions) new videos that join the clusters of the day before
agree with what was planted as well as a clustering of all does, to .01 of the adjusted Rand index, until a fifth of all videos has come
since. Clusters stay what they are meanwhile, and a day costs an index of at most 50,000 videos and what its new and stray ones cost.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from reelhouse.sampling.assignment import ClusterIndex
from reelhouse.sampling.density import NOISE, DensityClusters, density_clusters
from reelhouse.sampling.neighbours import check_vectors

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Of each cluster so many times minimum_size videos, from its densest to its loosest, stand for it where stray videos are clustered. With
# none, strays between clusters are found to be clusters of their own; with all, the same clusters are found as with 2.
_STAND_FOR_A_CLUSTER = 2
_NOWHERE: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class EarlierClusters:
    """gold.clusters of an earlier day, each video once: ids (m,) str sorted, names (m,) object (None for noise), density (m,) float64,
    placed_on (m,) datetime64[D]. features_version: the layout of the vectors that were clustered; day: which day; None without any."""

    ids: np.ndarray
    names: np.ndarray
    density: np.ndarray
    placed_on: np.ndarray
    features_version: str | None
    day: dt.date | None

    @classmethod
    def of(cls, rows: DataFrame) -> EarlierClusters:
        """Collects rows of gold.clusters of one day; callers bound their number. Rows of before there were such ids don't count."""
        columns = ["video_id", "cluster_id", "density", "placed_on", "features_version", "data_date"]
        table = rows.where("features_version is not null").select(*columns).toArrow().sort_by("video_id").combine_chunks()
        names = np.array([*table["cluster_id"].to_pylist(), None], object)[:-1]  # of none but strings numpy would make text
        version, day = (table[name][0].as_py() if len(table) else None for name in columns[-2:])
        placed_on = table["placed_on"].to_numpy().astype("datetime64[D]")
        return cls(np.array(table["video_id"].to_pylist(), dtype=str), names, table["density"].to_numpy(), placed_on, version, day)


@dataclass(frozen=True)
class PlacedVideos:
    """clusters: of all rows. placed_on (n,) datetime64[D]: the day that put each into its place. anew: why all were clustered, in words;
    empty where the earlier clusters were carried over."""

    clusters: DensityClusters
    placed_on: np.ndarray
    anew: str


def why_anew(
    earlier: EarlierClusters, ids: np.ndarray, *, features_version: str, day: dt.date, share_max: float, days_max: int
) -> str | None:
    """Why all videos must be clustered anew, in words; None where the earlier clusters can be carried over.

    ids (n,) str: today's videos. share_max: of them at most this share may have come since all were clustered, or have left since the
    day before. days_max: so many days after that day all are clustered again. Dates come from the rows, never from a clock.
    """
    if not len(earlier.ids):
        return "there are no earlier clusters"
    if earlier.features_version != features_version:
        return "the vectors are of other encoders"
    if not any(name is not None for name in earlier.names.tolist()):
        return "there was no cluster"
    begun = earlier.placed_on.min()
    if (np.datetime64(day, "D") - begun).astype(int) >= days_max:
        return f"all were clustered on {begun}, {days_max} days ago or more"
    known = np.isin(ids, earlier.ids[earlier.placed_on == begun], assume_unique=True)
    left = ~np.isin(earlier.ids, ids, assume_unique=True)
    changed = int((~known).sum() + left.sum())
    if changed > share_max * len(ids):
        return f"{changed:,} of {len(ids):,} videos came since {begun}, when all were clustered, or left"
    return None


def place_videos(
    ids: np.ndarray,
    vectors: np.ndarray,
    earlier: EarlierClusters,
    anew: str | None,
    *,
    day: dt.date,
    minimum_size: int,
    seed: int,
    elsewhere: Mapping[str, int] = _NOWHERE,
) -> PlacedVideos:
    """The density clusters of the day. anew: see why_anew. elsewhere: how many videos that are not among these a cluster has besides.

    ids (n,) str sorted, each once; vectors (n, d), rows of length 1 for cosine. Carried over, a video that the earlier day knew keeps its
    cluster and density; a new one joins the cluster of its nearest neighbour among those, as far as that reaches, and has its density.
    A cluster of which fewer than minimum_size are left, here and elsewhere, is dissolved. Then the videos that are in none are clustered,
    together with some that stand for each cluster: a dense region among them of which at least half came since all were clustered is a
    new cluster.
    """
    vectors = check_vectors(vectors)
    today = np.datetime64(day, "D")
    if anew is not None:
        clusters = density_clusters(vectors, minimum_size=minimum_size)
        return PlacedVideos(clusters, np.full(len(ids), today), anew)
    at = np.searchsorted(earlier.ids, ids)
    at[at == len(earlier.ids)] = 0
    known = earlier.ids[at] == ids
    labels, density, placed_on = np.full(len(ids), NOISE), np.zeros(len(ids)), np.full(len(ids), today)
    names = sorted({name for name in earlier.names.tolist() if name is not None})
    number = {name: i for i, name in enumerate(names)}
    labels[known] = [number.get(name, NOISE) for name in earlier.names[at[known]].tolist()]
    density[known], placed_on[known] = earlier.density[at[known]], earlier.placed_on[at[known]]
    if known.any():
        index = ClusterIndex.of(vectors[known], _named(names, labels[known]), density[known], seed=seed)
        joined, density[~known] = index.assign(vectors[~known])
        labels[~known] = [number.get(name, NOISE) for name in joined.tolist()]
    besides = np.array([elsewhere.get(name, 0) for name in names], np.int64)
    sizes = np.bincount(labels[labels != NOISE], minlength=len(names)) + besides
    labels[np.isin(labels, np.flatnonzero(sizes < minimum_size))] = NOISE
    came_since = placed_on > earlier.placed_on.min()
    clusters, born = _with_new(vectors, labels, density, known, came_since, minimum_size)
    return PlacedVideos(clusters, np.where(born, today, placed_on), "")


def _with_new(
    vectors: np.ndarray, labels: np.ndarray, density: np.ndarray, known: np.ndarray, came_since: np.ndarray, minimum_size: int
) -> tuple[DensityClusters, np.ndarray]:
    """The clusters and those that are found among the strays, labels without gaps; and which rows are in a new one, (n,) bool."""
    labels, density = labels.copy(), density.copy()
    inside = labels != NOISE
    carried, labels[inside] = np.unique(labels[inside], return_inverse=True)
    rows = np.concatenate([np.flatnonzero(~inside), _standing_for(labels, density, _STAND_FOR_A_CLUSTER * minimum_size)])
    found = density_clusters(vectors[rows], minimum_size=minimum_size)
    stray = ~inside[rows]
    density[rows[stray & ~known[rows]]] = found.density[stray & ~known[rows]]

    place = found.labels - NOISE  # 0 is noise
    size, strays = np.bincount(place), np.bincount(place[stray], minlength=place.max(initial=0) + 1)
    late = np.bincount(place[stray & came_since[rows]], minlength=len(size))
    is_new = (strays >= minimum_size) & (2 * strays > size) & (2 * late >= strays)
    is_new[0] = False
    label_of = np.full(len(size), NOISE)
    label_of[is_new] = len(carried) + np.arange(is_new.sum())
    members = stray & is_new[place]
    labels[rows[members]], density[rows[members]] = label_of[place[members]], found.density[members]
    born = np.zeros(len(labels), bool)
    born[rows[members]] = True
    return DensityClusters(labels, density), born


def _standing_for(labels: np.ndarray, density: np.ndarray, most: int) -> np.ndarray:
    """Rows that stand for each cluster: `most` of it, or all, evenly from its densest to its loosest."""
    inside = np.flatnonzero(labels != NOISE)
    order = inside[np.lexsort((inside, -density[inside], labels[inside]))]
    begins = np.flatnonzero(np.diff(labels[order], prepend=NOISE))
    sizes = np.diff(np.append(begins, len(order)))
    size, place = np.repeat(sizes, sizes), np.arange(len(order)) - np.repeat(begins, sizes)
    wanted = np.minimum(size, most)
    return order[(place * wanted) // size != ((place - 1) * wanted) // size]


def _named(names: list[str], labels: np.ndarray) -> np.ndarray:
    return np.array([*names, None], object)[labels]
