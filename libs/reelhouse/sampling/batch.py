"""Choose what people should label first, from nothing but vectors: dense regions, then the long tail, and a random share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reelhouse.sampling.budget import least_share
from reelhouse.sampling.coverage import cover
from reelhouse.sampling.density import DensityClusters
from reelhouse.sampling.neighbours import canonical_order, check_vectors
from reelhouse.sampling.places import Places, Quota


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
    clusters: DensityClusters,
    groups: np.ndarray | None = None,
    covered: np.ndarray | None = None,
    random_share: float = 0.0,
    quotas: Sequence[Quota] = (),
) -> DensitySample:
    """Choose `budget` rows that stand best for all: dense regions first, then the long tail (see reelhouse.sampling.coverage).

    vectors (n, d), rows of length 1 for cosine. clusters: of all rows. groups (n,): rows of one group are copies, of which one at most is
    chosen and none if one is covered. covered (n,) bool: labelled or handed out; never chosen, and what lies near them counts as covered.
    quotas: how many rows of a kind at most, of all that are chosen; one or two of them.
    random_share of what can be chosen, rounded up, is drawn before anything else, and spread over the order: candidates in random
    order, passing over those of which a quota has no place left, or that would leave the batch less full than the quotas allow.
    Without quotas that is a uniform draw; with them it is uniform among the candidates of a cell (one kind of each quota), while kinds
    that are cut short by their quota are drawn less often than they occur: an estimate from it must weigh them accordingly.
    Chooses min(budget, candidates) rows, fewer only where no more keep to the quotas. VectorError for NaN; ValueError for groups or
    covered of another length, and for more than two quotas.
    """
    vectors = check_vectors(vectors)
    n = len(vectors)
    groups = np.arange(n) if groups is None else np.asarray(groups)
    covered = np.zeros(n, bool) if covered is None else np.asarray(covered, bool)
    if groups.shape != (n,) or covered.shape != (n,):
        raise ValueError(f"groups and covered must have shape ({n},), got {groups.shape} and {covered.shape}")
    candidates = _one_a_group(groups, covered, clusters.density)
    places = Places(quotas, candidates, budget)
    drawn = _drawn(candidates[canonical_order(vectors[candidates])], places, least_share(places.left, random_share), seed)
    is_open, is_covered = np.zeros(n, bool), covered.copy()
    is_open[np.setdiff1d(candidates, drawn)] = True
    is_covered[drawn] = True
    left = [Quota(quota.kind, quota.places - np.bincount(quota.kind[drawn], minlength=len(quota.places))) for quota in quotas]
    chosen = cover(vectors, places.left, is_open=is_open, is_covered=is_covered, quotas=left)
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


def _drawn(candidates: np.ndarray, places: Places, count: int, seed: int) -> np.ndarray:
    """`count` of the candidates, drawn in random order as far as the places go. What is drawn must not depend on the order of rows: give
    the candidates in one of their own."""
    drawn: list[int] = []
    for row in np.random.default_rng(seed).permutation(candidates).tolist():
        if len(drawn) == count:
            break
        if places.take(row):
            drawn.append(row)
    return np.array(drawn, np.int64)


def _interleave(picked: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in one order, the drawn ones spread evenly, so that a batch that is done by half still holds its share of them."""
    total = len(picked) + len(drawn)
    is_random = np.zeros(total, bool)
    is_random[[(2 * i + 1) * total // (2 * len(drawn)) for i in range(len(drawn))]] = True
    indices = np.empty(total, np.int64)
    indices[is_random], indices[~is_random] = drawn, picked
    return indices, is_random
