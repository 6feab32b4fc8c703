"""What became of labels: renames, merges and retirements, each from a day on, and the tree as it was on any day.

Events keep the id that people answered by; `Taxonomy.follow` says what it stands for. The file lies beside the tree, as
<tree>.migrations.yml beside <tree>.yml:

    labels:                                            # cut out of the tree as they were; a rename's or merge's target is new there
      - {id: food.bakery, parent: food, name: 烘焙店}     # stood where its target stands
      - {id: pets.kittens, parent: pets, name: 小猫, after: pets.cats}          # elsewhere: the label that stood above it in the file
      - {id: tech.drones, parent: tech, name: 无人机, after: tech}              # (`after: null` if it was the first)
    steps:                                             # in order; a step counts for its day (UTC) and those after it
      - {date: 2026-03-01, rename: food.bakery, to: food.baking}
      - {date: 2026-04-01, merge: [pets.cats, pets.kittens], into: pets.cats}   # a target that was there before is among them
      - {date: 2026-05-01, retire: tech.drones, into: tech}                     # without `into`: answers to it count no more

So the tree of a day before a step is the tree that the file held before the step was written, in its order: its version, on which that
day's rows and a model's classes rest, is the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import yaml

from reelhouse.errors import TaxonomyError
from reelhouse.labels.taxonomy import Definition, Move, Taxonomy, read_definitions, tree_problems

SUFFIX = ".migrations.yml"
Kind = Literal["rename", "merge", "retire"]
_TARGET: Mapping[Kind, str] = {"rename": "to", "merge": "into", "retire": "into"}
_SPLIT = (
    "a label can't be split: nobody knows which of the new ones an old answer means. Keep it above the new ones, or retire it into the "
    "label above; its videos are then asked about again where people answer gold.label_queue"
)


@dataclass(frozen=True)
class Step:
    """sources: ids that are labels no longer from the date on, but for a merge's target that was there before. target: what they became."""

    date: dt.date
    kind: Kind
    sources: tuple[str, ...]
    target: str | None

    @property
    def gone(self) -> list[str]:
        return [label_id for label_id in self.sources if label_id != self.target]

    @property
    def is_new(self) -> bool:
        """Whether its target was no label before it."""
        return self.target is not None and self.kind != "retire" and self.target not in self.sources


class LabelHistory:
    """A tree, the labels that it held once, and the steps from one to the other."""

    def __init__(
        self,
        task: str,
        tree: Iterable[Definition],
        former: Iterable[Definition],
        after: Mapping[str | None, str | None],
        steps: Iterable[Step],
    ) -> None:
        """tree: as it is after all steps; former: as `labels` of the file, after: of those that name one, the label above; all already
        checked, use `load_taxonomy`."""
        self._task, self._tree = task, list(tree)
        self._former, self._above = {row[0]: row for row in former}, dict(after)
        self._steps = list(steps)
        self._built: dict[int, Taxonomy] = {}

    def after(self, steps: int) -> Taxonomy:
        """The tree after so many steps. A label whose only change was its parent has today's on all days."""
        if steps not in self._built:
            self._built[steps] = Taxonomy(self._task, self.definitions_after(steps), self._moves(steps))
            self._built[steps].history = partial(self._as_of, steps)
        return self._built[steps]

    def _as_of(self, steps: int, date: dt.date) -> Taxonomy:
        """The tree as of the end of a day (UTC), of the first so many steps: those of later days have not happened."""
        return self.after(sum(step.date <= date for step in self._steps[:steps]))

    def definitions_after(self, steps: int) -> list[Definition]:
        rows = list(self._tree)
        for step in reversed(self._steps[steps:]):
            rows = self._before(step, rows)
        return rows

    def _before(self, step: Step, rows: list[Definition]) -> list[Definition]:
        """The tree before a step, from the tree after it: what went comes back to its place, and above what is below a new target."""
        if step.is_new:
            place = next(i for i, row in enumerate(rows) if row[0] == step.target)
            back = [self._former[label_id] for label_id in step.gone if label_id not in self._above]
            rows = [*rows[:place], *back, *rows[place + 1 :]]
            rows = [(one, step.sources[0] if parent == step.target else parent, name, also) for one, parent, name, also in rows]
        for label_id in step.gone:
            if label_id in self._above:
                rows.insert(self._place(label_id, [row[0] for row in rows]), self._former[label_id])
        return rows

    def _place(self, label_id: str, ids: list[str]) -> int:
        """Where a label stood: below the one above it or, where that went before it, below the one above that."""
        above, passed = self._above[label_id], {label_id}
        while above is not None and above not in ids:
            if above in passed or above not in self._above:
                raise TaxonomyError(
                    f"label {label_id!r} stood after {self._above[label_id]!r}, which is not in the tree before {label_id!r} went: write "
                    "`after:` the label that stood above it then"
                )
            passed.add(above)
            above = self._above[above]
        return 0 if above is None else ids.index(above) + 1

    def _moves(self, steps: int) -> dict[str, Move]:
        moves: dict[str, Move] = {}
        for number, step in enumerate(self._steps[:steps]):
            before = self.after(number)
            for label_id in step.gone:
                _, _, name, aliases = self._former[label_id]
                moves[label_id] = Move(step.target, step.kind != "rename", step.date, (before.path(label_id), name, *aliases))
            for label_id, move in moves.items():
                if move.to in step.gone:
                    moves[label_id] = Move(step.target, move.is_part or step.kind != "rename", step.date, move.words)
        return moves


