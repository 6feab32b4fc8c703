"""Processes beside the one that runs a day, killed at work: what the user is told, and that the rows are those of a calm day."""

from __future__ import annotations

import datetime as dt
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from pyspark.sql import SparkSession

from jobs import build_training_set, train
from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.errors import RegistryError
from reelhouse.lake import Lake
from reelhouse.pipeline import Pipeline
from reelhouse.sources import reading
from reelhouse.video.isolation import ATTEMPTS
from tests.deliveries import deliver, text_rows
from tests.faults.killing import CHECKOUT, rows_of, run_jobs
from tests.faults.survived import survives
from tests.jobs.small_lake import SmallLake
from tests.video.made_videos import level, write_video

DAY = dt.date(2026, 1, 1)
JOBS = ["ingest", "extract", "clean_text", "import_labels", "fold_labels"]


@pytest.fixture(scope="module")
def calm(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the delivery of a day of six texts, and `calm`, its lake."""
    folder = tmp_path_factory.mktemp("processes")
    deliver(folder / "deliveries", DAY, text_rows(DAY, 6))
    run_jobs(spark, folder / "calm", folder / "deliveries", DAY, JOBS)
    return folder


def workers_die(monkeypatch: pytest.MonkeyPatch, marks: Path, times: int) -> None:
    """The Python worker that reads a delivered file kills itself, the first so many times. The function is sent to the workers whole."""
    marks.mkdir()
    real = reading._read_files

    def dying(batches, *, marks, times, **more):
        import os
        import signal
        from pathlib import Path

        for n in range(times):
            mark = Path(marks) / str(n)
            if not mark.exists():
                mark.write_text(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGKILL)
        yield from real(batches, **more)

    monkeypatch.setattr(reading, "_read_files", partial(dying, marks=str(marks), times=times))


@survives(
    "a Python worker of Spark is killed",
    seconds=45,
    sees="`ingest … failed (a Python worker process of Spark was killed or crashed …); trying again`",
    mends="nothing is needed: the job tries again; where that fails too, the same command",
)
def test_a_killed_python_worker_is_named_and_costs_a_second_try_or_one_more_run(
    spark: SparkSession, calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    values = {"sources.deliveries": str(calm / "deliveries"), "spark.master": "local[2]"}
    for times, status in ((1, "succeeded"), (2, "failed")):
        root, said = tmp_path / str(times), []
        with monkeypatch.context() as patch:
            workers_die(patch, tmp_path / f"marks{times}", times)
            settings = settings_module.load(values=values | {"storage.root": str(root)})
            (outcome,) = Pipeline(settings, Lake(spark, str(root)), said.append).run_day(DAY, ["ingest"])
        killed = [int(mark.read_text()) for mark in (tmp_path / f"marks{times}").iterdir()]
        assert len(set(killed)) == times
        assert outcome.status == status
        told = "a Python worker process of Spark was killed or crashed. If it happens again, see whether the machine ran out of memory"
        assert any(text.startswith(f"ingest {DAY} failed ({told}") and text.endswith("trying again") for text in said)
        run_jobs(spark, root, calm / "deliveries", DAY, JOBS)
        assert rows_of(Lake(spark, str(root))) == rows_of(Lake(spark, str(calm / "calm")))


class DecoderKiller(threading.Thread):
    """Kills the process that reads videos whenever it has a certain file open: what a file does that crashes the decoder."""

    def __init__(self, file: Path) -> None:
        super().__init__(daemon=True)
        self.file, self.killed, self.done = str(file), set(), threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.005):
            for process in psutil.process_iter(["cmdline"]):
                if any("reelhouse.video.isolation" in word for word in process.info["cmdline"] or ()):
                    self._look_at(process)

    def _look_at(self, process: psutil.Process) -> None:
        try:
            if any(found.path == self.file for found in process.open_files()):
                process.kill()
                self.killed.add(process.pid)
        except psutil.Error:
            return  # it ended meanwhile


@survives(
    "a video crashes the decoder, or the decoder never comes back from it",
    seconds=30,
    sees="the video in `ops.quarantine`, rule `crashed_decoder` or `too_slow`; the others as ever",
    mends="deliver the video again, encoded anew",
)
def test_a_video_that_crashes_the_decoder_is_refused_and_the_others_are_not(spark: SparkSession, tmp_path: Path):
    videos = tmp_path / "deliveries" / str(DAY) / "videos"
    videos.mkdir(parents=True)
    files = {
        name: write_video(videos / f"{name}.mp4", [level(k % 250, 640, 480) for k in range(length)])
        for name, length in (("a", 12), ("bad", 400), ("c", 12))
    }
    rows = [{"video_id": name, "title": f"video {name}", "file": f"videos/{name}.mp4"} for name in files]
    deliver(tmp_path / "deliveries", DAY, rows)
    killer = DecoderKiller(files["bad"])
    killer.start()
    try:
        run_jobs(spark, tmp_path / "w", tmp_path / "deliveries", DAY, ["ingest", "extract"])
    finally:
        killer.done.set()
        killer.join()
    lake = Lake(spark, str(tmp_path / "w"))
    assert len(killer.killed) == ATTEMPTS
    assert {row.video_id for row in lake.read(tables.VIDEOS).collect()} == {"a", "c"}
    (refused,) = lake.read(tables.QUARANTINE).collect()
    assert (refused.video_id, refused.rule) == ("bad", "crashed_decoder")
    assert "bad.mp4 was ended by SIGKILL, 2 times. Re-encode it and deliver it again" in refused.reason


@survives(
    "every Spark executor is killed as a table is committed",
    seconds=100,
    sees="nothing: Spark starts others and computes what was lost",
    mends="nothing is needed",
)
def test_killed_executors_are_replaced_and_the_day_ends_well(spark: SparkSession, calm: Path, tmp_path: Path):
    command = [sys.executable, "-m", "tests.faults.cluster_run", str(tmp_path / "w"), str(calm / "deliveries"), str(DAY), "2", *JOBS]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    killed = [int(pid) for pid in re.findall(r"^killed (\d+)$", done.stdout, re.MULTILINE)]
    assert len(killed) == 2
    assert not any(psutil.pid_exists(pid) for pid in killed)
    assert rows_of(Lake(spark, str(tmp_path / "w"))) == rows_of(Lake(spark, str(calm / "calm")))


class Server:
    """`mlflow server` on loopback, in a folder of its own; started again it is the same server with the same models."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.uri = folder, f"http://127.0.0.1:{self.port}"
        self.process: psutil.Popen | None = None

    def start(self) -> None:
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}", "--artifacts-destination", str(self.folder / "artifacts"),
        ]  # fmt: skip
        environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.folder / "server.log").open("ab") as log:
            self.process = psutil.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        until = time.monotonic() + 300
        while not self._answers():
            assert time.monotonic() < until, (self.folder / "server.log").read_text()[-3000:]
            assert self.process.poll() is None, (self.folder / "server.log").read_text()[-3000:]
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is None:
            return
        family = [*self.process.children(recursive=True), self.process]
        for member in family:
            member.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, timeout=10)
        self.process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


