"""From people's answers to classes and targets. Plain Python; the tree of labels is asked only for ids and ancestors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from reelhouse.labels import Taxonomy

YES, NO, UNKNOWN = 1.0, 0.0, -1.0


@dataclass(frozen=True)
class Classes:
    """label_ids: the classes, in the order of the taxonomy. class_of: label -> the class that its videos belong to.
    related: label -> indices of the classes that are its ancestors or descendants; below: those that are it or its descendants."""

    label_ids: tuple[str, ...]
    class_of: Mapping[str, int]
    related: Mapping[str, frozenset[int]]
    below: Mapping[str, frozenset[int]]


def choose_classes(
    taxonomy: Taxonomy, subtree_videos: Mapping[str, int], label_train_videos: Mapping[str, int], minimum_per_class: int
) -> Classes:
    """Which labels become classes.

    subtree_videos: label -> videos with a yes for it or a descendant. label_train_videos: label -> videos with a yes for exactly
    this label in split train; its keys and those of subtree_videos must be in the taxonomy.
    A label's videos go to the first of itself and its ancestors (nearest first) that has minimum_per_class videos, descendants
    counted; those without such an ancestor have no class. A class that gets no training video is dropped.
    """
    chosen: dict[str, str] = {}
    for label in taxonomy.ids:
        chain = [label, *taxonomy.ancestors(label)]
        home = next((c for c in chain if subtree_videos.get(c, 0) >= minimum_per_class), None)
        if home is not None:
            chosen[label] = home
    trained = {home for label, home in chosen.items() if label_train_videos.get(label, 0) > 0}
    label_ids = tuple(label for label in taxonomy.ids if label in trained)
    place = {label: i for i, label in enumerate(label_ids)}
    lineage = {label: {label, *taxonomy.ancestors(label)} for label in taxonomy.ids}
    below = {label: frozenset(i for c, i in place.items() if label in lineage[c]) for label in taxonomy.ids}
    above = {label: frozenset(i for c, i in place.items() if c in lineage[label]) for label in taxonomy.ids}
    return Classes(
        label_ids,
        {label: place[home] for label, home in chosen.items() if home in place},
        {label: (below[label] | above[label]) - {place.get(label, -1)} for label in taxonomy.ids},
        below,
    )


def targets_of(answers: Iterable[tuple[str, int]], classes: Classes) -> np.ndarray:
    """One video's targets, (c,) float32: 1 yes, 0 no, -1 unknown.

    answers: (label, 1 or 0). The tree is exclusive: a yes to a class means no to every class that is neither its ancestor nor its
    descendant; ancestors stay unknown, so that the loss does not set a class against its own parent. Descendants are unknown
    unless people said no. Of two yeses on one line the deeper one counts. A no to a label means no to all classes below it.
    """
    targets = np.full(len(classes.label_ids), UNKNOWN, np.float32)
    given = list(answers)
    yes = {classes.class_of[label] for label, answer in given if answer == 1 and label in classes.class_of}
    deepest = {i for i in yes if not (yes & classes.below[classes.label_ids[i]]) - {i}}
    if deepest:
        near = set().union(*(classes.related[classes.label_ids[i]] for i in deepest))
        targets[[i for i in range(len(targets)) if i not in near]] = NO
    above = {i for d in deepest for i in classes.related[classes.label_ids[d]] - classes.below[classes.label_ids[d]]}
    for label, answer in given:
        if answer == 0:
            targets[[i for i in classes.below.get(label, ()) if i not in above]] = NO
    targets[sorted(deepest)] = YES
    return targets


def teaches(targets: np.ndarray) -> bool:
    """Whether a row says something: a yes, or a no with something left open."""
    return bool((targets == YES).any() or ((targets == NO).any() and (targets == UNKNOWN).any()))
