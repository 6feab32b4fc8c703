"""Which of today's density clusters are those of the day before: a cluster keeps its id while enough of its videos stay together.

Source: Spiliopoulou, Ntoutsi, Theodoridis, Schult 2006, "MONIC: modeling and monitoring cluster transitions", for clusters that survive,
split, are absorbed and die. Departures: overlaps are counted among the videos that both days know, so that what comes or leaves does not
change what a cluster is; and of several candidates the pair with most videos in common is matched first, which gives the id of a cluster
that splits to its larger part, and that of the larger to one that two clusters merge into. (The matching of largest total overlap does
not: it gives up the best pair where two others together weigh more.)
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from reelhouse.sampling.density import NOISE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Relation = Literal["kept", "born", "split", "merged"]
# Least overlap (Jaccard, among videos that both days know) of a cluster with the one whose id it keeps: one of three equal parts of a
# cluster that splits still has it, and what has taken in three like itself.
OVERLAP_MIN = 0.25
# An id is kept only by what holds half of the earlier cluster or more, or is made of it by half, new videos counted: no few that strayed
# from a cluster take its id elsewhere. A cluster is taken up by what holds more than half of it: by one other at most.
_HALF = 0.5


@dataclass(frozen=True)
class Identity:
    """What today's clusters are called.

    names: id of cluster 0, 1, ... relations: of each, `kept` (its id is one of the day before), `born`, `split` (born, and half of it or
    more a part of a cluster of the day before) or `merged` (it took up clusters that have no successor, whether its own id is new or not).
    came_from: of each, the ids that it split from or took up, sorted. dying: ids of the day before that nobody has today, sorted.
    """

    names: list[str]
    relations: list[Relation]
    came_from: list[tuple[str, ...]]
    dying: list[str]

    def of(self, labels: np.ndarray) -> np.ndarray:
        """Id of each video's cluster, (n,) object, None for noise, from the labels that were matched."""
        return np.array([*self.names, None], object)[labels]


def match_clusters(before_ids: np.ndarray, before_names: np.ndarray, ids: np.ndarray, labels: np.ndarray, *, day: dt.date) -> Identity:
    """Give each of today's clusters the id of the cluster of an earlier day that it goes on, or a new one.

    before_ids (m,) str and before_names (m,) object: the earlier day's videos, each once, and their clusters' ids, None for noise.
    ids (n,) str, each once; labels (n,) int: today's, 0, 1, ... without gaps, NOISE outside of all. Neither order of rows nor which
    cluster is 0 matters. One id goes to one cluster. A new id is the day and a number, `20260102-0007`: by size, the largest first,
    then by the least video_id; as each day gives its own, none is ever given again. `day` must be later than that of before_ids.
    """
    count = int(labels.max(initial=NOISE)) + 1
    old = sorted({name for name in before_names.tolist() if name is not None})
    number = {name: i for i, name in enumerate(old)}
    before_labels = np.array([number.get(name, NOISE) for name in before_names.tolist()], np.int64)
    _, at_before, at = np.intersect1d(before_ids, ids, assume_unique=True, return_indices=True)
    was, now = before_labels[at_before], labels[at]
    was_size, now_size = np.bincount(was[was != NOISE], minlength=len(old)), np.bincount(now[now != NOISE], minlength=count)
    both = (was != NOISE) & (now != NOISE)
    pairs, overlap = np.unique(was[both] * count + now[both], return_counts=True)
    source, target = np.divmod(pairs, max(count, 1))
    return identify(Overlaps(old, was_size, now_size, source, target, overlap, *_sizes_and_first(ids, labels, count)), day=day)


