"""Which faults are tested: all where tests/faults is named (`make faults`), else the turn of the date (`make test`).

REELHOUSE_FAULTS overrules that: `all`, `none`, or the number of a turn.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.survived import turns

HERE = Path(__file__).resolve().parent
DAY_CHOSEN = "REELHOUSE_FAULTS_DAY"  # set by tests/conftest.py


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mine = [item for item in items if HERE in item.path.parents]
    kept = chosen([(item.nodeid, _seconds(item)) for item in mine], _asked_for(config.args))
    gone = [item for item in mine if item.nodeid not in kept]
    items[:] = [item for item in items if item not in gone]
    config.hook.pytest_deselected(items=gone)


def chosen(tests: Sequence[tuple[str, int]], asked: str) -> set[str]:
    """Names of the tests (name, seconds) that run. asked: all, none, the number of a turn, or a date."""
    if asked in ("all", "none"):
        return {name for name, _ in tests} if asked == "all" else set()
    parts = turns(tests)
    number = int(asked) if asked.isdigit() else dt.date.fromisoformat(asked).toordinal()
    return set(parts[number % len(parts)]) if parts else set()


def _asked_for(arguments: Sequence[str]) -> str:
    named = [Path(argument.split("::")[0]).resolve() for argument in arguments]
    if any(path == HERE or HERE in path.parents for path in named):
        return os.environ.get("REELHOUSE_FAULTS") or "all"
    return os.environ.get("REELHOUSE_FAULTS") or os.environ[DAY_CHOSEN]


def _seconds(item: pytest.Item) -> int:
    """A test that declares no fault tests the tests themselves: quick, and in every turn's reckoning."""
    fault = getattr(getattr(item, "function", None), "fault", None)
    return fault.seconds if fault else 1
