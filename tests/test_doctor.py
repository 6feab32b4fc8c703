"""`reelhouse doctor`: each defect planted for real, and found with the sentence that mends it."""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from deltalake import DeltaTable
from filelock import FileLock
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from reelhouse import cli, doctor, tables
from reelhouse import settings as settings_module
from reelhouse.doctor import Finding
from reelhouse.errors import StorageError
from reelhouse.lake import Lake
from tests.planting import write_rows

DAYS = [dt.date(2026, 1, day) for day in (1, 2, 3)]


@pytest.fixture
def root(spark: SparkSession, tmp_path: Path) -> Path:
    """A lake with a table of three days, and a run of the ledger."""
    lake = Lake(spark, str(tmp_path / "w"))
    for day in DAYS:
        row = {"video_id": "v", "tag_id": "t", "tag": "T", "position": 0, "matches": 1}
        write_rows(lake, tables.VIDEO_TAGS, [row], {"data_date": day})
    ran(lake, dt.datetime(2026, 1, 3, 2))
    return Path(lake.root)


def ran(lake: Lake, started_at: dt.datetime) -> None:
    run = {"run_id": "r", "job": "j", "status": "succeeded", "started_at": started_at, "settings_hash": "s", "code_version": "c"}
    numbers = {"seconds": 1.0, "rows_in": 0, "rows_out": 0, "quarantined": 0}
    write_rows(lake, tables.RUNS, [run | numbers], {"data_date": DAYS[0]})


def wrong(root: Path, *, thorough: bool = False, **values: object) -> list[Finding]:
    """What of the lake and the servers is not ok."""
    settings = settings_of(root, **values)
    found = [*doctor.servers(settings), *doctor.lake(root, settings, thorough)]
    return [f for f in found if f.level != "ok"]


def wrong_of(found: Iterable[Finding]) -> list[Finding]:
    return [f for f in found if f.level == "wrong"]


def settings_of(root: Path, **values: object) -> settings_module.Settings:
    return settings_module.load(values={"storage.root": str(root)} | {name.replace("__", "."): value for name, value in values.items()})


def log_of(root: Path, table: tables.Table = tables.VIDEO_TAGS) -> Path:
    return root / "tables" / table.path / "_delta_log"


def test_a_sound_installation_and_lake_are_ok_and_the_command_ends_with_zero(root: Path):
    assert wrong(root) == []
    done = CliRunner().invoke(cli.app, ["doctor", "--root", str(root)])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if not line.startswith(("ok", "warning", "        mend:"))]
    assert lines == []
    assert "video: decoding works (5 pictures)" in done.output
    assert "tables: 2 with 4 files" in done.output


def test_a_damaged_log_entry_is_found_and_the_command_ends_with_one(root: Path):
    entry = sorted(log_of(root).glob("*.json"))[-1]
    entry.write_bytes(entry.read_bytes()[:100])
    told = f"{entry}, a part of its log, is damaged"
    assert wrong(root) == [Finding("wrong", "gold.video_tags", told, "run `reelhouse repair`")]
    done = CliRunner().invoke(cli.app, ["doctor", "--root", str(root)])
    assert done.exit_code == 1
    assert f"wrong   gold.video_tags: {told}\n        mend: run `reelhouse repair`" in done.output


def test_a_lost_file_and_one_of_other_length_are_found_with_their_day(root: Path):
    (lost,) = (root / "tables" / tables.VIDEO_TAGS.path).glob("data_date=2026-01-02/*.parquet")
    (short,) = (root / "tables" / tables.VIDEO_TAGS.path).glob("data_date=2026-01-03/*.parquet")
    lost.unlink()
    short.write_bytes(short.read_bytes()[:-1])
    assert wrong(root) == [
        Finding(
            "wrong",
            "gold.video_tags",
            f"its file {path} is lost or damaged",
            f"`reelhouse job tag_videos --date {day} --force` writes it again",
        )
        for path, day in ((lost, DAYS[1]), (short, DAYS[2]))
    ]


