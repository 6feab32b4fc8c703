"""`reelhouse schedule submit`: the printed line is run by a shell on two executor processes that do not know the package."""

from __future__ import annotations

import datetime as dt
import os
import shlex
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from reelhouse.errors import NotFoundError, SettingsError
from reelhouse.lake import Lake
from reelhouse.replay import compare
from tests.deliveries import deliver, text_rows
from tests.pipeline.test_cluster import python_of_a_cluster
from tests.schedule.shell import shelled
from tests.turns import WHOLE_DAYS, in_turn
from tests.typed import typing_in

DAY = dt.date(2026, 1, 1)


def on_a_cluster(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    python = folder / "bare" / "python"
    environ = os.environ | {"PYSPARK_PYTHON": str(python if python.exists() else python_of_a_cluster(folder / "bare"))}
    return shelled(line, environ)


@in_turn(WHOLE_DAYS, seconds=140)
def test_a_job_on_executors_writes_the_rows_that_it_writes_here_and_its_failure_is_the_lines(
    tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
):
    typed = typing_in(tmp_path, spark, monkeypatch)
    deliveries = tmp_path / "it's in"
    deliver(deliveries, DAY, text_rows(DAY, 12))
    source = ("--date", str(DAY), "--set", f'sources.deliveries="{deliveries}"')
    typed("job", "ingest", *source, "--root", "here")
    shutil.copytree("here", "on the 'cluster'")
    typed("job", "clean_text", *source, "--root", "here")
    cluster = ("--root", str(tmp_path / "on the 'cluster'"), "--set", "spark.master=local-cluster[2,1,1024]", "--into", "the pack's")
    line = typed("schedule", "submit", "clean_text", *source, *cluster).stdout
    done = on_a_cluster(line, tmp_path)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    compared = {c.table: c for c in compare(Lake(spark, "here"), Lake(spark, str(tmp_path / "on the 'cluster'")), DAY, DAY)}
    assert [c for c in compared.values() if not c.same] == []
    assert compared["silver.video_text"].rows == 12
    failing = typed("schedule", "submit", "ingest", "--date", str(DAY), *cluster).stdout
    failed = on_a_cluster(failing, tmp_path)
    assert failed.returncode == SettingsError.exit_code, failed.stderr[-3000:]
    assert "no source is set" in failed.stdout


def test_the_line_holds_the_settings_and_the_archive(tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch):
    typed = typing_in(tmp_path, spark, monkeypatch)
    (tmp_path / "own.yml").write_text("spark: {master: yarn, extra: {spark.executor.instances: '20'}}")
    words = shlex.split(typed("schedule", "submit", "extract", "--date", "2026-01-02", "--conf", "own.yml", "--into", "pack").stdout)
    begin = next(n for n, word in enumerate(words) if word.endswith("/spark-submit"))
    options, start = words[begin + 1 :], str(tmp_path / "pack" / "reelhouse_job.py")
    end = options.index(start)
    given = list(zip(options[:end:2], options[1:end:2], strict=True))
    assert ("--master", "yarn") in given
    assert ("--conf", "spark.executor.instances=20") in given
    assert ("--conf", "spark.executorEnv.PYTHONPATH=reelhouse-package") in given
    (archive,) = [value for name, value in given if name == "--archives"]
    address, _, unpacked = archive.partition("#")
    assert unpacked == "reelhouse-package"
    names = zipfile.ZipFile(address.removeprefix("file://")).namelist()
    assert {"reelhouse/__init__.py", "reelhouse/lake/session.py", "jobs/extract.py"} <= set(names)
    assert options[end:] == [start, "job", "extract", "--date", "2026-01-02", "--conf", str(tmp_path / "own.yml")]
    with pytest.raises(NotFoundError, match="there is no job 'nothing'; there are: ingest"):
        typed("schedule", "submit", "nothing", "--date", "2026-01-02")
    monkeypatch.setenv("KEY", "sesame")
    secret = ("--set", "spark.extra={spark.hadoop.fs.s3a.secret.key: '${KEY}'}")
    with pytest.raises(SettingsError, match=r"spark\.hadoop\.fs\.s3a\.secret\.key would be printed: put it into the cluster's own"):
        typed("schedule", "submit", "extract", "--date", "2026-01-02", *secret)
    with pytest.raises(SettingsError, match="always given its date"):
        typed("schedule", "submit", "extract")