@survives(
    "the MLflow server is killed before or while a model is registered",
    seconds=70,
    sees="`the MLflow server at http://… (models.uri) does not answer`, within a minute",
    mends="start it, then the same command: training goes on from its checkpoint",
)
def test_a_killed_mlflow_server_is_named_soon_and_a_rerun_registers_the_model_once(spark: SparkSession, tmp_path: Path, server: Server):
    lake = SmallLake(spark, tmp_path / "w", models__uri=server.uri, training__epochs=6).plant(40)
    lake.do(build_training_set)

    def gone(action) -> None:
        began = time.monotonic()
        with pytest.raises(RegistryError, match=rf"the MLflow server at {server.uri} \(models.uri\) does not answer: start it or correct"):
            action()
        assert time.monotonic() - began < 60

    server.kill()
    gone(lambda: train.inputs(lake.run("train")))
    server.start()
    # while the model is registered: its run is there, its version is not yet
    registry, real = lake.services.registry, lake.services.registry.register

    def killed_in_between(*args, **kwargs):
        server.kill()
        real(*args, **kwargs)

    registry.register = killed_in_between
    gone(lambda: lake.do(train))
    del registry.register
    server.start()
    lake.do(train)
    version = registry.version_of_alias("candidate")
    assert version is not None
    assert registry.exists(version)
    assert [v.tags["model_version"] for v in registry._versions()] == [version]
    assert [r.info.status for r in registry._runs(version)] == ["FINISHED"]
