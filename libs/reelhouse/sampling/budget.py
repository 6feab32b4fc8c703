"""How a labelling budget is split: labels drawn at random, rare classes, suspect labels to ask about again, what the model is unsure of."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

_NORMAL = 1.96  # standard errors of a 95 % interval
_ROUNDING = 1e-9  # of a product of floats


@dataclass(frozen=True)
class Known:
    """What the split goes by, as of a day. accuracy: to expect now, 0..1; random: labels of videos that were drawn at random; rare: videos
    whose item speaks for a class of few labels; suspects: labels with verdict wrong; asked_again, changed: earlier suspects that
    people were asked about once more, and those of them whose label was then another."""

    accuracy: float
    random: int
    rare: int
    suspects: int
    asked_again: int = 0
    changed: int = 0


@dataclass(frozen=True)
class Part:
    """labels of the budget that go to a kind (random, rare, suspect, uncertain), and why so many."""

    kind: str
    labels: int
    reason: str


def split_budget(budget: int, known: Known, *, random_share: float, rare_share: float, half_width: float) -> list[Part]:
    """Every label of the budget in one of four parts, in the order in which they are filled.

    random: `random_share` of the budget, and as many as are missing for a 95 % interval of the accuracy of +- half_width, up to half.
    rare: what there is, up to `rare_share`. suspect: a wrong label that is mended takes one that misleads away and adds one, so that
    asking again is worth two labels times the chance that it is wrong, against one of a new label: suspects count where at least half
    of them turn out wrong ((changed + 1) / (asked again + 2): half, while none was asked about), up to half of what is left.
    uncertain: the rest. ValueError for a budget below 0.
    """
    if budget < 0:
        raise ValueError(f"a budget is a number of labels, 0 or more, got {budget}")
    needed = labels_for(known.accuracy, half_width)
    random = min(max(least_share(budget, random_share), min(needed - known.random, budget // 2)), budget)
    rare = min(known.rare, most_share(budget, rare_share), budget - random)
    wrong = (known.changed + 1) / (known.asked_again + 2)
    suspect = min(known.suspects, (budget - random - rare) // 2) if 2 * wrong >= 1 else 0
    tried = (
        f"{known.changed} of {known.asked_again} that people were asked about again were wrong" if known.asked_again else "none was tried"
    )
    reasons = {
        "random": f"an accuracy known to +-{half_width:.0%} takes {needed:,} labels drawn at random, there are {known.random:,}; "
        f"at least {random_share:.0%} of a budget",
        "rare": f"{known.rare:,} videos have an item that speaks for a class of few labels; at most {rare_share:.0%} of a budget",
        "suspect": f"{known.suspects:,} labels look wrong, {tried}: one is worth {2 * wrong:.2g} new labels",
        "uncertain": "the rest: what the model is least sure of, by density as long as that says nothing",
    }
    labels = {"random": random, "rare": rare, "suspect": suspect, "uncertain": budget - random - rare - suspect}
    return [Part(kind, count, reasons[kind]) for kind, count in labels.items()]


def least_share(budget: int, share: float) -> int:
    """The least whole number of labels that is `share` of a budget or more: .07 of 100 is 7, though .07 * 100 > 7 in floats."""
    return ceil(share * budget - _ROUNDING)


def most_share(budget: int, share: float) -> int:
    """The greatest whole number of labels that is `share` of a budget or less."""
    return int(share * budget + _ROUNDING)


def labels_for(accuracy: float, half_width: float) -> int:
    """Labels drawn at random that a 95 % interval of an accuracy takes to be +- half_width (the normal approximation)."""
    return ceil(round(_NORMAL**2 * accuracy * (1 - accuracy) / half_width**2, 9))
