"""Split vectors into parts of like ones (k-means)."""

from __future__ import annotations

import numpy as np


def kmeans_parts(vectors: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """k-means of Lloyd with FAISS: part of each row (n,) int64, and squared distance to its centre (n,) float32.

    vectors (n, d) float32; 1 <= count <= n. Parts may be empty where rows are equal. The same input and seed give the same parts
    (FAISS gives each thread its own centres to sum, so threads don't matter).
    """
    import faiss

    n, dimension = vectors.shape
    if count >= n:
        return np.arange(n), np.zeros(n, np.float32)
    kmeans = faiss.Kmeans(dimension, count, niter=20, seed=seed % 2**31, min_points_per_centroid=1)
    kmeans.train(vectors)
    distances, parts = kmeans.index.search(vectors, 1)
    return parts[:, 0].astype(np.int64), distances[:, 0]
