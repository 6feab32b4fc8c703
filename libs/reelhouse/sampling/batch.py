"""Choose what people should label first, from nothing but vectors: dense regions, then the long tail, and a random share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reelhouse.sampling.budget import least_share
from reelhouse.sampling.coverage import Quota, cover
from reelhouse.sampling.density import DensityClusters, density_clusters
from reelhouse.sampling.neighbours import canonical_order, check_vectors


@dataclass(frozen=True)
class DensitySample:
    """indices (m,) int64, in order of choice; is_random (m,) bool: drawn for evaluation; gains (m,) float64: how many rows each stands
    for that none before it did, NaN for those drawn; clusters: of all rows."""

    indices: np.ndarray
    is_random: np.ndarray
    gains: np.ndarray
    clusters: DensityClusters


def sample_by_density(
    vectors: np.ndarray,
    *,
    budget: int,
    seed: int,
    minimum_size: int = 5,
    clusters: DensityClusters | None = None,
    groups: np.ndarray | None = None,
    covered: np.ndarray | None = None,
    random_share: float = 0.0,
    quotas: Sequence[Quota] = (),
) -> DensitySample:
    """Choose `budget` rows that stand best for all: dense regions first, then the long tail (see reelhouse.sampling.coverage).

    vectors (n, d), rows of length 1 for cosine. clusters: of all rows, where they are known (minimum_size is of no use
    then). groups (n,): rows of one group are copies, of which one at most is chosen and none if one is covered.
    covered (n,) bool: labelled or handed out; never chosen, and what lies near them counts as covered.
    random_share of the budget, rounded up, is drawn uniformly from all candidates before anything else, and spread over the order.
    quotas: how many rows of a kind at most; what is drawn at random takes places, but is not held by them, or it would be no fair sample.
    Chooses min(budget, candidates) rows, fewer only where the quotas leave fewer. VectorError for NaN; ValueError for groups or
    covered of another length.
    """
    vectors = check_vectors(vectors)
    n = len(vectors)
    groups = np.arange(n) if groups is None else np.asarray(groups)
    covered = np.zeros(n, bool) if covered is None else np.asarray(covered, bool)
    if groups.shape != (n,) or covered.shape != (n,):
        raise ValueError(f"groups and covered must have shape ({n},), got {groups.shape} and {covered.shape}")
    clusters = clusters or density_clusters(vectors, minimum_size=minimum_size, seed=seed)
    candidates = _one_a_group(groups, covered, clusters.density)
    budget = min(budget, len(candidates))
    rng = np.random.default_rng(seed)
    in_order = canonical_order(vectors[candidates])  # what is drawn must not depend on the order of rows
    drawn = rng.choice(candidates[in_order], least_share(budget, random_share), replace=False)
    is_open, is_covered = np.zeros(n, bool), covered.copy()
    is_open[np.setdiff1d(candidates, drawn)] = True
    is_covered[drawn] = True
    left = [Quota(quota.kind, quota.places - np.bincount(quota.kind[drawn], minlength=len(quota.places))) for quota in quotas]
    chosen = cover(vectors, budget - len(drawn), is_open=is_open, is_covered=is_covered, quotas=left)
    indices, is_random = _interleave(np.array(chosen.rows, np.int64), drawn)
    gains = np.full(len(indices), np.nan)
    gains[~is_random] = np.minimum.accumulate(chosen.gains)
    return DensitySample(indices, is_random, gains, clusters)


def _one_a_group(groups: np.ndarray, covered: np.ndarray, density: np.ndarray) -> np.ndarray:
    """Rows that may be chosen: the densest of each group without a covered row (the earliest of equals), ascending."""
    free = np.flatnonzero(~np.isin(groups, groups[covered]))
    order = free[np.argsort(-density[free], kind="stable")]
    _, first = np.unique(groups[order], return_index=True)
    return np.sort(order[first])


def _interleave(picked: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in one order, the drawn ones spread evenly, so that a batch that is done by half still holds its share of them."""
    total = len(picked) + len(drawn)
    is_random = np.zeros(total, bool)
    is_random[[(2 * i + 1) * total // (2 * len(drawn)) for i in range(len(drawn))]] = True
    indices = np.empty(total, np.int64)
    indices[is_random], indices[~is_random] = drawn, picked
    return indices, is_random