def load_taxonomy(path: Path | str) -> Taxonomy:
    """The tree of a YAML file with the migrations beside it, all in force; its `as_of` gives the tree of a day.

    Raises TaxonomyError that lists every problem of the tree, or else of the migrations.
    """
    tree = Taxonomy.load(path)
    file = Path(path).with_suffix(SUFFIX)
    if not file.exists():
        return tree
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none, such as 2026-02-30
        raise TaxonomyError(f"the migrations {file} can't be read: {error}") from error
    try:
        return with_migrations(tree, content)
    except TaxonomyError as error:
        raise TaxonomyError(f"{file}: {error}") from error


def with_migrations(tree: Taxonomy, content: Any) -> Taxonomy:
    """The tree with the steps that `content` (what the migrations file holds) describes, all in force."""
    if not isinstance(content, Mapping) or not isinstance(content.get("steps"), list) or not isinstance(content.get("labels", []), list):
        raise TaxonomyError("migrations must hold `steps:` and, of labels that the tree no longer holds, `labels:`")
    problems = [f"there is no key {key!r} (known: labels, steps)" for key in sorted(map(str, set(content) - {"labels", "steps"}))]
    entries = content.get("labels") or []
    after = {_id(one.get("id")): _id(one["after"]) for one in entries if isinstance(one, Mapping) and "after" in one}
    entries = [{key: one[key] for key in one if key != "after"} if isinstance(one, Mapping) else one for one in entries]
    former = read_definitions(entries, problems)
    steps = [step for number, entry in enumerate(content["steps"], 1) if (step := _step(number, entry, problems))]
    problems = problems or _step_problems(tree, former, steps) + _place_problems(after, steps)
    history = LabelHistory(tree.task, tree.definitions, former, after, steps)
    for number in range(len(steps) - 1, -1, -1):
        if not problems:
            problems = [f"the tree before step {number + 1}: {one}" for one in tree_problems(history.definitions_after(number))]
    if problems:
        raise TaxonomyError("the migrations are broken:\n  " + "\n  ".join(problems))
    return history.after(len(steps))


