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
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs import build_training_set, train
from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.errors import RegistryError
from reelhouse.lake import Lake
from reelhouse.lake.fingerprint import fingerprint
from reelhouse.pipeline import Pipeline
from reelhouse.sources import reading
from reelhouse.video import extract
from reelhouse.video.isolation import ATTEMPTS
from tests.deliveries import deliver, text_rows
from tests.faults.killing import CHECKOUT, rows_of, run_jobs
from tests.faults.survived import survives
from tests.jobs.small_lake import SmallLake
from tests.turns import FAULTS, in_turn
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


TOLD = "a Python worker process of Spark was killed or crashed. If it happens again, see whether the machine ran out of memory"


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
        assert any(text.startswith(f"ingest {DAY} failed ({TOLD}") and text.endswith("trying again") for text in said)
        run_jobs(spark, root, calm / "deliveries", DAY, JOBS)
        assert rows_of(Lake(spark, str(root))) == rows_of(Lake(spark, str(calm / "calm")))


def deliver_videos(folder: Path, lengths: dict[str, int]) -> dict[Path, str]:
    """Deliver videos of so many frames, of pixels enough to be looked at for a while; returns their files."""
    videos = folder / str(DAY) / "videos"
    videos.mkdir(parents=True, exist_ok=True)
    for name, length in lengths.items():
        write_video(videos / f"{name}.mp4", [level(k % 250, 640, 480) for k in range(length)])
    rows = [{"video_id": name, "title": f"video {name}", "file": f"videos/{name}.mp4"} for name in lengths]
    deliver(folder, DAY, rows)
    return {videos / f"{name}.mp4": name for name in lengths}


def worker_dies_beside_its_decoder(monkeypatch: pytest.MonkeyPatch, mark: Path) -> None:
    """The first Python worker that has read a video asks its decoder for it once more and kills itself. The mark holds both processes."""

    def reader_of(settings, *, mark):
        import os
        import signal
        from contextlib import suppress
        from pathlib import Path
        from types import SimpleNamespace

        from reelhouse.video.extract import _reader

        def read(*asked):
            reader = _reader(settings)
            found = reader.read(*asked)
            with suppress(FileExistsError):
                Path(mark).touch(exist_ok=False)
                reader._connection.send(asked)
                Path(mark).write_text(f"{os.getpid()} {reader._process.pid}")
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return SimpleNamespace(read=read)

    monkeypatch.setattr(extract, "_reader", partial(reader_of, mark=str(mark)))


