"""Commands as a person types them, in the tests' own process and Spark session: a process of its own takes seconds to start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from reelhouse import cli

Type = Callable[..., Result]


def typing_in(folder: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Type:
    """A function that runs `reelhouse ...` in a folder; an error that `main` would show as a sentence is raised."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(type(spark), "stop", lambda session: None)  # the session is the tests', not the command's

    def type_(*words: str, code: int = 0) -> Result:
        done = CliRunner().invoke(cli.app, words)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, done.output[-3000:]
        return done

    return type_
