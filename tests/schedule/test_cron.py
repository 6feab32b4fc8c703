"""`reelhouse schedule cron`: the printed line is run by a shell, as cron runs it: silent when well, a few words and the status when not."""

from __future__ import annotations

import datetime as dt
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from reelhouse import cli, tables
from reelhouse.cli.schedule import _logs_of
from reelhouse.errors import LockedError, SettingsError, StorageError
from reelhouse.lake import Lake
from reelhouse.schedule import cron, nightly
from reelhouse.settings import CONF, load
from reelhouse.status import Trouble
from tests.deliveries import deliver, text_rows
from tests.schedule.shell import shelled
from tests.typed import typing_in

DAY = dt.date(2026, 1, 2)
JOBS = "jobs:\n  - {name: ingest, writes: [bronze.video_arrivals, bronze.interactions, bronze.items], settings: [sources], minutes: 9}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with spaces, quotes and a percent sign in its name, and in it a pipeline of one job."""
    folder = tmp_path_factory.mktemp('it\'s 100% "mine"')
    shutil.copytree(CONF, folder / "conf")
    (folder / "conf" / "pipeline.yml").write_text(JOBS)
    settings = {"sources": {"deliveries": str(folder / "in")}, "spark": {"master": "local[1]"}}
    (folder / "the site's.yml").write_text(yaml.safe_dump(settings))
    return folder


@pytest.fixture(scope="module")
def line(folder: Path, spark: SparkSession) -> str:
    """What is printed, without its trailing end of line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REELHOUSE_CONF_DIR", str(folder / "conf"))
        printed = typing_in(folder, spark, patch)("schedule", "cron", "--at", "03:05", "--conf", "the site's.yml", "--root", "the 'lake'")
    return printed.stdout.removesuffix("\n")


def as_cron_does(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command of a crontab's line: from the first % on, unless it has a backslash, it would be the command's input."""
    command = line.split(" ", 5)[5]
    assert not re.search(r"(?<!\\)%", command)
    environ = {"HOME": str(folder.parent), "PATH": "/usr/bin:/bin", "LOGNAME": "somebody", "SHELL": "/bin/sh"}
    return shelled(command.replace(r"\%", "%"), environ)


def test_the_line_says_when_and_its_words_survive_cron_and_the_shell(folder: Path, line: str):
    assert line.startswith("5 3 * * * cd ")
    assert "\n" not in line
    words = shlex.split(line.split(" ", 5)[5].replace(r"\%", "%"))
    assert words[:3] == ["cd", str(folder), "&&"]
    program = str(Path(sys.executable).with_name("reelhouse"))
    assert words[words.index(program) :] == [
        program, "schedule", "run", "--conf", str(folder / "the site's.yml"), "--root", "the 'lake'"
    ]  # fmt: skip
    assert f"REELHOUSE_CONF_DIR={folder / 'conf'}" in words
    with pytest.raises(SettingsError, match="can't hold a line's end"):
        cron.cron_line("02:00", Path("/a\nb"), [], {})


