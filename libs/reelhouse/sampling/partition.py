"""Split vectors into parts of like ones (k-means), and a budget over parts."""

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


def by_share(sizes: np.ndarray, budget: int) -> np.ndarray:
    """Places for each part in proportion to its size (largest remainders, ties to the earlier part), none above its size.

    sizes (k,) integers >= 0. The result sums to min(budget, sum of sizes).
    """
    budget = min(int(budget), int(sizes.sum()))
    if budget <= 0:
        return np.zeros(len(sizes), np.int64)
    wanted = sizes * (budget / sizes.sum())
    places = np.floor(wanted).astype(np.int64)
    rest = np.argsort(-(wanted - places), kind="stable")[: budget - places.sum()]
    places[rest] += 1
    return places
