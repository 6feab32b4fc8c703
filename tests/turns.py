"""Which of the long tests run: those whose file or folder is named, else the turn of the date (`make test`).

A long test is declared by `in_turn`; a file whose tests share what takes long says `TURN = (pool, seconds)`, and they run together.
REELHOUSE_TURN overrules that: `all`, `none`, or the number of a turn. Three pools take turns beside each other: faults, whole days, and
the jobs whose tests take longest, all of which are in every turn. They come last, and on a slow machine those that would begin after
MINUTES are skipped: they are run by name, by `all`, or on a faster machine.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

TESTS = Path(__file__).resolve().parent
FAULTS, WHOLE_DAYS, JOBS = "faults", "whole days", "jobs"
SECONDS_OF_A_TURN = {JOBS: 1200, WHOLE_DAYS: 440, FAULTS: 200}  # of each pool's share of a day, in the order in which they run
MINUTES = 30  # after which no long test begins; `make test` is to end in 40
DATE, BEGUN = "REELHOUSE_TURN_DATE", "REELHOUSE_TURN_BEGUN"  # set by tests/conftest.py: the same for every worker of a run
IF_TIME_IS_LEFT = pytest.StashKey[bool]()
_Test = TypeVar("_Test", bound=Callable[..., Any])


def in_turn(pool: str, *, seconds: int) -> Callable[[_Test], _Test]:
    """Declare that a test is not run every time. seconds: how long it takes alone (with parameters: each)."""

    def declared(test: _Test) -> _Test:
        test.turn = (pool, seconds)  # type: ignore[attr-defined]
        return test

    return declared


def declaration(item: pytest.Item) -> tuple[str, str, int]:
    """(name, pool, seconds) of what a test takes turns with: itself or its file; the pool is empty if it is run every time."""
    own, of_file = getattr(getattr(item, "function", None), "turn", None), getattr(getattr(item, "module", None), "TURN", None)
    if own is None and of_file is not None:
        return str(item.path), *of_file
    return item.nodeid, *(own or ("", 0))


def turns(tests: Iterable[tuple[str, int]], most: float) -> list[list[str]]:
    """Cut tests (name, seconds) into turns of at most so many seconds, the longest first; one that takes longer is in none.

    Depends on the tests and the seconds only, so that a date always has the same turn.
    """
    filled: list[tuple[int, list[str]]] = []
    for name, seconds in sorted(tests, key=lambda test: (-test[1], test[0])):
        if seconds > most:
            continue
        at = next((i for i, (used, _) in enumerate(filled) if used + seconds <= most), None)
        if at is None:
            filled.append((seconds, [name]))
        else:
            filled[at] = (filled[at][0] + seconds, [*filled[at][1], name])
    return [names for _, names in filled]


def chosen(tests: Sequence[tuple[str, int]], most: float, asked: str) -> set[str]:
    """Names of the tests (name, seconds) of one pool that run. asked: all, none, the number of a turn, or a date."""
    if asked in ("all", "none"):
        return {name for name, _ in tests} if asked == "all" else set()
    parts = turns(tests, most)
    number = int(asked) if asked.isdigit() else dt.date.fromisoformat(asked).toordinal()
    return set(parts[number % len(parts)]) if parts else set()


def left_out(tests: Iterable[tuple[str, Path, str, int]], arguments: Sequence[str]) -> tuple[set[str], set[str]]:
    """Of those tests (name, file, pool, seconds), where pytest was given the arguments: which don't run, and which run if time is left."""
    asked = os.environ.get("REELHOUSE_TURN")
    named = [Path(argument.split("::")[0]).resolve() for argument in arguments]
    pools: dict[str, list[tuple[str, int]]] = {}
    spared = set()
    for name, file, pool, seconds in tests:
        if not asked and any(path == file or (path in file.parents and TESTS in path.parents) for path in named):
            spared.add(name)
        pools.setdefault(pool, []).append((name, seconds))
    kept = {name for pool, of_pool in pools.items() for name in chosen(of_pool, SECONDS_OF_A_TURN[pool], asked or os.environ[DATE])}
    gone = {name for of_pool in pools.values() for name, _ in of_pool} - kept - spared
    return gone, set() if asked else kept - spared


def begin(item: pytest.Item) -> None:
    """Skips a test that runs only if time is left, where none is."""
    minutes = (time.time() - float(os.environ[BEGUN])) / 60
    if item.stash.get(IF_TIME_IS_LEFT, False) and minutes > MINUTES:
        pytest.skip(f"{minutes:.0f} minutes of tests have passed, so it is left to a faster machine; REELHOUSE_TURN=all runs it")
