"""Mistakes at the prompt, and how the program names itself; none of it starts Spark."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reelhouse import cli, show
from reelhouse.errors import ReelhouseError, SettingsError, StorageError

BACKWARDS = ("--from", "2026-01-05", "--to", "2026-01-02")


def mistake(*words: str) -> ReelhouseError:
    error = CliRunner().invoke(cli.app, list(words)).exception
    assert isinstance(error, ReelhouseError), error
    return error


@pytest.mark.parametrize("command", [("daily",), ("replay", "--into", "fresh")])
def test_days_that_end_before_they_begin_run_nothing(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = mistake(*command, *BACKWARDS)
    assert isinstance(error, SettingsError)
    assert str(error) == "--from 2026-01-05 is after --to 2026-01-02: no day lies between them"
    assert list(tmp_path.iterdir()) == []


def test_half_a_backfill_and_a_date_that_is_none_are_named():
    assert "wants --from and --to" in str(mistake("daily", "--from", "2026-01-05"))
    assert "got '5 January'" in str(mistake("daily", "--date", "5 January"))


@pytest.mark.parametrize(
    "words",
    [("daily", "--date"), ("job", "train", "--date"), ("daily", "--from", "2026-01-05", "--to"), ("models", "promote", "m", "--date")],
)
def test_a_day_to_come_is_neither_run_nor_decided_on(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(mistake(*words, "2262-01-05")).startswith("2262-01-05 is in the future (today is ")
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_is_no_yaml_is_named_by_any_command():
    assert "--set 'vectors.token=@x': the value is no YAML" in str(mistake("settings", "--set", "vectors.token=@x"))


def test_a_label_tree_that_can_not_be_written_is_named(tmp_path):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("video_id,category\na,food/noodles\n")
    error = mistake("taxonomy", "build", str(manifest), "--into", str(tmp_path / "missing" / "x.yml"))
    assert isinstance(error, StorageError)
    assert f"can't be written to {tmp_path}/missing/x.yml: No such file or directory. Make its folder" in str(error)


def test_a_sample_too_small_is_refused():
    done = CliRunner().invoke(cli.app, ["sample", "--videos", "3"])
    assert done.exit_code == 2
    assert "greater than or equal to 12" in " ".join(done.output.split())


def test_the_program_names_itself_as_it_can_be_called_again(tmp_path: Path, monkeypatch, capsys):
    script = tmp_path / ".venv" / "bin" / "reelhouse"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script), "daily"])
    monkeypatch.setenv("PATH", "/bin")
    assert show.program() == ".venv/bin/reelhouse"
    monkeypatch.chdir("/")
    assert show.program() == str(script).removeprefix("/")
    monkeypatch.chdir("/usr")
    assert show.program() == str(script)
    monkeypatch.setenv("PATH", f"/bin:{script.parent}")
    assert show.program() == "reelhouse"
    monkeypatch.setattr(sys, "argv", ["pytest"])
    assert show.program() == "reelhouse"


def test_the_help_says_what_the_program_is_for_and_which_variables_it_reads():
    told = " ".join(CliRunner().invoke(cli.app, ["--help"]).output.replace("│", " ").split())
    assert "Understand short videos, day by day: take them in, choose what to label" in told
    assert "call one function" not in told
    for name in ("REELHOUSE_CACHE: folder of", "REELHOUSE_CONF_DIR: folder with", "REELHOUSE_ENVIRONMENT: file that"):
        assert name in told
