"""Two runs of a date at once, and what whoever is on call hears of a run that fails or is late: the commands, as they are typed."""

from __future__ import annotations

import datetime as dt
import json
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml
from pyspark.sql import SparkSession

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.cli import running
from reelhouse.cli.options import open_lake
from reelhouse.errors import LateError, LockedError, QuarantineLimitError
from reelhouse.lake import Lake
from reelhouse.pipeline import Pipeline, load_jobs
from reelhouse.settings import Settings
from tests.deliveries import deliver, text_rows
from tests.newcomer import REELHOUSE
from tests.typed import Type, typing_in

DAY = dt.date(2026, 1, 1)


@pytest.fixture
def typed(tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Type:
    return typing_in(tmp_path, spark, monkeypatch)


def pipeline_at(tmp_path: Path, spark: SparkSession, minutes: float) -> tuple[Pipeline, list[str]]:
    deliver(tmp_path / "deliveries", DAY, text_rows(DAY, 3))
    values = {
        "storage.root": str(tmp_path / "w"), "sources.deliveries": str(tmp_path / "deliveries"), "runs.when_locked": "wait",
        "runs.wait_minutes": minutes,
    }  # fmt: skip
    said: list[str] = []
    return Pipeline(settings_module.load(values=values), Lake(spark, str(tmp_path / "w")), said.append), said


def test_a_second_run_of_a_date_waits_for_the_first_where_it_may(tmp_path: Path, spark: SparkSession):
    pipeline, said = pipeline_at(tmp_path, spark, 5)
    held, over = threading.Event(), threading.Event()

    def first_run() -> None:
        with pipeline.lake.lock(f"run-{DAY}"):  # another object on the same path, as another process has
            held.set()
            over.wait(60)

    threading.Thread(target=first_run).start()
    assert held.wait(60)
    threading.Timer(1.5, over.set).start()
    assert [o.status for o in pipeline.run_day(DAY, ["ingest"])] == ["succeeded"]
    assert said[0] == f"another run is at work on {DAY} in {tmp_path / 'w'}; waiting for it, 5 minutes at most (runs.wait_minutes)"
    assert pipeline.lake.read(tables.VIDEO_ARRIVALS).count() == 3


def test_it_waits_no_longer_than_it_may(tmp_path: Path, spark: SparkSession):
    pipeline, _ = pipeline_at(tmp_path, spark, 0.005)
    with (
        pipeline.lake.lock(f"run-{DAY}"),
        pytest.raises(LockedError, match=f"another run is at work on {DAY} in .* after 0.005 minutes; wait for it to end"),
    ):
        pipeline.run_day(DAY, ["ingest"])


@contextmanager
def of_one_job(settings: Settings) -> Iterator[Pipeline]:
    """A pipeline that takes in and does nothing more."""
    with open_lake(settings) as lake:
        yield Pipeline(settings, lake, print, [job for job in load_jobs() if job.name == "ingest"])


def told(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def targets(path: Path) -> tuple[str, ...]:
    """Options by which both alerts are appended to a file; the command lies in a settings file, where its quotes are safe."""
    code = f"import sys; open('{path}', 'a', encoding='utf-8').write(sys.stdin.read() + chr(10))"
    command = shlex.join([sys.executable, "-c", code])
    conf = path.with_suffix(".yml")
    conf.write_text(yaml.safe_dump({"alerts": {"on_failure": command, "on_late": command}}), encoding="utf-8")
    return ("--conf", str(conf))


def test_a_failed_job_is_told_with_its_cause_and_the_next_step_and_has_its_own_exit_status(tmp_path: Path, typed: Type):
    rows = text_rows(DAY, 6)
    for n, row in enumerate(rows):
        row["published_at"] = "yesterday" if n < 4 else "2026-01-01T08:00:00Z"
    deliver(tmp_path / "deliveries", DAY, rows)
    words = ("job", "ingest", "--date", str(DAY), "--root", "w", "--set", "sources.deliveries=deliveries")
    strict = ("--set", "storage.quarantine_rows_free=0")
    done = typed(*words, *strict, *targets(tmp_path / "told"), code=QuarantineLimitError.exit_code)
    assert "QuarantineLimitError" in done.output
    (alert,) = told(tmp_path / "told")
    assert (alert["kind"], alert["date"], alert["root"]) == ("failed", str(DAY), str(tmp_path / "w"))
    assert alert["text"].startswith(
        f"{DAY} failed: ingest. QuarantineLimitError: bronze.video_arrivals for {DAY}: 4 of 6 rows were refused"
    )
    (trouble,) = alert["troubles"]
    assert trouble["job"] == "ingest"
    assert trouble["cause"].startswith("QuarantineLimitError: ")
    assert trouble["next_step"].endswith(f"then `reelhouse daily --date {DAY}` goes on from here")
    assert "next: see `reelhouse sql" in typed("status", "--check", "--root", "w", code=1).output
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Exception, match="file"):
        typed("job", "ingest", "--date", str(DAY), "--root", str(tmp_path / "file"), *targets(tmp_path / "told"))
    (_, alert) = told(tmp_path / "told")
    assert alert["text"].startswith(f"{DAY} failed. StorageError: ")
    assert alert["troubles"][0]["next_step"].startswith("free space or mend the permissions")


def test_a_day_whose_jvm_is_killed_is_told_with_the_job_that_was_at_work_and_why(tmp_path: Path):
    deliver(tmp_path / "deliveries", DAY, text_rows(DAY, 3))
    words = ("daily", "--date", str(DAY), "--root", "w", "--set", "sources.deliveries=deliveries", "--set", "spark.master=local[1]")
    said = []
    with psutil.Popen(
        [str(REELHOUSE), *words, *targets(tmp_path / "told")], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        for line in run.stdout:
            said.append(line)
            if f"{DAY}  ingest ... (never run)" in line:
                (java,) = (child for child in run.children() if child.name() == "java")
                java.kill()
    assert run.returncode == 1
    (alert,) = told(tmp_path / "told")
    assert alert["text"].startswith(f"{DAY} failed: ingest. SparkError: Spark's JVM was killed or crashed")
    (trouble,) = alert["troubles"]
    assert (trouble["job"], trouble["next_step"]) == (
        "ingest",
        f"see that the machine has memory enough, then `reelhouse daily --date {DAY}` goes on from here",
    )
    after = "".join(said).split("ingest: failed\n")[1]
    assert len(re.findall("blocked \\(waits for", after)) == len(load_jobs()) - 1
    assert "Traceback" not in after.split("Daily run")[1]  # what py4j and Spark's own threads say comes before


def test_a_day_that_is_done_after_its_deadline_is_told_and_has_its_own_exit_status(
    tmp_path: Path, typed: Type, monkeypatch: pytest.MonkeyPatch, yesterday: dt.date
):
    now = dt.datetime.now(dt.UTC)
    deliver(tmp_path / "deliveries", yesterday, text_rows(DAY, 3))
    hours = (now - dt.datetime.combine(yesterday, dt.time(), dt.UTC)).total_seconds() / 3600 - 0.5
    monkeypatch.setattr(running, "open_pipeline", of_one_job)
    places = ("--root", "w", "--set", "sources.deliveries=deliveries", "--set", f"alerts.deadline_hours={hours}")
    words = ("daily", "--date", str(yesterday), *places, *targets(tmp_path / "told"))
    with pytest.raises(LateError, match=rf"{yesterday}: done, but after the deadline \(alerts\.deadline_hours\)"):
        typed(*words)
    typed(*words)  # all is done: it was late before, not now
    typed("job", "ingest", "--force", *words[1:])  # a job is not late, its day is
    (alert,) = told(tmp_path / "told")
    assert (alert["kind"], alert["date"]) == ("late", str(yesterday))
    assert alert["text"].startswith(f"{yesterday} is not done at its deadline, ")
    assert LateError.exit_code == 3
    # a monitor sees the same, also where nothing ever began
    with pytest.raises(LateError, match=rf"{yesterday} is not done: \d+ jobs were not run"):
        typed("status", "--check", "--root", "w")
    with pytest.raises(LateError, match=f"nothing was run for {DAY} in "):
        typed("status", "--check", "--date", str(DAY), "--root", "w")


def test_what_failed_on_an_earlier_day_of_a_backfill_is_told(tmp_path: Path, typed: Type, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(running, "open_pipeline", of_one_job)
    times = ["yesterday"] * 4 + ["2026-01-01T08:00:00Z"] * 2
    rows = [row | {"published_at": time} for row, time in zip(text_rows(DAY, 6), times, strict=True)]
    deliver(tmp_path / "deliveries", DAY, rows)
    words = ("daily", "--from", str(DAY), "--to", "2026-01-03", "--root", "w", "--set", "sources.deliveries=deliveries")
    strict = ("--set", "storage.quarantine_rows_free=0")
    with Lake(None, str(tmp_path / "w")).lock("run-2026-01-02"):  # type: ignore[arg-type]
        done = typed(*words, *strict, *targets(tmp_path / "told"), code=QuarantineLimitError.exit_code)
    assert "2026-01-02 was not run, nor any day after it: another run is at work on 2026-01-02" in done.output
    (alert,) = told(tmp_path / "told")
    assert alert["text"].startswith(f"{DAY} failed: ingest. QuarantineLimitError")
