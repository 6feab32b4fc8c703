"""Which of the frames that were looked at are kept: by scene, then by spacing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

# Pictures that differ by less than a tenth of a grey level on average differ by coding noise only; keeping both says nothing.
SAME = 0.1 / 255


def places(seconds: float, count: int) -> list[float]:
    """Middles of `count` equal parts of a video of `seconds`: where it is looked at. Seconds from its start."""
    return [(i + 0.5) * seconds / count for i in range(count)]


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference of two grey pictures (uint8, same shape) as a share 0..1 of the full range."""
    return float(np.abs(a.astype(np.int16) - b.astype(np.int16)).mean() / 255)


def scenes_of(pictures: Sequence[np.ndarray], threshold: float) -> list[list[int]]:
    """Runs of pictures in order of time; a new run begins where a picture differs by `threshold` or more from the one before."""
    scenes: list[list[int]] = []
    for i, picture in enumerate(pictures):
        if i and difference(pictures[i - 1], picture) < threshold:
            scenes[-1].append(i)
        else:
            scenes.append([i])
    return scenes


def choose_frames(pictures: Sequence[np.ndarray], times: Sequence[float], *, frames: int, threshold: float) -> list[int]:
    """Indices of at most `frames` pictures, ascending. pictures: grey uint8, in order of `times` (seconds).

    1. The pictures are cut into scenes (`scenes_of`). The scene with most pictures gives its middle one first.
    2. Then, one by one, the scene that has given none and whose middle picture is farthest in time from every chosen one.
    3. Places that are left go to the picture farthest in time from every chosen one.
    Of equals the earlier one is taken. A picture that shows the same as a chosen one (difference below SAME) is passed over:
    a still video gives one frame.
    """
    if not pictures:
        return []
    scenes = scenes_of(pictures, threshold)
    middles = [scene[(len(scene) - 1) // 2] for scene in scenes]
    chosen = [middles[max(range(len(scenes)), key=lambda s: (len(scenes[s]), -s))]]
    rest = sorted(set(range(len(pictures))) - set(middles))
    for left in ([m for m in middles if m not in chosen], rest):
        while left and len(chosen) < frames:
            best = max(left, key=lambda i: (min(abs(times[i] - times[c]) for c in chosen), -i))
            left.remove(best)
            if _is_new(pictures, chosen, best):
                chosen.append(best)
    return sorted(chosen)


def _is_new(pictures: Sequence[np.ndarray], chosen: Sequence[int], candidate: int) -> bool:
    return all(difference(pictures[c], pictures[candidate]) >= SAME for c in chosen)


def changes_of(pictures: Sequence[np.ndarray]) -> list[float | None]:
    """For each chosen picture, how much it differs from the one before (0..1); None for the first."""
    return [None, *(difference(a, b) for a, b in pairwise(pictures))][: len(pictures)]
