"""Choose what people should label first, from nothing but vectors: dense regions, then the long tail, and a random share."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from reelhouse.sampling.density import NOISE, DensityClusters, density_clusters
from reelhouse.sampling.neighbours import check_vectors
from reelhouse.sampling.partition import kmeans_parts

# A region is split into at most so many parts for one pick: with many labels already there, finer parts would cost more
# than they tell.
_PARTS_A_PICK = 4


@dataclass(frozen=True)
class DensitySample:
    """indices (m,) int64, in order of choice; is_random (m,) bool: drawn for evaluation; clusters: of all rows."""

    indices: np.ndarray
    is_random: np.ndarray
    clusters: DensityClusters


def sample_by_density(
    vectors: np.ndarray,
    *,
    budget: int,
    seed: int,
    minimum_size: int = 5,
    groups: np.ndarray | None = None,
    covered: np.ndarray | None = None,
    random_share: float = 0.0,
) -> DensitySample:
    """Choose `budget` rows: one of each dense region that has none yet, largest first; then by size over regions and the tail.

    vectors (n, d), rows of length 1 for cosine. groups (n,): rows of one group are copies, of which one at most is chosen and none
    if one is covered. covered (n,) bool: labelled or handed out; never chosen, and their region counts as so far covered.
    random_share of the budget is drawn uniformly from all candidates before anything else, and spread over the order.
    Rows that no dense region holds are one region, the long tail. Inside a region the picks are the densest of k-means parts with
    the fewest covered rows, as TypiClust does (Hacohen et al. 2022, "Active Learning on a Budget").
    Chooses min(budget, candidates) rows. VectorError for NaN; ValueError for groups or covered of another length.
    """
    vectors = check_vectors(vectors)
    n = len(vectors)
    groups = np.arange(n) if groups is None else np.asarray(groups)
    covered = np.zeros(n, bool) if covered is None else np.asarray(covered, bool)
    if groups.shape != (n,) or covered.shape != (n,):
        raise ValueError(f"groups and covered must have shape ({n},), got {groups.shape} and {covered.shape}")
    clusters = density_clusters(vectors, minimum_size=minimum_size, seed=seed)
    candidates = _one_a_group(groups, covered, clusters.density)
    budget = min(budget, len(candidates))
    rng = np.random.default_rng(seed)
    drawn = rng.choice(candidates, round(budget * random_share), replace=False)
    is_open, is_covered = np.zeros(n, bool), covered.copy()
    is_open[np.setdiff1d(candidates, drawn)] = True
    is_covered[drawn] = True
    picked = _by_region(vectors, clusters, is_open, is_covered, budget - len(drawn), seed)
    indices, is_random = _interleave(picked, drawn)
    return DensitySample(indices, is_random, clusters)


def _one_a_group(groups: np.ndarray, covered: np.ndarray, density: np.ndarray) -> np.ndarray:
    """Rows that may be chosen: the densest of each group without a covered row (the earliest of equals), ascending."""
    free = np.flatnonzero(~np.isin(groups, groups[covered]))
    order = free[np.argsort(-density[free], kind="stable")]
    _, first = np.unique(groups[order], return_index=True)
    return np.sort(order[first])


def _by_region(
    vectors: np.ndarray, clusters: DensityClusters, is_open: np.ndarray, is_covered: np.ndarray, count: int, seed: int
) -> np.ndarray:
    """`count` open rows in order of choice: regions take turns (see _turns), each gives its next best row."""
    regions = clusters.labels  # NOISE is the long tail
    turns = _turns(regions, is_open, is_covered, count)
    queues = {}
    for region in sorted(set(turns)):
        members = np.flatnonzero(regions == region)
        queues[region] = iter(_typical(vectors, members, clusters.density, is_open, is_covered, turns.count(region), seed))
    return np.array([next(queues[region]) for region in turns], np.int64)


def _turns(regions: np.ndarray, is_open: np.ndarray, is_covered: np.ndarray, count: int) -> list[int]:
    """Which region gives the next row, `count` times: dense regions without a covered row first, largest first; then the one
    with most rows for each covered row (highest averages, D'Hondt), ties to the earlier cluster, the tail last."""
    names = np.unique(regions).tolist()

    def counted(rows: np.ndarray) -> dict[int, int]:
        counts = np.bincount(regions[rows] - NOISE, minlength=len(names) + 1)  # noise is -1: count from there
        return {region: int(counts[region - NOISE]) for region in names}

    size, left, have = counted(np.ones(len(regions), bool)), counted(is_open), counted(is_covered)
    turns = sorted((r for r in left if r != NOISE and left[r] and not have[r]), key=lambda r: (-size[r], r))[:count]
    for region in turns:
        left[region] -= 1
        have[region] += 1
    place = {r: r if r != NOISE else len(regions) for r in left}
    heap = [(-size[r] / (have[r] + 1), place[r], r) for r in left if left[r]]
    heapq.heapify(heap)
    while len(turns) < count:
        _, _, region = heapq.heappop(heap)
        turns.append(region)
        left[region] -= 1
        have[region] += 1
        if left[region]:
            heapq.heappush(heap, (-size[region] / (have[region] + 1), place[region], region))
    return turns


def _typical(
    vectors: np.ndarray, members: np.ndarray, density: np.ndarray, is_open: np.ndarray, is_covered: np.ndarray, count: int, seed: int
) -> list[int]:
    """`count` open members, best first: the densest of each part, parts with few covered rows and many rows first."""
    have = int(is_covered[members].sum())
    wanted = min(count + have, _PARTS_A_PICK * count, len(members))
    parts, _ = kmeans_parts(vectors[members], wanted, seed)
    covered = np.bincount(parts[is_covered[members]], minlength=wanted)
    sizes = np.bincount(parts, minlength=wanted)
    order = members[np.argsort(-density[members], kind="stable")]
    part_of = dict(zip(members.tolist(), parts.tolist(), strict=True))
    best: dict[int, int] = {}
    for row in order.tolist():
        if is_open[row]:
            best.setdefault(part_of[row], row)
    picked = [best[part] for part in sorted(best, key=lambda p: (covered[p], -sizes[p], p))][:count]
    taken = set(picked)
    picked += [row for row in order.tolist() if is_open[row] and row not in taken][: count - len(picked)]
    return picked


def _interleave(picked: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in one order, the drawn ones spread evenly, so that a batch that is done by half still holds its share of them."""
    total = len(picked) + len(drawn)
    is_random = np.zeros(total, bool)
    is_random[[(2 * i + 1) * total // (2 * len(drawn)) for i in range(len(drawn))]] = True
    indices = np.empty(total, np.int64)
    indices[is_random], indices[~is_random] = drawn, picked
    return indices, is_random
