"""What the tests under tests/faults are about, as they declare it themselves: the table of the README and the daily turns are made of it.

`python -m tests.faults.survived` prints the table.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

SECONDS_OF_A_TURN = 240  # of each day's share in `make test`, on two cores that do nothing else
_ELSEWHERE = ("tests.jobs.test_train",)  # tests beside what they test, run every time
_HEADING = ("what happens", "what the user sees", "what mends it")
_Test = TypeVar("_Test", bound=Callable[..., Any])


@dataclass(frozen=True)
class Fault:
    """A fault that a test plants: what happens, what the user sees of it, and what mends it, each in a few words of Markdown."""

    happens: str
    sees: str
    mends: str
    seconds: int


def survives(happens: str, *, sees: str, mends: str, seconds: int) -> Callable[[_Test], _Test]:
    """Declare which fault a test plants. seconds: how long it takes alone (with parameters: each), for daily turns of equal length."""

    def declared(test: _Test) -> _Test:
        test.fault = Fault(happens, sees, mends, seconds)  # type: ignore[attr-defined]
        return test

    return declared


def declared_faults() -> list[Fault]:
    """Every declared fault, in the order of files and lines."""
    names = [*_ELSEWHERE, *(f"tests.faults.{file.stem}" for file in sorted(Path(__file__).parent.glob("test_*.py")))]
    modules = [importlib.import_module(name) for name in names]
    return [test.fault for module in modules for test in vars(module).values() if hasattr(test, "fault")]


def table(faults: Iterable[Fault]) -> str:
    """The faults as a Markdown table."""
    rows = [_HEADING, ("---",) * 3, *((f.happens, f.sees, f.mends) for f in faults)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def turns(tests: Sequence[tuple[str, int]]) -> list[list[str]]:
    """Cut tests (name, seconds) into turns of at most SECONDS_OF_A_TURN, the longest first; one that takes longer is in none.

    Depends on the tests only, so that a date always has the same turn.
    """
    filled: list[tuple[int, list[str]]] = []
    for name, seconds in sorted(tests, key=lambda test: (-test[1], test[0])):
        if seconds > SECONDS_OF_A_TURN:
            continue
        at = next((i for i, (used, _) in enumerate(filled) if used + seconds <= SECONDS_OF_A_TURN), None)
        if at is None:
            filled.append((seconds, [name]))
        else:
            filled[at] = (filled[at][0] + seconds, [*filled[at][1], name])
    return [names for _, names in filled]


if __name__ == "__main__":
    print(table(declared_faults()), end="")
