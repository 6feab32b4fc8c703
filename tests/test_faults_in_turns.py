"""What `make test` runs of the faults: a turn a date, short enough, and every fault in one; and the README's table of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tests.faults.conftest import _asked_for, chosen
from tests.faults.survived import SECONDS_OF_A_TURN, declared_faults, table, turns

README = Path(__file__).resolve().parents[1] / "README.md"
TESTS = [("killed[a]", 170), ("killed[b]", 170), ("disk", 50), ("clock", 30), ("race", 900), ("worker", 30)]


def test_turns_are_short_and_hold_every_test_that_is_short_enough_once():
    parts = turns(TESTS)
    seconds = dict(TESTS)
    assert all(sum(seconds[name] for name in part) <= SECONDS_OF_A_TURN for part in parts)
    assert sorted(name for part in parts for name in part) == ["clock", "disk", "killed[a]", "killed[b]", "worker"]
    assert turns(TESTS[::-1]) == parts


def test_every_turn_comes_within_as_many_days_as_there_are_turns_and_a_date_always_has_the_same():
    first = dt.date(2026, 1, 1)
    shown = [chosen(TESTS, str(first + dt.timedelta(days=n))) for n in range(len(turns(TESTS)))]
    assert sorted(map(sorted, shown)) == sorted(map(sorted, turns(TESTS)))
    assert chosen(TESTS, "0") == set(turns(TESTS)[0])
    assert chosen(TESTS, "all") == {name for name, _ in TESTS}
    assert chosen(TESTS, "none") == chosen([], "all") == chosen([], "3") == set()


def test_naming_the_folder_or_a_file_of_it_runs_all_and_the_variable_overrules_that(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(README.parent)
    monkeypatch.delenv("REELHOUSE_FAULTS", raising=False)
    monkeypatch.setenv("REELHOUSE_FAULTS_DAY", "2026-01-02")
    assert _asked_for(["tests/faults"]) == _asked_for(["tests/faults/test_time.py::test_x"]) == "all"
    assert _asked_for(["tests"]) == _asked_for([]) == "2026-01-02"
    monkeypatch.setenv("REELHOUSE_FAULTS", "3")
    assert _asked_for(["tests/faults"]) == _asked_for(["tests"]) == "3"


def test_the_table_of_faults_in_the_readme_is_what_the_tests_declare():
    """`python -m tests.faults.survived` prints it."""
    assert table(declared_faults()) in README.read_text(encoding="utf-8")
