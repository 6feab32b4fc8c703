"""Bar: 1,000 rows to label chosen from a million, with probabilities over 300 classes, in 60 s and 4 GB.

A process of its own; the clock runs over the choice alone, the memory is that of the whole process at its peak, vectors (128 values) and
probabilities included. 20,000 rows are labelled already.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.peers import told

PROGRAM = """
import json, resource, time
import numpy as np
from reelhouse.sampling import select_for_labeling
rng = np.random.default_rng(0)
rows, dimension, classes = 1_000_000, 128, 300
centres = rng.normal(size=(classes, dimension)).astype(np.float32)
vectors, probabilities = np.empty((rows, dimension), np.float32), np.empty((rows, classes), np.float32)
for at in range(0, rows, 50_000):
    block = slice(at, at + 50_000)
    drawn = centres[rng.integers(0, classes, 50_000)] + rng.normal(size=(50_000, dimension)) * rng.uniform(.5, 2, (50_000, 1))
    vectors[block] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    logits = vectors[block] @ centres.T
    logits = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities[block] = logits / logits.sum(axis=1, keepdims=True)
chosen = np.arange(0, rows, 50)
begin = time.perf_counter()
found = select_for_labeling(vectors, probabilities, budget=1000, chosen=chosen, seed=0)
seconds = time.perf_counter() - begin
assert len(set(found.indices.tolist()) - set(chosen.tolist())) == 1000
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20]))
"""


def run() -> list[dict[str, Any]]:
    seconds, gigabytes = told(Path(sys.executable), PROGRAM)
    name = "1,000 of 1,000,000 x 128 with 300 classes"
    return [
        {"name": name, "value": f"{seconds:.0f}", "unit": "s", "bar": "at most 60 s", "note": "the default strategy"},
        {"name": f"{name}: memory", "value": f"{gigabytes:.1f}", "unit": "GB", "bar": "at most 4 GB", "note": "1.7 GB of it the input"},
    ]
