"""Label trees: read from YAML, checked as a whole, and asked by id, name, alias or path.

Ids are stable and what tables hold; names and aliases are data that may change. A label that was renamed, merged or retired is known
by its old id still (reelhouse.labels.migrations). Nothing here reads a setting or a clock.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from reelhouse.errors import TaxonomyError

_SEPARATOR = re.compile(r"[/>]")
_EMPTY_PART = re.compile(r"^[/>\s]+|[/>\s]+$|[/>]\s*(?=[/>])")  # as in /a, a/ and a//b
_KEYS = {"id", "parent", "name", "aliases"}

Definition = tuple[str, str | None, str, tuple[str, ...]]  # id, parent id or None, name, aliases


@dataclass(frozen=True)
class Move:
    """What became of a label that the tree no longer holds. to: the id that its yes stands for now; None: its answers count no more.

    is_part: it was merged or retired into a wider label, of which its no says nothing. words: path, name and aliases that it had.
    """

    to: str | None
    is_part: bool
    date: dt.date
    words: tuple[str, ...]


class Taxonomy:
    """One label tree of one task.

    Build with `Taxonomy.load(path)` or `Taxonomy.from_dict(content)`; both raise TaxonomyError that lists every problem:
    an id twice, an unknown parent, a cycle, siblings that answer to the same name, missing or unknown keys.
    A name or alias that several labels carry is fine, but resolves only as part of a path (a root's path is its name).
    """

    def __init__(self, task: str, labels: Iterable[Definition], moves: Mapping[str, Move] | None = None) -> None:
        """labels: already checked; use `from_dict`. moves: labels that the tree held once, by id."""
        rows = list(labels)
        self.task = task
        self.definitions = tuple(rows)
        self.moves = dict(moves or {})
        self.history: Callable[[dt.date], Taxonomy] | None = None  # of a tree that was migrated: its trees of earlier days
        self.ids: list[str] = [label_id for label_id, *_ in rows]
        self._parent = {label_id: parent for label_id, parent, *_ in rows}
        self._name = {label_id: name for label_id, _, name, _ in rows}
        self._aliases = {label_id: aliases for label_id, _, _, aliases in rows}
        self._children: dict[str | None, list[str]] = {None: []}
        for label_id, parent, *_ in rows:
            self._children.setdefault(parent, []).append(label_id)
        self._words = {label_id: {_normal(word) for word in (label_id, name, *aliases)} for label_id, _, name, aliases in rows}
        self._by_id = {_normal(label_id): label_id for label_id in self.ids}
        self._by_word: dict[str, list[str]] = {}
        for label_id in self.ids:
            for word in sorted(self._words[label_id]):
                self._by_word.setdefault(word, []).append(label_id)
        self._size = dict.fromkeys(self.ids, 0)
        for label_id in self.ids:
            for above in (label_id, *self.ancestors(label_id)):
                self._size[above] += 1
        self._moved_words: dict[str, set[str]] = {}
        for old, move in self.moves.items():
            for word in {_normal(word) for word in (old, *move.words)}:
                self._moved_words.setdefault(word, set()).add(old)
        content: list[Any] = [task, [[label_id, parent, name, sorted(aliases)] for label_id, parent, name, aliases in rows]]
        if self.moves:
            content.append([[old, move.to, move.is_part] for old, move in sorted(self.moves.items())])
        self.version = hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:12]

    @classmethod
    def load(cls, path: Path | str) -> Taxonomy:
        """Read a tree from a YAML file: {task: category, labels: [{id, name, parent?, aliases?}, ...]}."""
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise TaxonomyError(f"the taxonomy {path} can't be read: {error}") from error
        try:
            return cls.from_dict(content)
        except TaxonomyError as error:
            raise TaxonomyError(f"{path}: {error}") from error

    @classmethod
    def from_dict(cls, content: Any) -> Taxonomy:
        """The tree that `content` (what the YAML file holds) describes."""
        if not isinstance(content, Mapping) or not isinstance(content.get("labels"), list) or not content["labels"]:
            raise TaxonomyError("a taxonomy must hold `task: NAME` and `labels:` with at least one {id, name}")
        problems = [f"there is no key {key!r} (known: labels, task)" for key in sorted(map(str, set(content) - {"task", "labels"}))]
        task = _text(content.get("task"))
        if not task:
            problems.append("`task` must be the name of the task, e.g. category")
        rows = read_definitions(content["labels"], problems)
        problems += tree_problems(rows)
        if problems:
            raise TaxonomyError("the taxonomy is broken:\n  " + "\n  ".join(problems))
        return cls(task, rows)

    @property
    def leaves(self) -> list[str]:
        """Ids without children, in the file's order."""
        return [label_id for label_id in self.ids if label_id not in self._children]

    @property
    def roots(self) -> list[str]:
        """Ids without a parent, in the file's order."""
        return list(self._children[None])

    def as_of(self, date: dt.date) -> Taxonomy:
        """The tree as of the end of a day (UTC), no later than this one; without migrations it is the same on all days."""
        return self.history(date) if self.history else self

    def __contains__(self, label_id: object) -> bool:
        return label_id in self._parent

    def parent(self, label_id: str) -> str | None:
        return self._parent[label_id]

    def children(self, label_id: str) -> list[str]:
        return list(self._children.get(label_id, []))

    def name(self, label_id: str) -> str:
        return self._name[label_id]

    def follow(self, label_id: str) -> str | None:
        """The id that a label's yes stands for: its own, or of what it became; None if the tree holds neither."""
        if label_id in self._parent:
            return label_id
        move = self.moves.get(label_id)
        return move.to if move else None

    def is_part(self, label_id: str) -> bool:
        """Whether the label became a part of a wider one: a no to it is no no to that."""
        return label_id not in self._parent and label_id in self.moves and self.moves[label_id].is_part

    def former_ids(self, label_id: str) -> list[str]:
        """Ids of the labels that became this one, sorted."""
        return sorted(old for old, move in self.moves.items() if move.to == label_id)

    def size(self, label_id: str) -> int:
        """Labels of the branch: the label and all below it."""
        return self._size[label_id]

    def aliases(self, label_id: str) -> tuple[str, ...]:
        """Other words for the label, as they were written."""
        return self._aliases[label_id]

    def ancestors(self, label_id: str) -> list[str]:
        """Ids above a label, nearest first."""
        above, parent = [], self._parent[label_id]
        while parent is not None:
            above.append(parent)
            parent = self._parent[parent]
        return above

    def path(self, label_id: str) -> str:
        """Names from the root down, joined by a slash: 美食/烘焙."""
        return "/".join(self._name[part] for part in [*reversed(self.ancestors(label_id)), label_id])

    def rows(self) -> list[tuple[str, str, str | None, str, str, list[str], int, bool, str, list[str]]]:
        """Rows of silver.taxonomy (without data_date), in the file's order."""
        return [
            (
                self.task, label_id, self._parent[label_id], self._name[label_id], self.path(label_id), self.ancestors(label_id),
                len(self.ancestors(label_id)), label_id not in self._children, self.version, self.former_ids(label_id),
            )
            for label_id in self.ids
        ]  # fmt: skip

    def resolve(self, text: str | None) -> str | None:
        """The id that an id, name, alias or full path (joined by / or >) means; None if none, or more than one, does.

        Compared after Unicode NFKC, trimming and case folding, without empty parts of a path; nothing is guessed. What only a label
        that is there no more is called means its former id, for `follow`; of several that became one label, that of the last to go.
        """
        word = _word(text)
        if not word:
            return None
        if word in self._by_id:
            return self._by_id[word]
        labels = self._by_word.get(word, [])
        found = self._walk(None, word) or (labels[0] if len(labels) == 1 else None)
        if found or labels:
            return found
        former = [old for old in self.moves if old in self._moved_words.get(word, ())]  # in the order in which they went
        became = {self.moves[old].to for old in former}
        return former[-1] if len(became) == 1 and None not in became else None

    def retired(self, text: str | None) -> tuple[str, Move] | None:
        """(id, what became of it) of the one label that is called so and whose answers count no more."""
        found = [(old, self.moves[old]) for old in sorted(self._moved_words.get(_word(text), ()))]
        return found[0] if len(found) == 1 and found[0][1].to is None else None

    def nearest(self, text: str | None, count: int = 3) -> list[str]:
        """Paths of the labels whose name, alias or path look most like `text`, best first: for messages, not for decisions."""
        word = _normal(text or "")
        known = dict(self._by_word)
        for label_id in self.ids:
            known.setdefault(_normal(self.path(label_id)), [label_id])
        words = [word, _SEPARATOR.split(word)[-1].strip()] if word else []
        found: dict[str, None] = {}
        for wanted in words:
            for match in get_close_matches(wanted, known, n=count, cutoff=0.5):
                found.update({self.path(label_id): None for label_id in known[match]})
        return list(found)[:count]

    def _walk(self, parent: str | None, rest: str) -> str | None:
        """Follow a path below `parent`; a name may itself hold a separator, so every cut is tried."""
        for child in self._children.get(parent, []):
            if rest in self._words[child]:
                return child
            for cut in _SEPARATOR.finditer(rest):
                if rest[: cut.start()].strip() in self._words[child]:
                    found = self._walk(child, rest[cut.end() :].strip())
                    if found:
                        return found
        return None


def taxonomy_from_paths(paths: Iterable[str | None], task: str) -> dict[str, Any]:
    """The content of a taxonomy file for category paths such as "食品/烘焙" (joined by / or >).

    Each prefix of a path becomes a label; its id is a hash of that prefix, so that the same path has the same id in every
    build, whatever else is listed. Empty paths and empty parts are left out. Labels come sorted by path.
    Raises TaxonomyError if no path is left.
    """
    prefixes: set[tuple[str, ...]] = set()
    for path in paths:
        parts = tuple(part.strip() for part in _SEPARATOR.split(path or "") if part.strip())
        prefixes.update(parts[:depth] for depth in range(1, len(parts) + 1))
    if not prefixes:
        raise TaxonomyError("no category path was given: a taxonomy needs at least one")
    first: dict[tuple[str, ...], tuple[str, ...]] = {}  # spellings that differ by case or width only are one label
    for prefix in sorted(prefixes):
        first.setdefault(tuple(_normal(part) for part in prefix), prefix)
    labels = []
    for folded, prefix in first.items():
        label: dict[str, Any] = {"id": _path_id(folded), "name": prefix[-1]}
        if len(folded) > 1:
            label["parent"] = _path_id(folded[:-1])
        labels.append(label)
    return {"task": task, "labels": labels}


def _path_id(folded: tuple[str, ...]) -> str:
    return "c" + hashlib.sha256("/".join(folded).encode()).hexdigest()[:10]


def read_definitions(entries: Iterable[Any], problems: list[str]) -> list[Definition]:
    """Entries {id, name, parent?, aliases?} of a YAML file; what is wrong with one is added to problems."""
    rows = (_label(number, entry, problems) for number, entry in enumerate(entries, 1))
    return [row for row in rows if row]


def tree_problems(rows: list[Definition]) -> list[str]:
    """What is wrong with labels as a tree: ids twice, unknown parents, cycles; siblings of one name."""
    return _structure_problems(rows) or _sibling_problems(rows)


def _word(text: str | None) -> str:
    return _EMPTY_PART.sub("", _normal(text or "")).strip()


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().casefold()


def _text(value: Any) -> str:
    """A YAML scalar as text; empty if it is no text or number (`name: no` is read as false by YAML and must be quoted)."""
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _label(number: int, entry: Any, problems: list[str]) -> Definition | None:
    if not isinstance(entry, Mapping):
        problems.append(f"label {number} must be {{id, name, parent?, aliases?}}, got {entry!r}")
        return None
    unknown = sorted(map(str, set(entry) - _KEYS))
    label_id, name = _text(entry.get("id")), _text(entry.get("name"))
    where = f"label {number} ({label_id or 'no id'})"
    if unknown:
        problems.append(f"{where}: there is no key {', '.join(unknown)} (known: aliases, id, name, parent)")
    if not label_id or not name:
        problems.append(f"{where}: `id` and `name` must both be text (quote words like no, yes, 1.0)")
        return None
    aliases = entry.get("aliases") or []
    if not isinstance(aliases, list) or not all(_text(alias) for alias in aliases):
        problems.append(f"{where}: `aliases` must be a list of texts, got {aliases!r}")
        aliases = []
    parent = entry.get("parent")
    return label_id, None if parent is None else _text(parent), name, tuple(_text(alias) for alias in aliases)


def _structure_problems(rows: list[Definition]) -> list[str]:
    """Ids twice, unknown parents, cycles."""
    problems, seen = [], set()
    for label_id, *_ in rows:
        if _normal(label_id) in seen:
            problems.append(f"the id {label_id!r} is there twice")
        seen.add(_normal(label_id))
    parents = {label_id: parent for label_id, parent, *_ in rows}
    for label_id, parent in parents.items():
        if parent is not None and parent not in parents:
            problems.append(f"{label_id!r} has the unknown parent {parent!r}")
    done: set[str] = set()
    for start in parents:
        trail: list[str] = []
        here: str | None = start
        while here is not None and here in parents and here not in done and here not in trail:
            trail.append(here)
            here = parents[here]
        if here in trail:
            cycle = trail[trail.index(here) :]
            problems.append(f"a cycle of parents: {' -> '.join([*cycle, cycle[0]])}")
        done.update(trail)
    return problems


def _sibling_problems(rows: list[Definition]) -> list[str]:
    """Siblings that answer to the same word: then not even a path tells them apart."""
    owners: dict[tuple[str | None, str], str] = {}
    problems = []
    for label_id, parent, name, aliases in rows:
        for word in dict.fromkeys(_normal(word) for word in (label_id, name, *aliases)):
            owner = owners.setdefault((parent, word), label_id)
            if owner != label_id:
                problems.append(f"{owner!r} and {label_id!r} have the same parent and both answer to {word!r}")
    return problems
