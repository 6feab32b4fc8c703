"""Short binary codes of vectors: the first, untrained kind."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

BITS = 128
# Fixed for ever: another seed would make codes that can't be compared with those already stored.
_SEED = 20260101


def sign_hashes(vectors: np.ndarray) -> np.ndarray:
    """Sign of a fixed random projection: bit i of a vector is 1 where its product with the i-th Gaussian direction is > 0.

    vectors: (n, d). Returns (n, 16) uint8, packed with the first bit highest (numpy.packbits). The share of bits by which two
    codes differ estimates the angle between the vectors, over pi. Source: Charikar 2002, section 3.
    """
    if not len(vectors):
        return np.zeros((0, BITS // 8), np.uint8)
    return np.packbits(np.asarray(vectors, np.float64) @ _directions(vectors.shape[1]) > 0, axis=1)


@lru_cache(maxsize=4)
def _directions(dimension: int) -> np.ndarray:
    return np.random.default_rng([_SEED, dimension]).standard_normal((dimension, BITS))
