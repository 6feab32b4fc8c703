"""What a model learns from labels that were chosen one way or another: the protocol of the labelling figures.

A quarter of each set is held out, split anew for each seed; a logistic regression learns from the vectors of what was chosen; accuracy and
macro accuracy (mean recall of the classes) on the held-out part. Differences are paired by seed; their interval is 1.96 standard errors.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import train_test_split

from reelhouse.sampling.active import select_for_labeling
from reelhouse.sampling.coverage import cover
from reelhouse.scratch import cache_folder
from tests.datasets import TEXTS, Labelled, labelled

ROOT = Path(__file__).resolve().parents[2]
SETS = (*TEXTS, "cifar10n")
SEEDS = 20
HEAD_TO_TAIL = 50  # the long-tailed copies: the largest class has so many times the smallest's rows


@dataclass(frozen=True)
class Split:
    """pool, test: rows of a set."""

    of: Labelled
    pool: np.ndarray
    test: np.ndarray

    def learn(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """((accuracy, macro accuracy) on the test rows, probabilities of the pool (n, C)) of what the chosen rows of the pool teach."""
        rows = self.pool[chosen]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # 200 steps are enough to compare by, if not to converge
            model = LogisticRegression(C=10.0, max_iter=200).fit(self.of.vectors[rows], self.of.classes[rows])
        said, truth = model.predict(self.of.vectors[self.test]), self.of.classes[self.test]
        probabilities = np.zeros((len(self.pool), int(self.of.classes.max()) + 1))
        probabilities[:, model.classes_] = model.predict_proba(self.of.vectors[self.pool])
        macro = recall_score(truth, said, labels=np.unique(truth), average="macro", zero_division=0)
        return np.array([np.mean(said == truth), macro]), probabilities


def split(name: str, seed: int, *, long_tailed: bool = False) -> Split:
    """long_tailed: rows of the pool are left out until class sizes fall evenly (in their logarithm) to a fiftieth; classes in an order of
    the seed's own. What is held out stays as it is."""
    found = labelled(name)
    pool, test = train_test_split(np.arange(len(found.classes)), test_size=0.25, random_state=seed, stratify=found.classes)
    if long_tailed:
        rng = np.random.default_rng(seed)
        classes = rng.permutation(np.unique(found.classes))
        most = np.bincount(found.classes[pool]).max()
        wanted = most * HEAD_TO_TAIL ** -(np.arange(len(classes)) / max(len(classes) - 1, 1))
        kept = [rng.permutation(pool[found.classes[pool] == c])[: max(3, round(n))] for c, n in zip(classes, wanted, strict=True)]
        pool = np.sort(np.concatenate(kept))
    return Split(found, pool, test)


def first(strategy: str, vectors: np.ndarray, budget: int, seed: int) -> np.ndarray:
    """`budget` rows, before there is any model."""
    if strategy == "density":
        everything = np.ones(len(vectors), bool)
        return np.array(cover(vectors, budget, is_open=everything, is_covered=~everything).rows)
    uniform = np.full((len(vectors), 2), 0.5)
    return select_for_labeling(vectors, uniform, budget=budget, strategy=strategy, seed=seed).indices


def for_all_seeds(measure: Callable[[str, int], Any], name: str) -> list[Any]:
    """measure(name, seed) of every seed, one process a core.

    What a seed gave is kept in the cache folder until the code that gave it changes: all seeds take hours, and a run that was cut goes on.
    """
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    labelled(name)  # made once, before the processes want it
    folder = cache_folder() / "seeds" / f"{_code()}-{measure.__module__.rpartition('.')[2]}{measure.__name__}"
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")  # a fork would have this process's number of threads
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), context) as pool:
        return list(pool.map(_once, [measure] * SEEDS, [name] * SEEDS, range(SEEDS), [folder] * SEEDS))


def _once(measure: Callable[[str, int], Any], name: str, seed: int, folder: Path) -> Any:
    kept = folder / f"{name}-{seed}.pickle"
    if kept.exists():
        return pickle.loads(kept.read_bytes())
    found = measure(name, seed)
    begun = kept.with_suffix(f".{os.getpid()}")
    begun.write_bytes(pickle.dumps(found))
    begun.rename(kept)
    return found


def _code() -> str:
    """Of all modules of this project that are loaded, and of the libraries."""
    modules = {Path(file) for module in sys.modules.values() if (file := getattr(module, "__file__", None))}
    ours = sorted(path for path in modules if path.is_relative_to(ROOT) and not path.is_relative_to(sys.prefix))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in [*ours, ROOT / "requirements.lock"]))
    return digest.hexdigest()[:12]


def difference(ours: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """(mean paired difference, lower bound of its 95 % interval); both (seeds,)."""
    gaps = ours - other
    mean = float(gaps.mean())
    return mean, mean - 1.96 * float(gaps.std(ddof=1)) / len(gaps) ** 0.5
