"""Text vectors: hashed n-grams, TF-IDF, truncated SVD. Plain Python; no Spark."""

from __future__ import annotations

import hashlib
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reelhouse.text.cleaning import HAN

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_PREPROCESSING = "lower; Chinese 1-3-grams of characters, 1-2-grams of words; murmur3 buckets; sublinear tf, smooth idf, l2; svd/2"
_UNIT = re.compile(rf"[{HAN}]+|[^\W_{HAN}]+")
_EXACT_BELOW = 600  # smaller side of a matrix up to which the SVD is computed in full
_NOISE_FLOOR = 1e-5  # directions with a smaller share of the largest singular value are rounding noise
_MANY_TEXTS = 1000  # from so many texts on n-grams of a single text are left out: they carry nothing to other texts
_CHUNK = 2048  # texts transformed at once


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """A fitted encoder. `encoder_id` depends on the preprocessing, the sizes, the seed and the set of fitted texts."""

    encoder_id: str
    dimension: int
    buckets: int
    fitted_on: int
    active: np.ndarray  # (a,) int32, sorted: buckets that occurred when fitted
    idf: np.ndarray  # (a,) float32
    components: np.ndarray  # (a, k) float16, k <= dimension: directions, largest singular value first

    @classmethod
    def fit(cls, texts: Sequence[str], *, dimension: int, buckets: int, seed: int) -> TextEncoder:
        """Fit idf and directions on `texts`; their order does not matter, and neither do repeats of a text.

        With fewer texts than dimensions the remaining dimensions are zero; with no text every vector is zero.
        """
        unique = sorted(set(texts))
        counts = _count(unique, buckets)
        frequency = np.bincount(counts.indices, minlength=buckets)
        active = np.flatnonzero(frequency >= (1 if len(unique) < _MANY_TEXTS else 2)).astype(np.int32)
        idf = (np.log((1 + len(unique)) / (1 + frequency[active])) + 1).astype(np.float32)
        components = _directions(_weigh(counts, active, idf), dimension, seed)
        return cls(_identity(unique, dimension, buckets, seed), dimension, buckets, len(texts), active, idf, components)

    def transform(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of `texts`: (n, dimension) float32, norm at most 1, zero for a text without known n-grams."""
        vectors, directions = np.zeros((len(texts), self.dimension), np.float32), self.components.astype(np.float32)
        for start in range(0, len(texts), _CHUNK):
            weights = _weigh(_count(texts[start : start + _CHUNK], self.buckets), self.active, self.idf)  # (chunk, a)
            vectors[start : start + weights.shape[0], : self.components.shape[1]] = weights @ directions
        return vectors

    def fits(self, *, dimension: int, buckets: int) -> bool:
        """Whether the encoder was made with these settings."""
        return self.dimension == dimension and self.buckets == buckets

    def to_bytes(self) -> bytes:
        file = io.BytesIO()
        about = np.array([self.dimension, self.buckets, self.fitted_on], np.int64)
        np.savez(file, id=np.array(self.encoder_id), about=about, active=self.active, idf=self.idf, components=self.components)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> TextEncoder:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            dimension, buckets, fitted_on = (int(v) for v in stored["about"])
            return cls(str(stored["id"]), dimension, buckets, fitted_on, stored["active"], stored["idf"], stored["components"])


def ngrams(text: str) -> Iterator[str]:
    """1- to 3-grams of the characters of a Chinese run, 1- and 2-grams of other words (a pair never spans a Chinese run)."""
    before = None
    for unit in _UNIT.findall(text.lower()):
        if unit[0] > "\u2fff" and re.match(f"[{HAN}]", unit):
            yield from itertools.chain.from_iterable((unit[i : i + n] for i in range(len(unit) - n + 1)) for n in (1, 2, 3))
            before = None
        else:
            yield unit
            if before is not None:
                yield f"{before} {unit}"
            before = unit


def _count(texts: Sequence[str], buckets: int) -> csr_matrix:
    """(n, buckets) float32: how often each bucket's n-grams occur."""
    from sklearn.feature_extraction import FeatureHasher

    hasher = FeatureHasher(n_features=buckets, input_type="string", alternate_sign=False, dtype=np.float32)
    counts = hasher.transform(ngrams(t) for t in texts) if len(texts) else hasher.transform([[]])[:0]
    counts.sum_duplicates()
    return counts


def _weigh(counts: csr_matrix, active: np.ndarray, idf: np.ndarray) -> csr_matrix:
    """(n, a) float32: (1 + log tf) * idf of the active buckets, each row of length 1."""
    from sklearn.preprocessing import normalize

    weights = counts[:, active].astype(np.float32)
    weights.data = (1 + np.log(weights.data)) * idf[weights.indices]
    return normalize(weights, copy=False) if weights.shape[1] else weights


def _directions(weights: csr_matrix, dimension: int, seed: int) -> np.ndarray:
    """(a, k) float16: right singular vectors, each signed so that its largest entry is positive.

    Half precision halves what is stored and shipped; it costs a thousandth of a vector's entries.
    """
    n, a = weights.shape
    if min(n, a) == 0:
        return np.zeros((a, 0), np.float16)
    if min(n, a) <= _EXACT_BELOW:
        strength, directions = _exact_directions(weights.astype(np.float64))
    else:
        from sklearn.utils.extmath import randomized_svd

        _, strength, directions = randomized_svd(weights, min(dimension, n, a), n_iter=4, random_state=seed)
    kept = min(dimension, int(np.sum(strength > _NOISE_FLOOR * strength[0])))
    directions = directions[:kept]  # (k, a)
    peak = directions[np.arange(kept), np.argmax(np.abs(directions), axis=1)]
    return np.ascontiguousarray((directions * np.sign(peak)[:, None]).T, dtype=np.float16)


def _exact_directions(weights: csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """All singular values, largest first, and their right directions (k, a), by the smaller of the two Gram matrices."""
    by_text = weights.shape[0] <= weights.shape[1]
    gram = (weights @ weights.T if by_text else weights.T @ weights).toarray()
    values, vectors = np.linalg.eigh(gram)
    strength, vectors = np.sqrt(np.maximum(values[::-1], 0)), vectors[:, ::-1]
    if not by_text:
        return strength, vectors.T
    return strength, (weights.T @ vectors).T / np.maximum(strength, 1e-12)[:, None]


def _identity(unique: Sequence[str], dimension: int, buckets: int, seed: int) -> str:
    digest = hashlib.sha256(f"{_PREPROCESSING}|{dimension}|{buckets}|{seed}".encode())
    for text in unique:
        digest.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    return digest.hexdigest()[:16]