@in_turn(FAULTS, seconds=45)
def test_a_python_worker_killed_beside_its_decoder_costs_a_second_try_and_leaves_no_process(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    deliver_videos(tmp_path / "deliveries", dict.fromkeys("abcd", 50))
    run_jobs(spark, tmp_path / "calm", tmp_path / "deliveries", DAY, ["ingest", "extract"])
    worker_dies_beside_its_decoder(monkeypatch, tmp_path / "mark")
    values = {"sources.deliveries": str(tmp_path / "deliveries"), "spark.master": "local[2]", "storage.root": str(tmp_path / "w")}
    said: list[str] = []
    lake = Lake(spark, str(tmp_path / "w"))
    outcomes = Pipeline(settings_module.load(values=values), lake, said.append).run_day(DAY, ["ingest", "extract"])
    worker, decoder = map(int, (tmp_path / "mark").read_text().split())
    assert [outcome.status for outcome in outcomes] == ["succeeded", "succeeded"]
    assert any(text.startswith(f"extract {DAY} failed ({TOLD}") and text.endswith("trying again") for text in said)
    assert rows_of(lake) == rows_of(Lake(spark, str(tmp_path / "calm")))
    until = time.monotonic() + 60
    while not (has_ended(worker) and has_ended(decoder)):
        assert time.monotonic() < until
        time.sleep(0.1)


def has_ended(pid: int) -> bool:
    """Also where nobody asks how: it is a zombie then."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class DecoderKiller(threading.Thread):
    """Sends the process that reads videos a signal whenever it has a certain file open. SIGSEGV is what a file does that crashes the
    decoder, SIGALRM what the kernel does where it takes too long."""

    def __init__(self, signals: dict[Path, int]) -> None:
        super().__init__(daemon=True)
        self.signals, self.done = {str(file): number for file, number in signals.items()}, threading.Event()
        self.killed: dict[str, set[int]] = {Path(file).stem: set() for file in self.signals}

    def run(self) -> None:
        while not self.done.wait(0.005):
            for process in psutil.process_iter(["cmdline"]):
                if any("reelhouse.video.isolation" in word for word in process.info["cmdline"] or ()):
                    self._look_at(process)

    def _look_at(self, process: psutil.Process) -> None:
        try:
            for file in self.signals.keys() & {found.path for found in process.open_files()}:
                process.send_signal(self.signals[file])
                self.killed[Path(file).stem].add(process.pid)
        except psutil.Error:
            return  # it ended meanwhile


@survives(
    "a video crashes the decoder, or the decoder never comes back from it",
    seconds=30,
    sees="the video in `ops.quarantine`, rule `crashed_decoder` or `too_slow`; the others as ever",
    mends="deliver the video again, encoded anew",
)
def test_a_video_that_crashes_the_decoder_is_refused_and_the_others_are_not(spark: SparkSession, tmp_path: Path):
    files = deliver_videos(tmp_path / "deliveries", {"a": 12, "bad": 400, "c": 12, "endless": 400})
    ways = {"bad": signal.SIGSEGV, "endless": signal.SIGALRM}
    killer = DecoderKiller({file: ways[name] for file, name in files.items() if name in ways})
    killer.start()
    try:
        run_jobs(spark, tmp_path / "w", tmp_path / "deliveries", DAY, ["ingest", "extract"])
    finally:
        killer.done.set()
        killer.join()
    lake = Lake(spark, str(tmp_path / "w"))
    assert {name: len(pids) for name, pids in killer.killed.items()} == {"bad": ATTEMPTS, "endless": 1}
    assert {row.video_id for row in lake.read(tables.VIDEOS).collect()} == {"a", "c"}
    refused = {row.video_id: row for row in lake.read(tables.QUARANTINE).collect()}
    assert {name: row.rule for name, row in refused.items()} == {"bad": "crashed_decoder", "endless": "too_slow"}
    assert "bad.mp4 was ended by SIGSEGV, 2 times. Re-encode it and deliver it again" in refused["bad"].reason
    others = rows_of_videos(lake, "a", "c")
    deliver_videos(tmp_path / "deliveries", {"a": 12, "bad": 40, "c": 12, "endless": 40})
    run_jobs(spark, tmp_path / "w", tmp_path / "deliveries", DAY, ["ingest", "extract"])
    lake = Lake(spark, str(tmp_path / "w"))
    assert {row.video_id for row in lake.read(tables.VIDEOS).collect()} == {"a", "bad", "c", "endless"}
    assert lake.read(tables.QUARANTINE).isEmpty()
    assert rows_of_videos(lake, "a", "c") == others


def rows_of_videos(lake: Lake, *names: str) -> dict[str, tuple[int, str]]:
    """Row count and hash of what was read of these videos."""
    return {
        table.name: fingerprint(table, lake.read(table).where(F.col("video_id").isin(*names)), inexact=True)
        for table in (tables.VIDEOS, tables.FRAMES, tables.FEATURES)
    }


@survives(
    "every Spark executor is killed as a table is committed",
    seconds=100,
    sees="nothing: Spark starts others and computes what was lost",
    mends="nothing is needed",
)
def test_killed_executors_are_replaced_and_the_day_ends_well(spark: SparkSession, calm: Path, tmp_path: Path):
    command = [sys.executable, "-m", "tests.faults.cluster_run", str(tmp_path / "w"), str(calm / "deliveries"), str(DAY), "2", *JOBS]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=1200, check=False)
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
        self.killed_at = 0.0

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
        family = [*self.process.children(recursive=True), self.process] if self.process.is_running() else []
        self.killed_at = time.monotonic()
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, timeout=60)
        self.process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@survives(
    "the MLflow server is killed before or while a model is registered",
    seconds=120,
    sees="`the MLflow server at http://… (models.uri) does not answer`, within a minute",
    mends="start it, then the same command: training goes on from its checkpoint",
)
def test_a_killed_mlflow_server_is_named_soon_and_a_rerun_registers_the_model_once(spark: SparkSession, tmp_path: Path, server: Server):
    lake = SmallLake(spark, tmp_path / "w", models__uri=server.uri, training__epochs=6).plant(40)
    lake.do(build_training_set)

    def gone(action) -> None:
        with pytest.raises(RegistryError, match=rf"the MLflow server at {server.uri} \(models.uri\) does not answer: start it or correct"):
            action()
        assert time.monotonic() - server.killed_at < 60

    server.kill()
    gone(lambda: train.inputs(lake.run("train")))
    server.start()
    # while the model is registered: its file is there and its run is finished, its version is not there yet
    registry, real = lake.services.registry, lake.services.registry._client.create_model_version

    def killed_in_between(*args, **kwargs):
        server.kill()
        real(*args, **kwargs)

    registry._client.create_model_version = killed_in_between
    gone(lambda: lake.do(train))
    del registry._client.create_model_version
    assert [text.split(":")[0] for text in lake.said if text.startswith("epoch")] == [f"epoch {n}" for n in range(1, 7)]
    lake.said.clear()
    server.start()
    lake.do(train)
    assert [text for text in lake.said if text.startswith("epoch")] == [], "the last checkpoint is of the last epoch"
    version = registry.version_of_alias("candidate")
    assert version is not None
    assert registry.exists(version)
    assert [v.tags["model_version"] for v in registry._versions()] == [version]
    assert [r.info.status for r in registry._runs(version)] == ["FINISHED"]
