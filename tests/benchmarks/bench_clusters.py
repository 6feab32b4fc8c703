"""Bars: density clusters of planted groups with ARI .97 or more in EVoC's time or less, at 20,000 and 200,000 rows; a million rows in
5 minutes and 6 GB.

The data are those of shared/tools/planted_clusters.py (60 groups of uneven size and spread, 10 % background, 128 values, unit length).
Each method runs in a process of its own, compiled code warmed up before the clock starts, in turns within one run; the median counts.
ARI is over all rows, the background as one group.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score

from tests.benchmarks.peers import interpreter, told
from tests.datasets import tool

SIZES = (20_000, 200_000)
LARGE = 1_000_000
ROUNDS = 3
MINIMUM_SIZE = 15
WARM = 20_000  # rows that each method clusters before the clock starts: on fewer, EVoC has not compiled all that it then runs
PEERS = ("evoc==0.3.2", "fast-hdbscan[nndescent]==0.3.4", "scikit-learn==1.9.1")

TIMED = """
import json, resource, sys, time
import numpy as np
vectors, warm = np.load(sys.argv[1]), int(sys.argv[3])
{load}
if warm:
    cluster(vectors[:warm])
begin = time.perf_counter()
labels = cluster(vectors)
seconds = time.perf_counter() - begin
np.save(sys.argv[2], labels)
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20]))
"""
METHODS = {
    "Reelhouse": f"""
from reelhouse.sampling import density_clusters
cluster = lambda rows: density_clusters(rows, minimum_size={MINIMUM_SIZE}).labels""",
    "EVoC": """
import evoc
cluster = lambda rows: evoc.EVoC(random_state=0).fit_predict(rows)""",
    "fast_hdbscan": f"""
import fast_hdbscan
cluster = lambda rows: fast_hdbscan.HDBSCAN(min_cluster_size={MINIMUM_SIZE}).fit_predict(rows)""",
}


def run() -> list[dict[str, Any]]:
    python = {"Reelhouse": Path(sys.executable)} | dict.fromkeys(("EVoC", "fast_hdbscan"), interpreter(*PEERS))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for n in SIZES:
            names = [name for name in METHODS if name != "fast_hdbscan" or n == SIZES[0]]
            truth = _write(n, Path(folder))
            found = [{name: _once(python[name], name, Path(folder), truth) for name in names} for _ in range(ROUNDS)]
            seconds = {name: statistics.median(one[name][0] for one in found) for name in names}
            scores = {name: found[0][name][2] for name in names}
            said = ", ".join(f"{name} {seconds[name]:.1f} s (ARI {scores[name]:.3f})" for name in names)
            rows.append(_row(f"{n:,} x 128: agreement with the planted groups", f"{scores['Reelhouse']:.3f}", "ARI", "at least .97", said))
            ratio = seconds["Reelhouse"] / seconds["EVoC"]
            rows.append(_row(f"{n:,} x 128: time against EVoC's", f"{ratio:.2f}", "of EVoC's time", "at most 1", f"median of {ROUNDS}"))
        truth = _write(LARGE, Path(folder))
        seconds, gigabytes, score = _once(python["Reelhouse"], "Reelhouse", Path(folder), truth)
        rows.append(_row("1,000,000 x 128", f"{seconds:.0f}", "s", "at most 300 s", f"ARI {score:.3f}"))
        rows.append(
            _row("1,000,000 x 128: memory", f"{gigabytes:.1f}", "GB", "at most 6 GB", "the whole process at its peak, vectors included")
        )
    return rows


def _write(n: int, folder: Path) -> np.ndarray:
    vectors, truth = tool("planted_clusters").planted(n)
    np.save(folder / "vectors.npy", vectors)
    return truth


def _once(python: Path, name: str, folder: Path, truth: np.ndarray) -> tuple[float, float, float]:
    """(seconds, peak memory in GB, ARI)."""
    program = TIMED.replace("{load}", METHODS[name])
    seconds, gigabytes = told(python, program, str(folder / "vectors.npy"), str(folder / "labels.npy"), str(WARM))
    return seconds, gigabytes, adjusted_rand_score(truth, np.load(folder / "labels.npy"))


def _row(name: str, value: str, unit: str, bar: str, note: str) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "bar": bar, "note": note}