def test_other_bytes_of_the_same_length_are_found_when_every_byte_is_read(spark: SparkSession, root: Path):
    folder = root / "tables" / tables.VIDEO_TAGS.path
    spark.createDataFrame([(1,)], "n int").coalesce(1).write.parquet(str(root / "made"))  # with Hadoop's checksum beside it
    ((made,), (file,)) = (root / "made").glob("*.parquet"), folder.glob("data_date=2026-01-02/*.parquet")
    (made.parent / f".{made.name}.crc").rename(file.parent / f".{file.name}.crc")
    assert wrong(root) == []
    told = f"its file {file} is lost or damaged"
    assert wrong(root, thorough=True) == [
        Finding("wrong", "gold.video_tags", told, f"`reelhouse job tag_videos --date {DAYS[1]} --force` writes it again")
    ]


def test_a_lost_checkpoint_is_wrong_only_where_the_log_does_not_make_up_for_it(root: Path):
    log = log_of(root)
    lost = log / f"{1:020d}.checkpoint.parquet"
    (log / "_last_checkpoint").write_text(json.dumps({"version": 1, "size": 3}))
    told = f"its checkpoint {lost} is lost; the log makes up for it"
    assert wrong(root) == [Finding("warning", "gold.video_tags", told, "run `reelhouse maintain`")]
    runs = log_of(root, tables.RUNS)
    (runs / "_last_checkpoint").write_text(json.dumps({"version": 0, "size": 3}))
    assert [(f.level, f.about) for f in wrong(root)] == [("warning", "gold.video_tags"), ("warning", "ops.runs")]
    (runs / "_last_checkpoint").unlink()
    (log / f"{0:020d}.json").unlink()
    assert wrong(root) == [Finding("wrong", "gold.video_tags", f"its checkpoint {lost} is lost", "bring it back from a copy")]


