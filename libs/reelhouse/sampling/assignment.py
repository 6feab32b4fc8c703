"""Which density cluster a video belongs to that was not itself clustered: that of its nearest neighbour among those that were."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reelhouse.features import as_matrix
from reelhouse.sampling.neighbours import check_vectors

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

ASSIGNED = "video_id string, cluster_id string, density double, is_noise boolean"
# Clustered videos that others are compared with, besides the densest of each cluster. It bounds what each Python worker holds:
# 2 bytes a value, so 160 MB at 1,600 values a video.
EXEMPLARS_MAX = 50_000
_OF_EACH_CLUSTER = 3
# Above so many exemplars only the lists of the nearest cells are looked through (IVF); below, all exemplars.
_EXACT_MAX = 4_096
_CELLS_LOOKED_AT = 8
_COMPARED = 4  # of so many nearest ones by the index, whose distances are rounded, the nearest is found exactly
_BLOCK = 1_024


@dataclass(frozen=True)
class ClusterIndex:
    """Exemplars of clusters, to be searched.

    index: a FAISS index over their vectors. names (m,) object: cluster of each, None for noise. density (m,) float64.
    reach (m,) float64: how far from the exemplar its cluster goes; 0 for noise.
    """

    index: Any
    names: np.ndarray
    density: np.ndarray
    reach: np.ndarray

    @classmethod
    def of(
        cls, vectors: np.ndarray, names: np.ndarray, density: np.ndarray, *, seed: int, exemplars_max: int = EXEMPLARS_MAX
    ) -> ClusterIndex:
        """vectors (n, d), names (n,) object, None for noise, density (n,) as density_clusters gives it: 1 / (1 + core distance).

        A cluster reaches as far as the largest core distance of its members. Of more than exemplars_max rows so many are drawn,
        and of each cluster its three densest are kept in any case. n >= 1.
        """
        import faiss

        vectors = check_vectors(vectors)
        cores = 1 / np.maximum(density, 1e-12) - 1
        clusters, number = np.unique(_as_text(names), return_inverse=True)
        widest = np.zeros(len(clusters))
        np.maximum.at(widest, number, cores)
        widest[clusters == ""] = 0.0
        rows = _exemplars(number, density, seed, exemplars_max)
        kept = vectors[rows]
        if len(rows) <= _EXACT_MAX:
            index: Any = faiss.IndexFlatL2(vectors.shape[1])
        else:
            cells = 2 * int(np.sqrt(len(rows)))
            index = faiss.index_factory(vectors.shape[1], f"IVF{cells},SQfp16")
            index.nprobe, index.by_residual = _CELLS_LOOKED_AT, False
            index.cp.seed = seed % 2**31
            index.train(kept)
            index.make_direct_map()
        index.add(kept)
        return cls(index, names[rows], density[rows], widest[number][rows])

    def assign(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(names, density) of (n, d) other vectors: those of the nearest exemplar. Noise (None) where that is noise, or farther
        away than its cluster reaches."""
        vectors = check_vectors(vectors)
        if not len(vectors):
            return np.zeros(0, object), np.zeros(0)
        blocks = [self._nearest(vectors[at : at + _BLOCK]) for at in range(0, len(vectors), _BLOCK)]
        distances, found = (np.concatenate(part) for part in zip(*blocks, strict=True))
        names = self.names[found]
        names[distances > self.reach[found]] = None
        return names, self.density[found]

    def _nearest(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(distances, exemplars) of (n, d) vectors, which do not depend on what else is in the block, and 0 for a copy.

        What FAISS finds does: it rounds |a|^2 + |b|^2 - 2ab, and otherwise for 20 vectors than for one.
        """
        _, found = self.index.search(vectors, min(_COMPARED, self.index.ntotal))
        if hasattr(self.index, "nprobe"):
            vectors = self.index.sq.decode(self.index.sq.compute_codes(vectors))  # rounded as the exemplars are
        found = np.maximum(found, 0)  # -1 where the cells hold fewer: the first exemplar is looked at then
        gaps = vectors[:, None].astype(np.float64) - self.index.reconstruct_batch(found.ravel()).reshape(*found.shape, -1)
        distances = np.sqrt(np.einsum("ijk,ijk->ij", gaps, gaps))
        nearest = np.lexsort((found, distances), axis=1)[:, :1]
        return np.take_along_axis(distances, nearest, axis=1)[:, 0], np.take_along_axis(found, nearest, axis=1)[:, 0]

    def to_bytes(self) -> bytes:
        import faiss

        buffer = io.BytesIO()
        index = faiss.serialize_index(self.index)
        np.savez(buffer, index=index, names=_as_text(self.names), density=self.density, reach=self.reach)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> ClusterIndex:
        import faiss

        with np.load(io.BytesIO(content)) as saved:
            names = saved["names"].astype(object)
            names[names == ""] = None
            return cls(faiss.deserialize_index(saved["index"]), names, saved["density"], saved["reach"])


def assign_clusters(vectors: DataFrame, shipped: Any) -> DataFrame:
    """The columns of ASSIGNED for rows of video_id, vector. shipped: a broadcast of ClusterIndex.to_bytes."""

    def over(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import faiss
        import pyarrow as pa

        # tasks run side by side, one a core
        faiss.omp_set_num_threads(1)
        index = ClusterIndex.from_bytes(shipped.value)
        for batch in batches:
            names, density = index.assign(as_matrix(batch["vector"], index.index.d))
            clusters = pa.array(names, pa.string())
            found = [batch["video_id"], clusters, pa.array(density), clusters.is_null()]
            yield pa.RecordBatch.from_arrays(found, ["video_id", "cluster_id", "density", "is_noise"])

    return vectors.mapInArrow(over, ASSIGNED)


def _as_text(names: np.ndarray) -> np.ndarray:
    """Names as text; noise has the empty one."""
    return np.array([name or "" for name in names.tolist()], dtype=str)


def _exemplars(cluster: np.ndarray, density: np.ndarray, seed: int, most: int) -> np.ndarray:
    """Rows to keep, ascending: `most` drawn at random, and the densest of each cluster; all where they fit."""
    n = len(cluster)
    if n <= most:
        return np.arange(n)
    drawn = np.random.default_rng(seed).choice(n, most, replace=False)
    order = np.lexsort((np.arange(n), -density, cluster))  # by cluster, densest first
    begins = np.flatnonzero(np.diff(cluster[order], prepend=-1))
    place = np.arange(n) - np.repeat(begins, np.diff(np.append(begins, n)))
    return np.union1d(drawn, order[place < _OF_EACH_CLUSTER])
