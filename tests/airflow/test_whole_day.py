"""A whole day of real jobs through Airflow, in each version: the same rows as `reelhouse daily`."""

from __future__ import annotations

import datetime as dt
import json
import shlex
import socketserver
import sys
import threading
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from pyspark.sql import SparkSession

from reelhouse import cli, tables
from reelhouse.errors import ReelhouseError
from reelhouse.lake import Lake
from reelhouse.pipeline import load_jobs
from reelhouse.replay import compare
from tests.airflow.installed import VERSIONS, airflow
from tests.deliveries import deliver, text_rows
from tests.typed import typing_in

DAY = dt.date(2026, 1, 1)
VIDEOS = 48
# In processes of their own, as every job is in earnest: the first one, one that trains in processes, and one that opens the Milvus
# Lite file. The others are run by the same command in the tests' process, which has a Spark session.
OWN_PROCESS = ("ingest", "train", "load_vectors")
PROGRAM = Path(sys.prefix) / "bin" / "reelhouse"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Path:
    """A day's delivery, settings, and in `daily` the day as `reelhouse daily` made it."""
    folder = tmp_path_factory.mktemp("a day's")
    deliver(folder / "deliveries", DAY, text_rows(DAY, VIDEOS))
    settings = {
        "sources": {"deliveries": str(folder / "deliveries")},
        "spark": {"master": "local[2]"},
        "training": {"epochs": 3, "ranks": 1, "launcher": "torch"},
    }
    (folder / "the settings.yml").write_text(yaml.safe_dump(settings))
    with pytest.MonkeyPatch.context() as patch:
        typing_in(folder, spark, patch)("daily", "--date", str(DAY), "--conf", "the settings.yml", "--root", "daily")
    return folder


class _Resident(socketserver.StreamRequestHandler):
    """Runs the command whose words come in one line, and answers with its exit status and output."""

    def handle(self) -> None:
        done = CliRunner().invoke(cli.app, json.loads(self.rfile.readline()))
        error = done.exception
        status = error.exit_code if isinstance(error, ReelhouseError) else done.exit_code
        output = done.output + ("" if error is None or isinstance(error, SystemExit) else repr(error))
        self.wfile.write(json.dumps({"status": status, "output": output}).encode() + b"\n")


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_a_day_through_airflow_gives_the_rows_of_daily(
    version: str, folder: Path, tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
):
    installed = airflow(version, tmp_path)
    root = folder / f"airflow {version}"
    typing_in(folder, spark, monkeypatch)  # the tests' session outlives each job
    with socketserver.TCPServer(("127.0.0.1", 0), _Resident) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = installed.dags_test(
            "2026-01-02",
            AIRFLOW_VAR_REELHOUSE_COMMAND=shlex.join([sys.executable, str(Path(__file__).with_name("forwarded.py"))]),
            AIRFLOW_VAR_REELHOUSE_CONF=str(folder / "the settings.yml"),
            AIRFLOW_VAR_REELHOUSE_ROOT=str(root),
            RESIDENT=str(server.server_address[1]),
            OWN_PROCESS=" ".join(OWN_PROCESS),
            PROGRAM=str(PROGRAM),
        )
        server.shutdown()
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    lake = Lake(spark, str(root))
    assert {r.job for r in lake.read(tables.RUNS).collect()} == {job.name for job in load_jobs()}
    compared = list(compare(Lake(spark, str(folder / "daily")), lake, DAY, DAY))
    assert [c for c in compared if not c.same] == []
    assert {"silver.video_text", "gold.label_noise", "gold.training_examples", "gold.embeddings", "ops.serving"} <= {
        c.table for c in compared
    }