def _step(number: int, entry: Any, problems: list[str]) -> Step | None:
    where = f"step {number}"
    if isinstance(entry, Mapping) and "split" in entry:
        problems.append(f"{where}: {_SPLIT}")
        return None
    kinds: list[Kind] = [kind for kind in _TARGET if isinstance(entry, Mapping) and kind in entry]
    if len(kinds) != 1:
        problems.append(f"{where} must be {{date, rename, to}}, {{date, merge: [...], into}} or {{date, retire, into?}}, got {entry!r}")
        return None
    kind = kinds[0]
    date, sources, target = entry.get("date"), entry[kind], entry.get(_TARGET[kind])
    found = [f"there is no key {key!r} with {kind}" for key in sorted(map(str, set(entry) - {"date", kind, _TARGET[kind]}))]
    if type(date) is not dt.date:
        found.append(f"`date` must be a day such as 2026-03-01, without quotes, got {date!r}")
    sources = sources if kind == "merge" else [sources]
    if not isinstance(sources, list) or not all(isinstance(one, str) and one for one in sources) or len(set(sources)) < len(sources):
        found.append(
            f"`{kind}` must name {'different labels by their ids' if kind == 'merge' else 'one label by its id'}, got {entry[kind]!r}"
        )
    elif kind == "merge" and len(sources) < 2:
        found.append("`merge` names all labels that become one, the target too if it was there before; for a single new name use `rename`")
    if not (isinstance(target, str) and target) and not (kind == "retire" and target is None):
        found.append(f"`{_TARGET[kind]}` must be the id of a label, got {target!r}")
    problems += [f"{where}: {one}" for one in found]
    return None if found else Step(date, kind, tuple(sources), target)


def _step_problems(tree: Taxonomy, former: list[Definition], steps: list[Step]) -> list[str]:
    """Days out of order, labels that are not there, that were there already, or that come back."""
    problems = []
    listed = [row[0] for row in former]
    gone_at = {label_id: number for number, step in enumerate(steps, 1) for label_id in reversed(step.gone)}
    problems += [f"label {one!r} is listed twice" for one in dict.fromkeys(listed) if listed.count(one) > 1]
    problems += [f"label {one!r} is listed, but the tree holds it: cut it out there" for one in listed if one in tree]
    problems += [f"label {one!r} is listed, but no step moves it" for one in listed if one not in gone_at]
    seen: set[str] = set()  # ids that a step before has moved
    for number, step in enumerate(steps, 1):
        where = f"step {number} ({step.date})"
        if number > 1 and step.date < steps[number - 2].date:
            problems.append(f"{where}: its day is before that of the step before ({steps[number - 2].date}): steps are written in order")
        for label_id in step.gone:
            if label_id in seen:
                problems.append(f"{where}: {label_id!r} was moved by a step before")
            elif label_id in tree:
                problems.append(f"{where}: {label_id!r} is in the tree still: cut it out there and list it under `labels`")
            elif label_id not in listed:
                problems.append(f"{where}: {label_id!r} is not listed: write it under `labels` as it was in the tree")
        target = step.target
        if target is not None:
            if target in seen or target in step.gone:
                problems.append(f"{where}: {target!r} was moved before: a label that went can't come back; give it another id")
            elif target not in tree and gone_at.get(target, 0) <= number:
                problems.append(f"{where}: {target!r} is no label of the tree")
            elif step.is_new and any(target in (*other.sources, other.target) for other in steps[: number - 1]):
                problems.append(
                    f"{where}: {target!r} was there before: write merge: [{', '.join((*step.sources, target))}], into: {target}"
                )
            elif step.kind == "retire" and any(other.is_new and other.target == target for other in steps[number:]):
                problems.append(f"{where}: {target!r} is a label from a later step on only")
        seen |= set(step.gone)
    return problems


def _id(value: Any) -> str | None:
    return None if value is None else str(value).strip()


def _place_problems(after: Mapping[str | None, str | None], steps: list[Step]) -> list[str]:
    """Labels whose place in the tree is not known: of a day before they went, the order would be another one."""
    problems = []
    for number, step in enumerate(steps, 1):
        for label_id in step.gone if not step.is_new else []:
            if label_id not in after:
                problems.append(
                    f"step {number} ({step.date}): where did {label_id!r} stand? Write `after: ID` with it, the label that stood above it "
                    "in the tree's file, or `after: null` if it was the first"
                )
    return problems
