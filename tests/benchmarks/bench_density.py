"""Bars: what is sampled by density teaches at least what TypiClust's choice does, and at least what chance does, at every budget.

Against TypiClust at 100 and 300 labels, accuracy and macro accuracy: lower bound of the paired difference -.005 or more on every set, and
above 0 on average; against random at up to 1,000: lower bound -.01 or more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks.labelling import SETS, difference, first, for_all_seeds, split

BUDGETS = (100, 300, 1000)
WAYS = ("density", "typiclust", "random")
KINDS = ("accuracy", "macro accuracy")


def run() -> list[dict[str, Any]]:
    found = {name: np.array(for_all_seeds(_measure, name)) for name in SETS}  # (seeds, budgets, ways, 2)
    rows = []
    for kind, which in enumerate(KINDS):
        for at, budget in enumerate(BUDGETS):
            for name in SETS:
                ours, typical, random = (found[name][:, at, way, kind] for way in range(len(WAYS)))
                against = {"TypiClust": (typical, -0.005 if budget <= 300 else None), "random": (random, -0.01)}
                for other, (theirs, bar) in against.items():
                    mean, lowest = difference(ours, theirs)
                    rows.append(
                        {
                            "name": f"{name}, {budget} labels, {which}: density less {other}",
                            "value": f"{mean:+.4f} (at least {lowest:+.4f})",
                            "unit": "",
                            "bar": "" if bar is None or (kind and other == "random") else f"lower bound at least {bar}",
                            "note": f"density {ours.mean():.3f}, {other} {theirs.mean():.3f}",
                        }
                    )
        for at, budget in enumerate(BUDGETS[:2]):
            mean = np.mean([found[n][:, at, 0, kind].mean() - found[n][:, at, 1, kind].mean() for n in SETS])
            name = f"average of all sets, {budget} labels, {which}: density less TypiClust"
            rows.append({"name": name, "value": f"{mean:+.4f}", "unit": "", "bar": "above 0", "note": ""})
    return rows


def _measure(name: str, seed: int) -> list[list[np.ndarray]]:
    part = split(name, seed)
    vectors = part.of.vectors[part.pool]
    return [[part.learn(first(way, vectors, budget, seed))[0] for way in WAYS] for budget in BUDGETS]