def test_a_failed_night_is_told_with_its_status_cause_and_next_step_and_a_good_one_is_silent(
    folder: Path, line: str, spark: SparkSession, yesterday: dt.date
):
    times = ["yesterday"] * 25 + ["2026-01-01T08:00:00Z"] * 5
    unusable = [{"video_id": f"v{n}", "title": "x", "published_at": at} for n, at in enumerate(times)]
    deliver(folder / "in", yesterday, unusable)
    (folder / "in" / str(yesterday) / "notes.odt").write_text("told of before the day fails; the cause comes first all the same")
    failed = as_cron_does(line, folder)
    assert failed.returncode == 4, failed.stdout + failed.stderr
    told = failed.stdout.splitlines()
    assert re.fullmatch(rf"reelhouse daily {yesterday}: over the quarantine limit \(exit status 4\) after \d+ s", told[0])
    assert re.match(r"  ingest: QuarantineLimitError: .*30 .*bad_timestamp", told[1])
    assert told[2].startswith("    next: see `reelhouse sql")
    again = shlex.split(told[3].removeprefix("again: "))
    assert again[:3] == ["cd", str(folder), "&&"]
    assert again[4:] == ["daily", "--date", str(yesterday), "--conf", str(folder / "the site's.yml"), "--root", "the 'lake'"]
    log = folder / "the 'lake'" / "logs" / f"{yesterday}.log"
    assert told[4:] == [f"log: {log}"]
    assert failed.stderr == ""
    assert re.search(r"ingest +│ failed", log.read_text())
    deliver(folder / "in", yesterday, text_rows(yesterday, 12))
    mended = as_cron_does(line, folder)
    assert (mended.returncode, mended.stdout, mended.stderr) == (0, "", "")
    assert re.search(r"ingest +│ failed.*ingest +│ succeeded", log.read_text(), re.DOTALL)
    assert Lake(spark, str(folder / "the 'lake'")).read(tables.VIDEO_ARRIVALS).count() == 12


