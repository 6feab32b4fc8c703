"""What several people's answers are worth: Dawid and Skene's model with one number a person, and what it makes of a video's answers.

Source: A. P. Dawid and A. M. Skene, Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm, Applied Statistics
28, 1979. Departures:
- A person has one number, the probability of being right (`one-coin`), instead of a whole matrix of confusions: few people answer
  a video and labels are many. On simulated people, 2 to 5 answers a video and 10 to 40 labels, the whole matrix was sure of what is wrong
  (10 to 20 % of what it settled at 0.9), where one number gave fewer errors than a vote at the same number of settled videos.
- Any label of the tree, or none of them, is equally likely to be the truth. A label is right if it is the truth or above it; a wrong
  one is as likely as any other wrong one of its size, and a label's size is that of its branch. A no is right or wrong, nothing else.
- The probability has a Beta prior, so that somebody with few answers counts like everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reelhouse.labels.taxonomy import Taxonomy

# Beta prior of being right: mean 0.8, worth five answers
_PRIOR_RIGHT, _PRIOR_WRONG = 4.0, 1.0
_PRIOR = _PRIOR_RIGHT / (_PRIOR_RIGHT + _PRIOR_WRONG)
_ROUNDS_MAX = 100
_TOLERANCE = 1e-6
_DIGITS = 4  # a reliability is rounded, so that the last bits of a sum settle no label


@dataclass(frozen=True)
class Stance:
    """What one person says of a video, all in all: the label that it has (None: no word of that), and labels that it has not."""

    annotator_id: str
    choice: str | None
    noes: tuple[str, ...] = ()

    def is_right(self, truth: str | None, tree: Taxonomy) -> bool:
        """truth: None stands for a label that nobody spoke of."""
        line = set() if truth is None else {truth, *tree.ancestors(truth)}
        return (self.choice is None or self.choice in line) and line.isdisjoint(self.noes)


@dataclass(frozen=True)
class Reliability:
    """probability: of being right. answers: videos that it was learned from."""

    probability: float
    answers: int


def posterior(stances: Sequence[Stance], reliabilities: Mapping[str, Reliability], tree: Taxonomy) -> dict[str | None, float]:
    """How likely it is that a label is the truth: each label that anybody spoke of (and nothing spoken of below it), and None for the rest.

    Whoever is not in `reliabilities` counts by the prior alone.
    """
    truths = _truths(stances, tree)
    known = [reliabilities[s.annotator_id].probability if s.annotator_id in reliabilities else _PRIOR for s in stances]
    logs = []
    for truth, size in truths:
        log = np.log(size)
        for stance, right in zip(stances, known, strict=True):
            log += np.log(right) if stance.is_right(truth, tree) else np.log((1 - right) * _wrong_share(stance, tree))
        logs.append(log)
    weights = np.exp(np.array(logs) - max(logs))
    return {truth: float(weight) for (truth, _), weight in zip(truths, weights / weights.sum(), strict=True)}


def learn_reliabilities(videos: Iterable[Sequence[Stance]], tree: Taxonomy) -> dict[str, Reliability]:
    """How reliable each person is, from videos that several answered; the order of videos does not matter to four digits.

    Expectation maximisation: what is the truth, by who is how reliable; who was how often right, by what is the truth. In memory: two
    numbers for each stance and each label spoken of in its video.
    """
    videos = list(videos)
    people = sorted({stance.annotator_id for stances in videos for stance in stances})
    if not people:
        return {}
    place = {name: i for i, name in enumerate(people)}
    grid = _Grid.of(videos, place, tree)
    answers = np.bincount([place[stance.annotator_id] for stances in videos for stance in stances], minlength=len(people))
    probability = np.full(len(people), _PRIOR)
    for _ in range(_ROUNDS_MAX):
        truth = grid.truth(probability)
        right = np.bincount(grid.person, truth[grid.cell] * grid.right, minlength=len(people))
        better = (right + _PRIOR_RIGHT) / (answers + _PRIOR_RIGHT + _PRIOR_WRONG)
        moved, probability = np.abs(better - probability).max(), better
        if moved < _TOLERANCE:
            break
    return {name: Reliability(round(float(p), _DIGITS), int(n)) for name, p, n in zip(people, probability, answers, strict=True)}


@dataclass(frozen=True)
class _Grid:
    """Every truth that a video may have (a cell: its video, its log size), and for each stance on it: cell, person, whether it is right
    there, and the log of what a wrong one shares its probability with."""

    video: np.ndarray
    size: np.ndarray
    cell: np.ndarray
    person: np.ndarray
    right: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, videos: Sequence[Sequence[Stance]], place: Mapping[str, int], tree: Taxonomy) -> _Grid:
        cells: list[tuple[int, float]] = []
        stands: list[tuple[int, int, bool, float]] = []
        for number, stances in enumerate(videos):
            shares = [float(np.log(_wrong_share(stance, tree))) for stance in stances]
            for truth, size in _truths(stances, tree):
                for stance, share in zip(stances, shares, strict=True):
                    stands.append((len(cells), place[stance.annotator_id], stance.is_right(truth, tree), share))
                cells.append((number, float(np.log(size))))
        of_video, sizes = (np.array(column) for column in zip(*cells, strict=True))
        cell, person, is_right, of_wrong = (np.array(column) for column in zip(*stands, strict=True))
        return cls(of_video, sizes, cell, person, is_right, of_wrong)

    def truth(self, probability: np.ndarray) -> np.ndarray:
        """How likely each cell is the truth of its video, (cells,)."""
        p = probability[self.person]
        log = self.size + np.bincount(self.cell, np.where(self.right, np.log(p), np.log1p(-p) + self.share), minlength=len(self.size))
        first = np.flatnonzero(np.r_[True, self.video[1:] != self.video[:-1]])
        weights = np.exp(log - np.maximum.reduceat(log, first)[self.video])
        shared: np.ndarray = weights / np.add.reduceat(weights, first)[self.video]
        return shared


def _truths(stances: Sequence[Stance], tree: Taxonomy) -> list[tuple[str | None, int]]:
    """(label, how many labels it stands for): those spoken of, each without what is spoken of below it, and None for all others."""
    spoken = sorted({label for s in stances for label in ([s.choice] if s.choice else []) + list(s.noes)})
    size: dict[str | None, int] = {None: len(tree.ids) + 1}
    size |= {label: tree.size(label) for label in spoken}
    own = dict(size)
    for label in spoken:
        above = next((one for one in tree.ancestors(label) if one in size), None)
        own[above] -= size[label]
    return list(own.items())


def _wrong_share(stance: Stance, tree: Taxonomy) -> float:
    """Of being wrong, the part that falls on this very choice: its branch among all labels. A no has nothing to share."""
    return tree.size(stance.choice) / len(tree.ids) if stance.choice else 1.0
