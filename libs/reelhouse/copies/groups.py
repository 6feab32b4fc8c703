"""Groups of copies: connected by pairs of copies, kept from day to day, merged when a new video joins two of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reelhouse.copies.evidence import are_copies, candidate_pairs, frame_distances
from reelhouse.errors import VectorError


@dataclass(frozen=True)
class CopyGroups:
    """groups: (n,) int64, index of the first member of the video's group. matched: (n,) int64, the video that it matched best
    among those compared, earlier ones before later ones; -1 for a group's first member and where nothing was found now.
    distances (bits of 64), similarities (cosine): (n,) float64 of that match, NaN without one. pairs: copies found now."""

    groups: np.ndarray
    matched: np.ndarray
    distances: np.ndarray
    similarities: np.ndarray
    pairs: int


def copy_groups(
    hashes: Sequence[np.ndarray],
    vectors: np.ndarray | Callable[[np.ndarray], np.ndarray],
    *,
    is_new: np.ndarray | None = None,
    known_groups: np.ndarray | None = None,
    hash_distance_max: int = 10,
    similarity_min: float = 0.9,
) -> CopyGroups:
    """Group videos that are near-copies of each other.

    hashes: per video, earliest first, the 64-bit perceptual hashes of its informative frames (flat frames left out; may be empty).
    vectors: (n, d) mean frame vectors, any length, a row of zeros where there is none; or a function from ascending indices of
      videos to their rows, so that only those of candidates are fetched.
    is_new: (n,) bool, default all: only pairs with a new video are looked at. known_groups: (n,) int64, for videos that are not
      new any number that members of one group share; of new videos it is ignored. Groups never fall apart here.
    The rule for a pair is that of `candidate_pairs` and `are_copies`. Deterministic. VectorError names the first row that is not finite.
    """
    n = len(hashes)
    is_new = np.ones(n, bool) if is_new is None else np.asarray(is_new, bool)
    owners = np.repeat(np.arange(n), [len(h) for h in hashes])
    flat = np.concatenate([np.asarray(h) for h in hashes]).astype(np.int64) if len(owners) else np.zeros(0, np.int64)
    first, second = candidate_pairs(owners, flat, is_new, hash_distance_max)
    distance = frame_distances(first, second, owners, flat)
    similarity = _cosines(first, second, vectors)
    kept = are_copies(distance, similarity, hash_distance_max=hash_distance_max, similarity_min=similarity_min)
    first, second, distance, similarity = first[kept], second[kept], distance[kept], similarity[kept]
    groups = merged(first, second, is_new, known_groups)
    matched, at = _best(first, second, distance, similarity, groups)
    some = at >= 0
    matched_distance, matched_similarity = np.full(n, np.nan), np.full(n, np.nan)
    matched_distance[some], matched_similarity[some] = distance[at[some]], similarity[at[some]]
    return CopyGroups(groups, matched, matched_distance, matched_similarity, len(first))


def merged(first: np.ndarray, second: np.ndarray, is_new: np.ndarray, known_groups: np.ndarray | None) -> np.ndarray:
    """Connected groups of pairs (first, second) and of known groups: (n,) int64, the smallest index in each video's group."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(is_new)
    if known_groups is not None:
        old = np.flatnonzero(~is_new)
        _, start, which = np.unique(known_groups[old], return_index=True, return_inverse=True)
        first, second = np.append(first, old[start][which]), np.append(second, old)
    graph = coo_matrix((np.ones(len(first), bool), (first, second)), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    smallest = np.full(component.max(initial=-1) + 1, n)
    np.minimum.at(smallest, component, np.arange(n))
    return smallest[component].astype(np.int64)


def _best(
    first: np.ndarray, second: np.ndarray, distance: np.ndarray, similarity: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each video (its best partner, the pair's position); -1, -1 for a group's first member and without a pair."""
    n = len(groups)
    matched, at = np.full(n, -1), np.full(n, -1)
    video, partner = np.append(second, first), np.append(first, second)
    pair = np.tile(np.arange(len(first)), 2)
    later = partner > video
    # Best last, so that it is what stays when several are written to one place.
    order = np.lexsort((partner, -similarity[pair], distance[pair], later, video))[::-1]
    order = order[groups[video[order]] != video[order]]
    matched[video[order]], at[video[order]] = partner[order], pair[order]
    return matched, at


def _cosines(first: np.ndarray, second: np.ndarray, vectors: np.ndarray | Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Cosine of each pair's vectors; NaN where one is zero."""
    used = np.unique(np.append(first, second))
    rows = vectors(used) if callable(vectors) else np.asarray(vectors)[used] if len(used) else np.zeros((0, 0))
    if len(rows) != len(used):
        raise VectorError(f"wanted vectors of {len(used)} videos, got {len(rows)}")
    bad = ~np.isfinite(rows).all(axis=1) if len(used) else np.zeros(0, bool)
    if bad.any():
        raise VectorError(f"the frame vector of row {used[bad.argmax()]} holds NaN or an infinite value")
    rows = rows.astype(np.float32, copy=False)
    norms = np.linalg.norm(rows, axis=1).astype(np.float64)
    a, b = np.searchsorted(used, first), np.searchsorted(used, second)
    dots = np.empty(len(first))
    for start in range(0, len(first), 1 << 14):
        some = slice(start, start + (1 << 14))
        dots[some] = np.einsum("ij,ij->i", rows[a[some]], rows[b[some]])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((norms[a] > 0) & (norms[b] > 0), dots / (norms[a] * norms[b]), np.nan)