def test_while_a_night_is_at_work_the_next_one_leaves_says_how_its_day_is_run_and_tells_of_it(
    folder: Path, line: str, tmp_path: Path, yesterday: dt.date
):
    with nightly.only_one(folder / "the 'lake'" / "logs" / "schedule.lock", DAY):
        locked = as_cron_does(f"{line} --set 'alerts.on_failure=tee {tmp_path / 'told'}'", folder)
    assert locked.returncode == LockedError.exit_code
    (said,) = locked.stderr.splitlines()
    assert said.startswith("reelhouse: an earlier scheduled run is still at work (lock ")
    assert f"), so {yesterday} was not run and won't be by itself; once that has ended: cd " in said
    command = shlex.split(said.split("once that has ended: ")[1])
    assert command[:3] == ["cd", str(folder), "&&"]
    assert Path(command[3]).name == "reelhouse"
    assert command[4:9] == ["daily", "--date", str(yesterday), "--conf", str(folder / "the site's.yml")]
    alert = json.loads((tmp_path / "told").read_text())
    assert (alert["kind"], alert["date"]) == ("failed", str(yesterday))
    assert alert["text"] == said.replace("reelhouse: ", "LockedError: ", 1)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that the run of a day, which does nothing more, appends its date to."""
    script, ran = tmp_path / "program", tmp_path / "ran"
    script.write_text(f"#!/bin/sh\necho $3 >> {ran}\n")
    script.chmod(0o755)
    monkeypatch.setattr(nightly, "PROGRAM", str(script))
    return ran


def test_a_night_waits_for_the_one_before_where_the_settings_say_so(
    tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, program: Path
):
    typed = typing_in(tmp_path, spark, monkeypatch)
    words = ("schedule", "run", "--date", str(DAY), "--root", "w", "--set", "runs.when_locked=wait", "--set")
    with nightly.only_one(tmp_path / "w" / "logs" / "schedule.lock", DAY):
        with pytest.raises(LockedError, match=rf"still at work after 0\.005 minutes \(runs\.wait_minutes\) .*, so {DAY} was not run"):
            typed(*words, "runs.wait_minutes=0.005")
        assert not program.exists()
    held, over = threading.Event(), threading.Event()

    def night_before() -> None:
        with nightly.only_one(tmp_path / "w" / "logs" / "schedule.lock", DAY):
            held.set()
            over.wait(60)

    threading.Thread(target=night_before).start()
    assert held.wait(60)
    threading.Timer(1, over.set).start()
    typed(*words, "runs.wait_minutes=5")
    assert over.is_set()
    assert program.read_text() == f"{DAY}\n"


def test_a_folder_of_logs_that_can_not_be_used_is_told(tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("no folder")
    words = ("--set", f"schedule.logs={tmp_path / 'file'}", "--set", f"alerts.on_failure=tee {tmp_path / 'told'}")
    with pytest.raises(StorageError, match=r"the folder of the logs, .*, can't be used"):
        typing_in(tmp_path, spark, monkeypatch)("schedule", "run", "--date", str(DAY), *words)
    assert json.loads((tmp_path / "told").read_text())["text"].startswith("StorageError: the folder of the logs, ")


def test_a_night_that_can_not_be_logged_is_told(tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, program: Path):
    (tmp_path / "w" / "logs" / f"{DAY}.log").mkdir(parents=True)
    words = ("schedule", "run", "--date", str(DAY), "--root", "w", "--set", f"alerts.on_failure=tee {tmp_path / 'told'}")
    with pytest.raises(StorageError, match=rf"^{DAY} was not run: .*{DAY}\.log'\. Mend that, then cd "):
        typing_in(tmp_path, spark, monkeypatch)(*words)
    assert json.loads((tmp_path / "told").read_text())["text"].startswith(f"StorageError: {DAY} was not run: ")
    assert not program.exists()


def test_a_night_whose_day_somebody_else_is_running_is_told(tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch):
    script, busy = tmp_path / "program", f"another run is at work on {DAY}"
    script.write_text(f"#!/bin/sh\necho 'reelhouse: {busy}'\nexit {LockedError.exit_code}\n")
    script.chmod(0o755)
    monkeypatch.setattr(nightly, "PROGRAM", str(script))
    words = ("schedule", "run", "--date", str(DAY), "--root", "w", "--set", f"alerts.on_failure=tee {tmp_path / 'told'}")
    typing_in(tmp_path, spark, monkeypatch)(*words, code=LockedError.exit_code)
    alert = json.loads((tmp_path / "told").read_text())
    assert (alert["kind"], alert["date"]) == ("failed", str(DAY))
    assert alert["text"].startswith(f"LockedError: reelhouse daily {DAY}: another run is at work (exit status 5) after ")
    assert alert["text"].endswith(f"; reelhouse: {busy}")


def test_where_a_cluster_is_told_of_comes_with_the_line_and_secrets_do_not():
    cluster = {name: f"/etc/{name}" for name in ("HADOOP_CONF_DIR", "YARN_CONF_DIR", "SPARK_CONF_DIR", "PYSPARK_PYTHON")}
    line = cron.cron_line("12:00", Path("/a"), [], cluster | {"AWS_SECRET_ACCESS_KEY": "sesame", "HOME": "/root"})
    assert line.startswith(f"0 12 * * * cd /a && env {' '.join(f'{name}={value}' for name, value in cluster.items())} ")
    assert "sesame" not in line


def test_without_a_source_no_line_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.app, ["schedule", "cron", "--set", "schedule.at=12:00"])
    assert (done.stdout, type(done.exception)) == ("", SettingsError)
    assert str(done.exception).startswith("no source is set, so that every night would end with exit status 2. Add sources.deliveries (")
    for name in ("deliveries", "videos", "manifest", "inbox"):
        done = CliRunner().invoke(cli.app, ["schedule", "cron", "--at", "12:00", "--set", f"sources.{name}=there"])
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout.startswith("0 12 * * * cd ")


def test_variables_that_the_settings_ask_for_and_cron_lacks_are_named_beside_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yml").write_text("vectors: {token: '${TOKEN}'}\nmodels: {uri: 'http://${OVERRULED}:5000'}  # ${COMMENT}\n")
    for name in ("TOKEN", "HOOK", "JAVA_HOME"):
        monkeypatch.setenv(name, "sesame")
    values = ["models.uri=", "sources.deliveries=${HOME}/in", "storage.root=${JAVA_HOME}", "alerts.on_failure=${HOOK}"]
    words = [word for value in values for word in ("--set", value)]
    done = CliRunner().invoke(cli.app, ["schedule", "cron", "--at", "12:00", "--conf", "own.yml", *words])
    assert done.exit_code == 0, done.output
    assert done.stderr == (
        "# cron has none of your variables, and the settings ask for some: set HOOK=..., TOKEN=... in the crontab, above this line, "
        "each on its own\n"
    )
    assert done.stdout.count("\n") == 1
    assert "TOKEN" not in done.stdout


def test_a_mistake_in_the_settings_at_night_is_in_crons_mail(folder: Path, line: str):
    for words, said in (
        ("--set no.such=1", "settings are wrong:\n  no: there is no such setting"),
        ("--set 'vectors.token=${GONE}'", "GONE"),
    ):
        night = as_cron_does(f"{line} {words}", folder)
        assert (night.returncode, night.stdout) == (2, "")
        assert night.stderr.startswith("reelhouse: ")
        assert said in night.stderr


@pytest.mark.parametrize(("zone", "at", "safe"), [("Europe/Helsinki", "02:00", "03:00"), ("Europe/Berlin", "01:30", "02:30")])
def test_a_time_at_which_a_change_of_the_clocks_would_leave_out_a_day_is_refused(zone: str, at: str, safe: str):
    with pytest.raises(SettingsError, match=rf"^{at} here is before midnight \(UTC\) for one part of the year .* such as --at {safe} "):
        cron.cron_line(at, Path("/a"), [], {}, ZoneInfo(zone))
    hour, minute = map(int, safe.split(":"))
    assert cron.cron_line(safe, Path("/a"), [], {}, ZoneInfo(zone)).startswith(f"{minute} {hour} * * * ")
    assert cron.cron_line(at, Path("/a"), [], {}, ZoneInfo("Asia/Shanghai")).startswith(f"{int(at[3:])} {int(at[:2])} ")


def test_a_run_that_was_killed_is_told_to_whoever_is_on_call(tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch):
    program, file = tmp_path / "program", tmp_path / "told"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(nightly, "PROGRAM", str(program))
    (tmp_path / "own.yml").write_text(yaml.safe_dump({"alerts": {"on_failure": f"tee {file}"}}))
    typed = typing_in(tmp_path, spark, monkeypatch)
    typed("schedule", "run", "--date", str(DAY), "--conf", "own.yml", "--root", "w", code=137)
    alert = json.loads(file.read_text())
    assert (alert["kind"], alert["date"]) == ("failed", str(DAY))
    assert alert["text"].startswith(f"reelhouse daily {DAY}: killed by signal 9 (exit status 137) after ")
    assert alert["troubles"][0]["next_step"].endswith(f"`reelhouse daily --date {DAY}` goes on from here")


def test_where_the_folder_is_gone_the_shell_says_so(folder: Path, line: str):
    gone = as_cron_does(line.replace("mine", "yours"), folder)
    assert gone.returncode != 0
    assert "cd" in gone.stderr


@pytest.mark.parametrize(
    ("script", "status", "told"),
    [
        ("exit 0", 0, []),
        ("echo at work; echo 'reelhouse: wrong:'; echo '  a.b: no'; exit 2", 2, ["reelhouse: wrong:", "  a.b: no"]),
        ("echo far; kill -9 $$", 137, ["far"]),
    ],
)  # fmt: skip
def test_the_status_of_a_run_is_kept_and_its_last_words(
    script: str, status: int, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(nightly, "PROGRAM", str(program))
    log = tmp_path / "log"
    log.write_text("reelhouse: of an earlier run\n")
    night = nightly.run_day(DAY, [], log)
    assert (night.status, night.last_words) == (status, told)
    assert log.read_text().startswith("reelhouse: of an earlier run\n")


def told(status: int, troubles: list[Trouble], last_words: list[str]) -> Iterator[str]:
    return nightly.summary(nightly.Night(DAY, status, 61.4, last_words), [], None, lambda day: troubles)


def test_a_summary_is_short_whatever_happened():
    waiting = [Trouble(f"job{n}", "not run: waits for train", "it runs by itself once that is done") for n in range(3)]
    first, cause, step, rest, again = told(137, [Trouble("train", "it was cut off", "run again"), *waiting], ["noise"])
    assert first == f"reelhouse daily {DAY}: killed by signal 9 (exit status 137) after 61 s"
    assert (cause, step, rest) == ("  train: it was cut off", "    next: run again", "  not run: job0, job1, job2")
    assert again.startswith("again: cd ")
    assert list(told(2, [Trouble("old", "of another run", "-")], ["reelhouse: settings are wrong"]))[1] == "  reelhouse: settings are wrong"
    assert list(told(3, [], ["reelhouse: done at 07:00, 06:00 was wanted"]))[:2] == [
        f"reelhouse daily {DAY}: done, but late (exit status 3) after 61 s",
        "  reelhouse: done at 07:00, 06:00 was wanted",
    ]

    def unreadable(day: dt.date) -> list[Trouble]:
        raise OSError("the disk is gone")

    lines = list(nightly.summary(nightly.Night(DAY, 1, 1.0, ["last line"]), [], Path("/a/log"), unreadable))
    assert lines[1:3] == ["the ledger can't be asked: the disk is gone", "  last line"]
    assert lines[-1] == "log: /a/log"


def test_logs_lie_below_the_root_unless_it_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for root in ("lake", f"file:{tmp_path}/lake", f"file://{tmp_path}/lake"):
        assert _logs_of(load(values={"storage.root": root})) == (tmp_path / "lake" / "logs", "")
    there, mark = _logs_of(load(values={"storage.root": "s3a://bucket/lake"}))
    assert (there, bool(re.fullmatch(r"[0-9a-f]{8}-", mark))) == (tmp_path / "logs", True)
    elsewhere = {"schedule.logs": "/var/log/reelhouse"}
    roots = ("s3a://bucket/lake", "s3a://bucket/lake/", "s3a://bucket/other", "lake", f"file:{tmp_path}/lake")
    folders, marks = zip(*(_logs_of(load(values={**elsewhere, "storage.root": root})) for root in roots), strict=True)
    assert set(folders) == {Path("/var/log/reelhouse")}
    assert (marks[0], len({marks[0], marks[2], marks[3]})) == (mark, 3)
    assert (marks[1], marks[4]) == (marks[0], marks[3])


def test_two_lakes_with_one_folder_of_logs_have_a_lock_and_a_log_each(
    tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, program: Path
):
    typed = typing_in(tmp_path, spark, monkeypatch)
    words = ("schedule", "run", "--date", str(DAY), "--set", f"schedule.logs={tmp_path / 'logs'}", "--root")
    _, mark = _logs_of(load(values={"schedule.logs": "logs", "storage.root": "one"}))
    with nightly.only_one(tmp_path / "logs" / f"{mark}schedule.lock", DAY):
        with pytest.raises(LockedError, match=r"an earlier scheduled run is still at work"):
            typed(*words, "one")
        typed(*words, "two")
    typed(*words, "one")
    assert program.read_text() == f"{DAY}\n" * 2
    logs = {path.name: path.read_text() for path in (tmp_path / "logs").glob("*.log")}
    assert len(logs) == 2
    assert {name[8:] for name in logs} == {f"-{DAY}.log"}
    assert {text.count("reelhouse daily") for text in logs.values()} == {1}


@pytest.mark.parametrize(("given", "at"), [("02:00", "02:00"), (630, "10:30"), (0, "00:00"), ("23:59", "23:59")])
def test_a_time_of_day_is_understood_with_and_without_quotes(given: str | int, at: str):
    assert load(values={"schedule.at": given}).schedule.at == at


@pytest.mark.parametrize("given", ["24:00", "2:00", "noon", "", 1440, "02:00 * * *; rm"])
def test_what_is_no_time_of_day_is_refused(given: str | int):
    with pytest.raises(SettingsError, match=r"schedule\.at"):
        load(values={"schedule.at": given})