@pytest.mark.parametrize("damage", ["cut", "other bytes"])
def test_a_damaged_checkpoint_is_named_and_what_is_said_of_it_mends_it(spark: SparkSession, root: Path, damage: str):
    log = log_of(root)
    DeltaTable(str(log.parent)).create_checkpoint()
    assert wrong(root) == []
    (checkpoint,) = log.glob("*.checkpoint.parquet")
    content = checkpoint.read_bytes()
    cut = content[: len(content) // 2]
    checkpoint.write_bytes(cut if damage == "cut" else content[:40] + bytes(byte ^ 255 for byte in content[40:400]) + content[400:])
    told = f"its checkpoint {checkpoint} is damaged"
    mend = "remove that file, then run `reelhouse maintain`"
    assert wrong(root) == [Finding("wrong", "gold.video_tags", f"{told}; the log makes up for it", mend)]
    first = log / f"{0:020d}.json"
    first.rename(log / "kept")
    assert wrong(root) == [Finding("wrong", "gold.video_tags", told, "bring it back from a copy")]
    (log / "kept").rename(first)
    checkpoint.unlink()
    lake = Lake(spark, str(root))
    lake.optimize(tables.VIDEO_TAGS)
    assert lake.read(tables.VIDEO_TAGS).count() == 3


def test_a_file_of_the_ledger_that_can_not_be_read_is_said(root: Path):
    (file,) = (root / "tables" / tables.RUNS.path).glob("*/*.parquet")
    file.write_bytes(bytes(file.stat().st_size))
    (found,) = wrong(root)
    assert (found.level, found.about, found.mend) == ("wrong", "ops.runs", "run `reelhouse doctor --thorough`")


def test_a_gap_in_a_log_is_found(root: Path):
    (log_of(root) / f"{1:020d}.json").unlink()
    (found,) = wrong(root)
    assert (found.level, found.told, found.mend) == ("wrong", "its log has no entry 1", "bring it back from a copy")


def test_many_small_files_are_a_reason_to_compact(spark: SparkSession, root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "FILES_A_DAY", 0)
    assert Finding("warning", "gold.video_tags", "3 files for 3 days", "run `reelhouse maintain`") in wrong(root)
    lake = Lake(spark, str(root))
    lake.optimize(tables.VIDEO_TAGS)
    (told,) = [f.told for f in doctor.lake(root, settings_of(root), False) if f.about == "tables"]
    assert told.startswith("2 with 4 files; ")


def test_files_that_no_table_refers_to_and_folders_of_no_table_are_orphans(root: Path):
    left = root / "tables" / tables.VIDEO_TAGS.path / "data_date=2026-01-01" / "part-of-a-killed-run.parquet"
    left.write_bytes(bytes(2**20))
    assert wrong(root) == []  # young: a run at work may be writing it
    then = time.time() - 10 * 86_400
    os.utime(left, (then, then))
    (root / "tables" / "gold" / "old_name").mkdir()
    assert wrong(root) == [
        Finding("warning", "orphans", f"{root / 'tables/gold/old_name'} belongs to no table", "remove it if you know what it is"),
        Finding("warning", "orphans", "1.0 MiB of files that no table refers to any more", "run `reelhouse maintain`"),
    ]


def test_a_mark_of_a_run_that_is_not_at_work_is_one_that_was_cut_off(root: Path):
    (root / "markers").mkdir()
    (root / "locks").mkdir(exist_ok=True)
    (root / "markers" / f"{DAYS[0]}-extract").touch()
    goes_on = "`reelhouse daily --date 2026-01-01` goes on from there"
    assert wrong(root) == [Finding("warning", "runs", "extract of 2026-01-01 was cut off", goes_on)]
    assert list((root / "locks").iterdir()) == []
    lock = FileLock(root / "locks" / f"run-{DAYS[0]}.lock", timeout=0)
    with lock:
        assert wrong(root) == []
    for found in doctor.lake(root, settings_of(root), False):
        with lock:  # a run may begin whatever is being told
            assert found.level == "ok" or found.told == "extract of 2026-01-01 was cut off"


def test_marks_of_no_job_are_passed_over_and_locks_that_can_not_be_read_are_said(root: Path):
    (root / "markers").mkdir()
    (root / "markers" / "schema-0123456789ab").touch()
    assert wrong(root) == []
    assert not (root / "locks").exists()
    (root / "markers" / f"{DAYS[0]}-extract").touch()
    (root / "locks").symlink_to("locks")
    (found,) = wrong(root)
    assert (found.level, found.about, found.mend) == ("warning", "runs", "ask as the user whose runs these are")
    assert found.told.startswith("whether extract of 2026-01-01 was cut off or is at work can't be seen: [Errno 40]")


def test_a_run_in_the_future_means_that_a_clock_is_or_was_wrong(spark: SparkSession, root: Path):
    ran(Lake(spark, str(root)), dt.datetime.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(days=2))
    (found,) = wrong(root)
    assert (found.level, found.about) == ("warning", "clock")
    assert found.mend == "set the machine's clock; runs keep their order all the same"


def test_a_server_that_does_not_answer_is_named_by_its_setting(root: Path):
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        port = there.getsockname()[1]
        there.listen()
        assert wrong(root, vectors__uri=f"http://127.0.0.1:{port}") == []
    (found,) = wrong(root, vectors__uri=f"http://127.0.0.1:{port}")
    assert (found.level, found.about, found.mend) == ("wrong", "vectors.uri", "start that server, or correct vectors.uri")
    assert found.told.startswith(f"nothing answers at 127.0.0.1:{port} (")


def test_each_of_several_metastores_is_asked_and_an_address_that_is_none_is_named(root: Path):
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        there.listen()
        answers = f"thrift://127.0.0.1:{there.getsockname()[1]}"
        assert wrong(root, spark__metastore=f"{answers}, {answers}") == []
        (silent,) = wrong(root, spark__metastore=f"{answers},thrift://127.0.0.1:1")
        assert silent.told.startswith("nothing answers at 127.0.0.1:1 (")
        (odd,) = wrong(root, spark__metastore=f"{answers},thrift://b:port")
    assert (odd.level, odd.about, odd.mend) == ("wrong", "spark.metastore", "correct spark.metastore")
    assert odd.told.startswith("thrift://b:port is no address (")


def test_the_port_of_the_sql_server_is_free_in_use_or_can_not_be_listened_to(root: Path):
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        port = there.getsockname()[1]
        there.listen()
        found = doctor.sql_port(settings_of(root, sql_server__port=port))
        assert (found.level, found.about) == ("ok", "sql_server.port")
        assert found.told.startswith(f"something listens at 127.0.0.1:{port}: ")
    assert doctor.sql_port(settings_of(root, sql_server__port=port)).told == f"127.0.0.1:{port} is free"
    elsewhere = doctor.sql_port(settings_of(root, sql_server__host="192.0.2.1", sql_server__port=port))
    assert elsewhere.level == "warning"
    assert elsewhere.told.startswith(f"the SQL server can't listen at 192.0.2.1:{port}: ")


def test_another_version_than_the_locked_is_found(tmp_path: Path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==2.0.0 \\\n    --hash=sha256:0\npyspark==4.0.1\n")
    (found,) = doctor.versions(lock)
    assert (found.level, found.mend) == ("wrong", "run `make setup`")
    assert found.told == "numpy is 1.26.4, 2.0.0 is locked"


def planted_environment(folder: Path, monkeypatch: pytest.MonkeyPatch, java: str, jars: list[str]) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "java").write_text(f"#!{sys.executable}\nimport sys\nprint('openjdk version \"{java}\"', file=sys.stderr)\n")
    (folder / "bin" / "java").chmod(0o755)
    record = folder / "environment.json"
    record.write_text(json.dumps({"java_home": str(folder), "jars": jars, "launcher": "torch"}))
    monkeypatch.setenv("REELHOUSE_ENVIRONMENT", str(record))


def test_an_old_java_and_jars_that_are_not_the_locked_ones_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.jar").write_text("not it")
    planted_environment(tmp_path, monkeypatch, "11.0.2", [str(tmp_path / "a.jar")])
    java, jars = doctor.java_and_jars()
    assert (java.level, java.told) == ("wrong", f"{tmp_path}/bin/java is 11, 17 is needed")
    assert java.mend == "install Java 17 or newer, or run `make setup`, which brings one"
    assert (jars.level, jars.mend) == ("wrong", "run `make setup`")
    assert "a.jar" in jars.told
    (tmp_path / "a.jar").unlink()
    (missing,) = doctor.java_and_jars()
    assert (missing.level, missing.mend) == ("wrong", "run `make setup`")
    assert "JARs are missing" in missing.told


def test_settings_that_ask_for_more_than_the_machine_has_are_found(root: Path, monkeypatch: pytest.MonkeyPatch):
    settings = settings_of(root, spark__driver_memory="100000g", spark__master="local[999]")
    memory, cores = doctor.machine(settings)
    assert (memory.level, cores.level) == ("warning", "warning")
    assert memory.mend.startswith("set spark.driver_memory to ")
    assert cores.mend.startswith("set spark.master=local[")
    monkeypatch.setattr(doctor, "SPACE_WRONG", 2**60)
    assert {f.level for f in doctor.space(settings)} == {"wrong"}
    assert "which is not there" in wrong_of(doctor.decoding(settings_of(root, video__encoder="no/such.onnx")))[0].told


def test_on_an_object_store_neither_doctor_nor_repair_says_that_the_tables_are_well(monkeypatch: pytest.MonkeyPatch):
    """Nothing is asked of the network, and no session is started."""
    monkeypatch.setattr("reelhouse.lake.start_session", None)
    bucket = "s3a://bucket/x"
    instead = "bring that object back from an earlier version that the store kept, or from a copy"
    (found,) = [f for f in doctor.examine(settings_module.load(values={"storage.root": bucket})) if f.about == "tables"]
    assert (found.level, found.told) == ("warning", f"not looked at: {bucket} is no local folder, and only those are looked into")
    assert instead in found.mend
    done = CliRunner().invoke(cli.app, ["repair", "--root", bucket])
    assert done.output == ""
    assert isinstance(done.exception, StorageError)
    assert str(done.exception).startswith("the logs of the tables were not looked at, and nothing was changed: repair can look into local")
    assert f"{bucket} is none. Instead, a job or query that meets a damaged file names it: {instead}" in str(done.exception)
