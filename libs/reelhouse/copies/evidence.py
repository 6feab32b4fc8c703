"""What speaks for two videos being copies: hashes of their frames, and their mean frame vectors."""

from __future__ import annotations

import numpy as np

from reelhouse.copies.hamming import distances, near_pairs

# Mean distance of best-matching frames, as a multiple of the distance at which one frame counts as matched: cut, cropped or
# logo-marked copies have one frame that matches well and others that were taken at other moments.
LOOSE_FRAMES = 1.6
# By how much less the vectors need to agree when all frames have equal hashes. A DCT hash doesn't see colour, the frame
# encoder does: grey and sepia copies keep their hash and fall to a cosine of .7.
SLACK_AT_EQUAL_HASHES = 0.3
# A hash that very many videos share (an intro, a test card) ties each new video to so many of its earliest carriers only.
CARRIERS_MAX = 200
_CHUNK = 1 << 18  # pairs of videos compared at a time


def candidate_pairs(owners: np.ndarray, hashes: np.ndarray, is_new: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of videos with at least one pair of frames within `radius` bits, at least one of the two being new.

    owners: (m,) int64, the video of each frame; hashes: (m,) 64-bit; is_new: (n,) bool over videos. Exact, except that of the
    videos that carry the very same hash, a new one is compared with the CARRIERS_MAX smallest only.
    Returns (first, second), int64, first < second, each pair once, ordered.
    """
    n = len(is_new)
    of_new = is_new[owners]
    queries, known = np.unique(hashes[of_new]), np.unique(hashes)
    left, right = near_pairs(queries, known, radius)
    from_query = _carriers(owners[of_new], hashes[of_new], queries, None)
    from_known = _carriers(owners, hashes, known, CARRIERS_MAX)
    found = [np.zeros(0, np.int64)]
    for start in range(0, len(left), _CHUNK):
        a, b = _crossed(from_query, left[start : start + _CHUNK], from_known, right[start : start + _CHUNK])
        differ = a != b
        a, b = a[differ], b[differ]
        found.append(np.unique(np.minimum(a, b) * n + np.maximum(a, b)))
    pairs = np.unique(np.concatenate(found))
    return pairs // max(n, 1), pairs % max(n, 1)


def _carriers(owners: np.ndarray, hashes: np.ndarray, values: np.ndarray, limit: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `values` (sorted, unique) the videos that carry it, smallest first: (starts, counts, videos)."""
    which = np.searchsorted(values, hashes)
    pairs = np.unique(np.stack([which, owners]), axis=1)  # (2, k) sorted by value, then video
    starts = np.searchsorted(pairs[0], np.arange(len(values)))
    counts = np.diff(np.append(starts, pairs.shape[1]))
    return starts, counts if limit is None else np.minimum(counts, limit), pairs[1]


def _crossed(left_carriers, left, right_carriers, right):  # type: ignore[no-untyped-def]
    """Every video of left[i] with every video of right[i]: two arrays."""
    (ls, lc, lv), (rs, rc, rv) = left_carriers, right_carriers
    sizes = lc[left] * rc[right]
    row = np.repeat(np.arange(len(left)), sizes)
    offset = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    width = rc[right][row]
    return lv[ls[left][row] + offset // width], rv[rs[right][row] + offset % width]


def frame_distances(first: np.ndarray, second: np.ndarray, owners: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Of each pair of videos the mean Hamming distance of best-matching frames: for each frame of the one with fewer frames
    the nearest frame of the other (of equal numbers: the smaller of the two means). (p,) float64, bits of 64; inf without frames.

    owners must be ascending, as frames of a video lie together.
    """
    count = int(max(first.max(initial=-1), second.max(initial=-1), owners.max(initial=-1))) + 1
    starts = np.searchsorted(owners, np.arange(count + 1))
    counts = np.diff(starts)
    out = np.full(len(first), np.inf)
    width = int(counts.max(initial=0))
    lanes = np.arange(width)
    for begin in range(0, len(first), max(1, _CHUNK // max(width * width, 1))):
        some = slice(begin, begin + max(1, _CHUNK // max(width * width, 1)))
        a, b = first[some], second[some]
        has_a, has_b = lanes < counts[a][:, None], lanes < counts[b][:, None]  # (p, width)
        ha = hashes[np.where(has_a, starts[a][:, None] + lanes, 0)]
        hb = hashes[np.where(has_b, starts[b][:, None] + lanes, 0)]
        bits = distances(ha[:, :, None], hb[:, None, :]).astype(np.float64)  # (p, width, width)
        bits[~(has_a[:, :, None] & has_b[:, None, :])] = np.inf
        with np.errstate(invalid="ignore", divide="ignore"):
            mean_a = np.where(has_a, bits.min(axis=2, initial=np.inf), 0).sum(axis=1) / counts[a]
            mean_b = np.where(has_b, bits.min(axis=1, initial=np.inf), 0).sum(axis=1) / counts[b]
        best = np.where(counts[a] < counts[b], mean_a, np.where(counts[b] < counts[a], mean_b, np.minimum(mean_a, mean_b)))
        out[some] = np.where((counts[a] > 0) & (counts[b] > 0), best, np.inf)
    return out


def are_copies(distance: np.ndarray, similarity: np.ndarray, *, hash_distance_max: int, similarity_min: float) -> np.ndarray:
    """The rule, for pairs that have a pair of frames within hash_distance_max already: bool (p,).

    distance: mean bits of best-matching frames; at most LOOSE_FRAMES * hash_distance_max. similarity: cosine of mean frame
    vectors; at least similarity_min at that largest distance, falling linearly to similarity_min - SLACK_AT_EQUAL_HASHES at
    distance 0: the closer the frames, the less the vectors must say. NaN (no vector) is no copy: both must speak for it.
    """
    farthest = LOOSE_FRAMES * hash_distance_max
    closeness = 1 - distance / farthest if farthest else np.where(distance == 0, 1.0, -np.inf)
    with np.errstate(invalid="ignore"):
        return (distance <= farthest) & (similarity >= similarity_min - SLACK_AT_EQUAL_HASHES * closeness)
