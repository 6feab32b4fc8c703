"""Bars: active learning from 100 to 2,000 labels: area under the accuracy curve above that of random, margin, coreset, badge and typiclust
on the average of all sets, and nowhere more than half a point below the best of them. Macro accuracy on long-tailed copies.

Every strategy but TypiClust begins with the same 100 labels, drawn at random; TypiClust with its own. A curve ends where 80 % of the pool
is labelled.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from reelhouse.sampling import select_for_labeling
from tests.benchmarks.labelling import SETS, Split, difference, first, for_all_seeds, split

OURS = "uncertainty_by_cluster"
PEERS = ("random", "margin", "coreset", "badge", "typiclust")
STEPS = (100, 200, 400, 700, 1000, 1400, 2000)


def run() -> list[dict[str, Any]]:
    rows = []
    for section, measure, kind in (("all classes", _measure, 0), ("long tail", _measure_long_tailed, 1)):
        found = {name: np.array(for_all_seeds(measure, name))[:, :, kind] for name in SETS}  # (seeds, strategies)
        rows += _rows(section, ("accuracy", "macro accuracy")[kind], found)
    return rows


def _rows(section: str, which: str, found: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    rows = []
    for name, areas in found.items():
        ours, peers = areas[:, 0], areas[:, 1:]
        best = int(peers.mean(axis=0).argmax())
        mean, lowest = difference(ours, peers[:, best])
        said = ", ".join(f"{peer} {area:.4f}" for peer, area in zip(PEERS, peers.mean(axis=0), strict=True))
        rows.append(
            {
                "section": section,
                "name": f"{name}: area under {which}, ours less the best peer ({PEERS[best]})",
                "value": f"{mean:+.4f} (at least {lowest:+.4f})",
                "unit": "",
                "bar": "at least -.005",
                "note": f"ours {ours.mean():.4f}, {said}",
            }
        )
    averages = np.mean([areas.mean(axis=0) for areas in found.values()], axis=0)
    said = ", ".join(f"{peer} {area:.4f}" for peer, area in zip(PEERS, averages[1:], strict=True))
    average = {"name": f"average of all sets, {which}", "value": f"{averages[0]:.4f}", "unit": "", "note": said}
    return [*rows, average | {"section": section, "bar": f"above {max(averages[1:]):.4f}"}]


def _measure(name: str, seed: int) -> list[np.ndarray]:
    return [_area(split(name, seed), strategy, seed) for strategy in (OURS, *PEERS)]


def _measure_long_tailed(name: str, seed: int) -> list[np.ndarray]:
    return [_area(split(name, seed, long_tailed=True), strategy, seed) for strategy in (OURS, *PEERS)]


def _area(part: Split, strategy: str, seed: int) -> np.ndarray:
    """(mean accuracy, mean macro accuracy) over the labels given."""
    vectors = part.of.vectors[part.pool]
    steps = [step for step in STEPS if step <= 0.8 * len(vectors)]
    chosen = first("typiclust" if strategy == "typiclust" else "random", vectors, steps[0], seed)
    scores, probabilities = part.learn(chosen)
    curve = [scores]
    for step in steps[1:]:
        found = select_for_labeling(vectors, probabilities, budget=step - len(chosen), chosen=chosen, strategy=strategy, seed=seed)
        chosen = np.concatenate([chosen, found.indices])
        scores, probabilities = part.learn(chosen)
        curve.append(scores)
    return np.trapz(np.array(curve), steps, axis=0) / (steps[-1] - steps[0])
