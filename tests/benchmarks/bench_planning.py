"""Figures of `reelhouse labels plan` and of the cold start, on sets whose later accuracy is known.

Curve: of n labels a fifth is held out, the rest is learned from; the interval for 1.5, 2 and 4 times as many is set against what a probe
reaches that learned from so many, on the quarter of the set that nothing else saw.

Cold start: of n labels, drawn at random, a model learns from four fifths; the rest and 40 new ones say whether it knows where it errs
(reelhouse.sampling.cold_start). Then n / 2 more labels, 20 at least, are chosen each way, and what they bring is compared with density.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from reelhouse import settings as settings_module
from reelhouse.sampling import select_for_labeling
from reelhouse.sampling.cold_start import trust_in
from reelhouse.sampling.planning import fit_curve, principal_components, probe
from reelhouse.sampling.uncertainty import margin_uncertainty
from tests.benchmarks.labelling import SETS, for_all_seeds, split

PLANNED = (60, 150, 400, 1000)
AHEAD = (1.5, 2.0, 4.0)
COLD = (20, 30, 50, 80, 120, 200, 300, 500, 1000)
NEW = 40


def run() -> list[dict[str, Any]]:
    curves = [one for name in SETS for of_seed in for_all_seeds(_curves, name) for one in of_seed]
    starts = [one for name in SETS for of_seed in for_all_seeds(_starts, name) for one in of_seed]
    return [*_of_curves(curves), *_of_starts(starts)]


def _of_curves(found: list[tuple[int, float, bool, float]]) -> Iterable[dict[str, Any]]:
    for labels in PLANNED:
        inside = [(times, covered, error) for n, times, covered, error in found if n == labels]
        said = []
        for ahead in sorted({times for times, *_ in inside}):
            held, off = (np.mean([one[at] for one in inside if one[0] == ahead]) for at in (1, 2))
            said.append(f"x {ahead:g}: {held:.2f}, off by {off:.3f}")
        value = f"{np.mean([covered for _, covered, _ in inside]):.2f}"
        yield {
            "section": "curve",
            "name": f"{labels} labels: 90 % intervals that hold",
            "value": value,
            "unit": "",
            "bar": "",
            "note": "; ".join(said),
        }
    value = f"{np.mean([covered for *_, covered, _ in found]):.2f}"
    yield {"section": "curve", "name": "all", "value": value, "unit": "", "bar": ".85 to .95", "note": f"{len(found):,} intervals"}


@dataclass(frozen=True)
class Start:
    labels: int
    is_warm: bool
    gains: dict[str, float]  # in accuracy, against density


def _of_starts(found: list[Start]) -> Iterable[dict[str, Any]]:
    for warm, name in ((False, "while density chooses"), (True, "once uncertainty does")):
        part = [one for one in found if one.is_warm == warm]
        for way in ("uncertainty_by_cluster", "margin"):
            gains = np.array([one.gains[way] for one in part])
            about = f"{len(part)} starts, +-{1.96 * gains.std(ddof=1) / len(gains) ** 0.5:.4f}"
            yield _row(f"{name}: {way} less density", f"{gains.mean():+.4f}", about)
    shares = {n: np.mean([one.is_warm for one in found if one.labels == n]) for n in COLD}
    yield _row("models whose uncertainty is believed, by labels", ", ".join(f"{n}: {share:.2f}" for n, share in shares.items()), "")


def _row(name: str, value: str, note: str) -> dict[str, Any]:
    return {"section": "cold start", "name": name, "value": value, "unit": "", "bar": "", "note": note}


def _curves(name: str, seed: int) -> list[tuple[int, float, bool, float]]:
    """(labels, times as many, whether the interval holds what is reached, how far the curve is off) of each."""
    part = split(name, seed)
    pool = np.random.default_rng(seed).permutation(part.pool)
    near, far = principal_components(part.of.vectors[pool], part.of.vectors[part.test], seed=seed)
    classes, truth = part.of.classes[pool], part.of.classes[part.test]
    found = []
    for labels in (n for n in PLANNED if n <= len(pool)):
        held = labels // 5
        taught = slice(held, labels)
        curve = fit_curve(probe(near[taught], classes[taught], near[:held], classes[:held], seed=seed), seed=seed)
        for times in (t for t in AHEAD if held + t * (labels - held) <= len(pool)):
            count = round(times * (labels - held))
            later = slice(held, held + count)
            reached = probe(near[later], classes[later], far, truth, repeats=1, seed=seed).hits[0, -1].mean()
            expected = curve.at(count)
            found.append((labels, times, bool(expected.low <= reached <= expected.high), abs(expected.accuracy - reached)))
    return found


def _starts(name: str, seed: int) -> list[Start]:
    part = split(name, seed)
    vectors, classes = part.of.vectors[part.pool], part.of.classes[part.pool]
    order = np.random.default_rng(seed).permutation(len(vectors))
    found = []
    for labels in (n for n in COLD if n <= 0.4 * len(order)):
        chosen, asked = order[:labels], np.r_[order[: labels // 5], order[labels : labels + NEW]]
        _, probabilities = part.learn(chosen[labels // 5 :])
        unsure = margin_uncertainty(probabilities)
        trust = trust_in(unsure[asked], probabilities[asked].argmax(axis=1) != classes[asked])
        budget, accuracy = max(20, labels // 2), {}
        for way in ("density", "uncertainty_by_cluster", "margin"):
            by_density = way == "density"
            picked = select_for_labeling(
                vectors, probabilities, budget=budget, chosen=chosen, strategy="uncertainty_by_cluster" if by_density else way,
                uncertainty=np.ones(len(vectors)) if by_density else None, seed=seed,
            )  # fmt: skip
            accuracy[way] = part.learn(np.concatenate([chosen, picked.indices]))[0][0]
        gains = {way: reached - accuracy["density"] for way, reached in accuracy.items()}
        found.append(Start(labels, trust.p <= settings_module.load().sampling.cold_start_p_max, gains))
    return found
