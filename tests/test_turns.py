"""What `make test` runs of the long tests: a turn a date, short enough, and every test in one; and the README's table of faults."""

from __future__ import annotations

import datetime as dt
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.survived import declared_faults, table
from tests.turns import BEGUN, DATE, FAULTS, JOBS, SECONDS_OF_A_TURN, TESTS, WHOLE_DAYS, chosen, declaration, left_out, turns

README = Path(__file__).resolve().parents[1] / "README.md"
LONG = [("killed[a]", 170), ("killed[b]", 170), ("disk", 50), ("clock", 30), ("race", 900), ("worker", 30)]


def test_turns_are_short_and_hold_every_test_that_is_short_enough_once():
    parts = turns(LONG, 240)
    seconds = dict(LONG)
    assert all(sum(seconds[name] for name in part) <= 240 for part in parts)
    assert sorted(name for part in parts for name in part) == ["clock", "disk", "killed[a]", "killed[b]", "worker"]
    assert turns(LONG[::-1], 240) == parts


def test_every_turn_comes_within_as_many_days_as_there_are_turns_and_a_date_always_has_the_same():
    first, parts = dt.date(2026, 1, 1), turns(LONG, 240)
    shown = [chosen(LONG, 240, str(first + dt.timedelta(days=n))) for n in range(len(parts))]
    assert sorted(map(sorted, shown)) == sorted(map(sorted, parts))
    assert chosen(LONG, 240, "0") == set(parts[0])
    assert chosen(LONG, 240, "all") == {name for name, _ in LONG}
    assert chosen(LONG, 240, "none") == chosen([], 240, "all") == chosen([], 240, "3") == set()


def test_what_is_named_runs_each_pool_has_a_turn_of_its_own_and_the_variable_overrules_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(TESTS.parent)
    monkeypatch.delenv("REELHOUSE_TURN", raising=False)
    monkeypatch.setenv(DATE, str(dt.date.fromordinal(4)))
    disk, day = TESTS / "faults" / "test_disk.py", TESTS / "airflow" / "test_day.py"
    long = [("a", disk, FAULTS, 200), ("b", disk, FAULTS, 190), ("c", day, WHOLE_DAYS, 400), ("d", day, WHOLE_DAYS, 300)]
    assert left_out(long, []) == left_out(long, ["tests"]) == left_out(long, ["."]) == ({"b", "d"}, {"a", "c"})
    assert left_out(long, ["tests/faults"]) == left_out(long, ["tests/faults/test_disk.py::test_x"]) == ({"d"}, {"c"})
    assert left_out(long, ["tests/airflow", "tests/jobs"]) == ({"b"}, {"a"})
    monkeypatch.setenv("REELHOUSE_TURN", "1")
    assert left_out(long, []) == left_out(long, ["tests/faults"]) == ({"a", "c"}, set())
    monkeypatch.setenv("REELHOUSE_TURN", "all")
    assert left_out(long, []) == (set(), set())
    monkeypatch.setenv("REELHOUSE_TURN", "none")
    assert left_out(long, ["tests/airflow"]) == ({"a", "b", "c", "d"}, set())


def test_a_long_test_takes_turns_alone_and_the_tests_of_a_long_file_together(pytester: pytest.Pytester, request: pytest.FixtureRequest):
    alone, one, other = pytester.getitems(
        """
        from tests.turns import FAULTS, WHOLE_DAYS, in_turn
        TURN = (WHOLE_DAYS, 120)
        @in_turn(FAULTS, seconds=7)
        def test_alone(): pass
        def test_one(): pass
        def test_other(): pass
        """
    )
    assert declaration(alone) == (alone.nodeid, FAULTS, 7)
    assert declaration(one) == declaration(other) == (str(one.path), WHOLE_DAYS, 120)
    assert declaration(request.node) == (request.node.nodeid, "", 0)


@pytest.mark.parametrize(("minutes", "passed", "skipped"), [(29, 4, 0), (31, 2, 2)])
def test_long_tests_come_last_and_do_not_begin_late(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, minutes: int, passed: int, skipped: int
):
    monkeypatch.delenv("REELHOUSE_TURN", raising=False)
    monkeypatch.setenv(BEGUN, str(time.time() - 60 * minutes))
    monkeypatch.setenv(DATE, "2026-01-01")
    pytester.makeconftest("from tests.conftest import pytest_collection_modifyitems, pytest_configure, pytest_runtest_setup")
    pytester.makepyfile(
        test_a="TURN = ('faults', 9)\ndef test_one(): pass",
        test_b="TURN = ('jobs', 9)\ndef test_two(): pass",
        test_c="def test_three(): pass",
        test_pipeline="def test_four(): pass",
    )
    ran = pytester.runpytest_inprocess("-v", "-p", "no:cacheprovider")
    ran.assert_outcomes(passed=passed, skipped=skipped)
    places = [ran.stdout.str().index(name) for name in ("test_four", "test_three", "test_two", "test_one")]
    assert places == sorted(places)


def test_every_job_is_in_every_turn():
    modules = [importlib.import_module(f"tests.jobs.{file.stem}") for file in sorted((TESTS / "jobs").glob("test_*.py"))]
    seconds = [module.TURN[1] for module in modules if getattr(module, "TURN", ("",))[0] == JOBS]
    assert len(seconds) >= 2
    assert sum(seconds) <= SECONDS_OF_A_TURN[JOBS]


def test_make_faults_runs_what_is_declared_in_other_folders_too():
    """Each of them is there, and a name that pytest takes."""
    asked = "python -m tests.faults.survived --elsewhere"
    assert f"pytest tests/faults $$($(VENV)/{asked}) " in (TESTS.parent / "Makefile").read_text(encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{TESTS.parent}/libs"}
    said = subprocess.run(
        [sys.executable, *asked.split()[1:]], cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == [
        "tests/jobs/test_train.py::test_a_training_whose_rank_was_killed_registers_nothing_and_goes_on_from_its_checkpoint",
        "tests/vectors/test_server.py::"
        "test_a_server_that_is_killed_is_a_named_error_and_after_its_restart_searches_go_on_and_the_load_is_made_again",
    ]


def test_the_table_of_faults_in_the_readme_is_what_the_tests_declare():
    """`python -m tests.faults.survived` prints it."""
    assert table(declared_faults()) in README.read_text(encoding="utf-8")
