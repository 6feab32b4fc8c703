"""How far people agree: Krippendorff's alpha for nominal values, from counts of pairs.

Source: K. Krippendorff, Computing Krippendorff's Alpha-Reliability, University of Pennsylvania, 2011, sections C and D.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from reelhouse.labels.taxonomy import Taxonomy

OTHER = ""  # stands for every label outside of a domain; no id is empty


@dataclass(frozen=True)
class Pairs:
    """How often, among the videos that `people` answered, one said `one` and another said `other`: ordered pairs, counted both ways."""

    one: Hashable
    other: Hashable
    people: int
    count: int


@dataclass(frozen=True)
class Agreement:
    """label_id: the root that it is of; None: the whole tree. alpha: 1 agreement, 0 as by chance, below 0 worse; None where all say the
    same, or fewer than two answers can be paired. answers: those that can be paired with another's."""

    label_id: str | None
    alpha: float | None
    answers: int


def pairs_of(units: Iterable[Sequence[Hashable]]) -> list[Pairs]:
    """Pairs of the values that people gave of each unit (a video), those of units with one value left out."""
    counts: dict[tuple[Hashable, Hashable, int], int] = {}
    for values in units:
        for i, one in enumerate(values):
            for j, other in enumerate(values):
                if i != j:
                    key = (one, other, len(values))
                    counts[key] = counts.get(key, 0) + 1
    return [Pairs(one, other, people, count) for (one, other, people), count in counts.items()]


def coincidences(pairs: Iterable[Pairs]) -> dict[tuple[Hashable, Hashable], Fraction]:
    """Krippendorff's coincidence matrix, exactly: o_ck = sum over units of the ordered pairs c-k in it / (its values - 1)."""
    found: dict[tuple[Hashable, Hashable], Fraction] = {}
    for pair in pairs:
        key = (pair.one, pair.other)
        found[key] = found.get(key, Fraction(0)) + Fraction(pair.count, pair.people - 1)
    return found


def krippendorff_alpha(matrix: Mapping[tuple[Hashable, Hashable], Fraction]) -> float | None:
    """alpha = 1 - D_o / D_e = 1 - (n - 1) (n - sum o_cc) / (n^2 - sum n_c^2), for nominal values.

    matrix: what `coincidences` gives; n_c: sum of a row, n: of all. None where D_e is 0: nothing, or nothing different, was said.
    """
    margins: dict[Hashable, Fraction] = {}
    for (one, _), weight in matrix.items():
        margins[one] = margins.get(one, Fraction(0)) + weight
    n = sum(margins.values(), Fraction(0))
    expected = n * n - sum((m * m for m in margins.values()), Fraction(0))
    if expected == 0:
        return None
    observed = n - sum((weight for (one, other), weight in matrix.items() if one == other), Fraction(0))
    return float(1 - (n - 1) * observed / expected)


def agreement_by_domain(pairs: Iterable[Pairs], tree: Taxonomy) -> list[Agreement]:
    """Agreement in the whole tree, then for each root that anybody chose a label of, in the tree's order.

    pairs: of label ids; labels of different levels count as different. In a domain every label outside of its root counts as one
    value, so that people also disagree there about what belongs to it.
    """
    matrix = coincidences(pairs)
    root = {label: [label, *tree.ancestors(label)][-1] for label in tree.ids}
    chosen = {root[str(one)] for one, _ in matrix}
    found = []
    for domain in [None, *(label for label in tree.roots if label in chosen)]:
        collapsed: dict[tuple[Hashable, Hashable], Fraction] = {}
        for (one, other), weight in matrix.items():
            key = tuple(value if domain is None or root[str(value)] == domain else OTHER for value in (one, other))
            collapsed[key[0], key[1]] = collapsed.get((key[0], key[1]), Fraction(0)) + weight
        inside = sum((weight for (one, _), weight in collapsed.items() if one != OTHER), Fraction(0))
        found.append(Agreement(domain, krippendorff_alpha(collapsed), int(inside)))
    return found