@dataclass(frozen=True)
class Overlaps:
    """What the clusters of two days have in common: all that their matching goes by.

    old: ids of the earlier clusters, sorted; was_size (old,), now_size (count,): of each earlier one and each of today's, the videos that
    both days know. source, target, overlap (pairs,): which of the one and of the other have videos in common, and how many. size, first
    (count,): all videos of today's, and where its least video_id stands among those of the others.
    """

    old: list[str]
    was_size: np.ndarray
    now_size: np.ndarray
    source: np.ndarray
    target: np.ndarray
    overlap: np.ndarray
    size: np.ndarray
    first: np.ndarray

    @classmethod
    def on_spark(cls, before: DataFrame, found: DataFrame) -> Overlaps:
        """before: video_id, cluster_id (null for noise) of the earlier day; found: video_id, cluster (0, 1, ..., null for noise) of today.
        Collected is a row for each cluster and each pair that has videos in common."""
        from pyspark.sql import functions as F

        old = sorted(row.cluster_id for row in before.select("cluster_id").where("cluster_id is not null").distinct().collect())
        today = found.where("cluster is not null").groupBy("cluster").agg(F.count("*").alias("size"), F.min("video_id").alias("first"))
        table = today.toArrow().sort_by("cluster")
        common = before.join(found, on="video_id", how="inner").groupBy("cluster_id", "cluster").count().toArrow()
        number = {name: i for i, name in enumerate(old)}
        was = np.array([number.get(name, NOISE) for name in common["cluster_id"].to_pylist()], np.int64)
        now, times = common["cluster"].fill_null(NOISE).to_numpy().astype(np.int64), common["count"].to_numpy()
        was_size, now_size = np.zeros(len(old), np.int64), np.zeros(len(table), np.int64)
        for total, label in ((was_size, was), (now_size, now)):
            np.add.at(total, label[label != NOISE], times[label != NOISE])
        both = np.flatnonzero((was != NOISE) & (now != NOISE))
        both = both[np.lexsort((now[both], was[both]))]
        first = np.argsort(np.argsort(np.array(table["first"].to_pylist(), dtype=str), kind="stable"), kind="stable")
        return cls(old, was_size, now_size, was[both], now[both], times[both], table["size"].to_numpy(), first)


def identify(seen: Overlaps, *, day: dt.date) -> Identity:
    """See match_clusters."""
    old, source, target, overlap = seen.old, seen.source, seen.target, seen.overlap
    was_size, size, first, count = seen.was_size, seen.size, seen.first, len(seen.size)
    goes_on = (overlap >= _HALF * was_size[source]) | (overlap >= _HALF * size[target])
    jaccard = overlap / (was_size[source] + seen.now_size[target] - overlap)
    successor = _successors(source, target, overlap, goes_on & (jaccard >= OVERLAP_MIN), first)
    owner = {target: source for source, target in successor.items()}

    names = [""] * count
    relations: list[Relation] = ["born"] * count
    came_from: list[tuple[str, ...]] = [()] * count
    new = [label for label in np.lexsort((first, -size)).tolist() if label not in owner]
    for place, label in enumerate(new, 1):
        names[label] = f"{day:%Y%m%d}-{place:04d}"
    for label, one in owner.items():
        names[label], relations[label] = old[one], "kept"
    split, taken = _moved(source, target, overlap, was_size, size, successor, owner)
    for label, sources in taken.items():
        relations[label], came_from[label] = "merged", tuple(sorted(old[s] for s in sources))
    for label, one in split.items():
        relations[label], came_from[label] = "split", tuple(sorted({old[one], *came_from[label]}))
    return Identity(names, relations, came_from, [name for i, name in enumerate(old) if i not in successor])


def _sizes_and_first(ids: np.ndarray, labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Size (count,) of each cluster, and the place (count,) of its least id among all ids in order."""
    place = np.empty(len(ids), np.int64)
    place[np.argsort(ids, kind="stable")] = np.arange(len(ids))
    first = np.full(count, len(ids), np.int64)
    inside = labels != NOISE
    np.minimum.at(first, labels[inside], place[inside])
    return np.bincount(labels[inside], minlength=count), first


def _successors(source: np.ndarray, target: np.ndarray, overlap: np.ndarray, may_be: np.ndarray, first: np.ndarray) -> dict[int, int]:
    """Earlier cluster -> today's that goes it on. Pairs with most in common first; ties by the earlier id, then the least video."""
    order = np.lexsort((first[target], source, -overlap))
    successor: dict[int, int] = {}
    taken = set()
    for pair in order[may_be[order]].tolist():
        one, other = int(source[pair]), int(target[pair])
        if one not in successor and other not in taken:
            successor[one] = other
            taken.add(other)
    return successor


def _moved(
    source: np.ndarray,
    target: np.ndarray,
    overlap: np.ndarray,
    was_size: np.ndarray,
    size: np.ndarray,
    successor: dict[int, int],
    owner: dict[int, int],
) -> tuple[dict[int, int], dict[int, list[int]]]:
    """(new cluster -> the earlier one that half of it or more comes from; cluster -> those without a successor that went into it)."""
    split: dict[int, int] = {}
    taken: dict[int, list[int]] = {}
    for one, other, common in zip(source.tolist(), target.tolist(), overlap.tolist(), strict=True):
        if other not in owner and common >= _HALF * size[other]:
            split.setdefault(other, one)  # of two that are half of it each, the first by id
        if one not in successor and common > _HALF * was_size[one]:
            taken.setdefault(other, []).append(one)
    return split, taken
