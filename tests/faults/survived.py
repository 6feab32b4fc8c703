"""What the tests under tests/faults are about, as they declare it themselves: the table of the README is made of it.

`python -m tests.faults.survived` prints the table; with `--elsewhere`, the tests of it that lie in other folders, as pytest takes them.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.turns import FAULTS, in_turn

_ELSEWHERE = ("tests.jobs.test_train", "tests.vectors.test_server")  # tests beside what they test
_HEADING = ("what happens", "what the user sees", "what mends it")
_Test = TypeVar("_Test", bound=Callable[..., Any])


@dataclass(frozen=True)
class Fault:
    """A fault that a test plants: what happens, what the user sees of it, and what mends it, each in a few words of Markdown."""

    happens: str
    sees: str
    mends: str

    @property
    def words(self) -> str:
        """What the user sees between the first backticks, as a regular expression."""
        return ".*".join(map(re.escape, self.sees.split("`")[1].split("…")))


def survives(happens: str, *, sees: str, mends: str, seconds: int | None) -> Callable[[_Test], _Test]:
    """Declare which fault a test plants. seconds: how long it takes alone (with parameters: each), see tests/turns.py; None: it is run
    every time."""

    def declared(test: _Test) -> _Test:
        test.fault = Fault(happens, sees, mends)  # type: ignore[attr-defined]
        return test if seconds is None else in_turn(FAULTS, seconds=seconds)(test)

    return declared


def declared_faults() -> list[Fault]:
    """Every declared fault, in the order of files and lines."""
    names = [*_ELSEWHERE, *(f"tests.faults.{file.stem}" for file in sorted(Path(__file__).parent.glob("test_*.py")))]
    modules = [importlib.import_module(name) for name in names]
    return [test.fault for module in modules for test in vars(module).values() if hasattr(test, "fault")]


def elsewhere() -> list[str]:
    """Node ids of the declared tests that are not in this folder."""
    modules = [importlib.import_module(name) for name in _ELSEWHERE]
    found = [
        (module.__name__.replace(".", "/"), name) for module in modules for name, test in vars(module).items() if hasattr(test, "fault")
    ]
    return [f"{file}.py::{name}" for file, name in found]


def table(faults: Iterable[Fault]) -> str:
    """The faults as a Markdown table."""
    rows = [_HEADING, ("---",) * 3, *((f.happens, f.sees, f.mends) for f in faults)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    print(*elsewhere()) if sys.argv[1:] == ["--elsewhere"] else print(table(declared_faults()), end="")
