"""The SQL server as analysts meet it: a process of its own, asked by beeline over JDBC while a day is written, and attacked."""

from __future__ import annotations

import csv
import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyspark
import pytest
from pyspark.sql import SparkSession

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.errors import ServerError, SettingsError
from reelhouse.lake import Lake
from reelhouse.lake.environment import installed
from reelhouse.pipeline import Pipeline
from reelhouse.sql_server.server import check_listening, check_port, options
from tests.deliveries import deliver, text_rows
from tests.planting import write_rows
from tests.sql_server.attacks import SETTINGS, bytes_of, refused, writes
from tests.turns import WHOLE_DAYS

TURN = (WHOLE_DAYS, 250)

REELHOUSE = Path(sys.prefix) / "bin" / "reelhouse"
SPARK_HOME = Path(pyspark.__file__).parent
DAY1, DAY2 = dt.date(2026, 1, 1), dt.date(2026, 1, 2)
WRITTEN = ("ingest", "extract", "clean_text")
VIDEOS = 12
QUERIES = 200


class Server:
    def __init__(self, root: Path, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = root.parent / f"server-{self.port}.log"
        words = [str(REELHOUSE), "sql-server", "--root", str(root), "--set", f"sql_server.port={self.port}", *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(words, cwd=root.parent, stdout=log, stderr=log)
        until = time.monotonic() + 240
        while "listening: " not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.2)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()

    def ask(self, *statements: str) -> tuple[list[list[str]], str]:
        """The rows that beeline prints for the statements, one after the other though some fail, and what it says of those."""
        script = self.log.with_suffix(".sql")
        script.write_text(";\n".join(statements) + ";\n", encoding="utf-8")
        environ = os.environ | {"SPARK_HOME": str(SPARK_HOME)}
        if home := installed().java_home:
            environ["JAVA_HOME"] = home
        done = subprocess.run(
            [
                str(SPARK_HOME / "bin" / "beeline"), "-u", f"jdbc:hive2://127.0.0.1:{self.port}", "-n", "analyst", "-f", str(script),
                "--silent=true", "--showHeader=false", "--outputformat=csv2", "--force=true",
            ],
            cwd=self.log.parent, env=environ, capture_output=True, text=True, timeout=420, check=False,
        )  # fmt: skip
        said = [line for line in done.stderr.splitlines() if not line.startswith("WARNING: Using incubator modules")]  # Java's own
        return [row for row in csv.reader(done.stdout.splitlines()) if row], "\n".join(said)


@pytest.fixture(scope="module")
def pipeline(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("analysts")
    for day in (DAY1, DAY2):
        deliver(folder / "deliveries", day, text_rows(day, VIDEOS))
    values = {"storage.root": str(folder / "w"), "sources.deliveries": str(folder / "deliveries"), "spark.master": "local[2]"}
    made = Pipeline(settings_module.load(values=values), Lake(spark, str(folder / "w")), lambda text: None)
    run(made, DAY1)
    yield made
    made.close()


def run(pipeline: Pipeline, day: dt.date) -> None:
    assert [o.status for o in pipeline.run_day(day, WRITTEN, force=True)] == ["succeeded"] * len(WRITTEN)


@pytest.fixture(scope="module")
def server(pipeline: Pipeline) -> Iterator[Server]:
    made = Server(Path(pipeline.lake.root))
    yield made
    made.stop()


def test_every_question_during_a_run_sees_a_whole_snapshot(pipeline: Pipeline, server: Server):
    over, runs, broken = threading.Event(), [], []

    def write() -> None:
        try:
            while not over.is_set():
                run(pipeline, DAY2)
                runs.append(DAY2)
        except BaseException as error:  # noqa: BLE001 - told by the test itself
            broken.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    question = "select data_date, count(*), count(distinct video_id) from silver.video_text group by data_date"
    try:
        rows, errors = server.ask(*[f"{question} order by data_date"] * QUERIES)
    finally:
        over.set()
        writer.join()
    assert broken == []
    assert errors == ""
    assert len(runs) >= 2
    first = [row for row in rows if row[0] == str(DAY1)]
    assert first == [[str(DAY1), str(VIDEOS), str(VIDEOS)]] * QUERIES
    second = [row for row in rows if row[0] != str(DAY1)]
    assert second == [[str(DAY2), str(VIDEOS), str(VIDEOS)]] * len(second)
    assert len(second) >= QUERIES // 4


def test_an_analyst_finds_every_table_with_its_comments(server: Server):
    rows, errors = server.ask("show tables in gold", "describe table silver.videos", "describe table gold.label_queue", "show views in ops")
    assert errors == ""
    named = {row[1] for row in rows if row[:1] in (["gold"], ["ops"])}
    assert {"predictions", "predictions_current", "label_queue", "serving_now"} <= named
    told = {row[0]: row[2] for row in rows if len(row) == 3 and row[0] not in ("gold", "ops")}
    for name in ("content_sha256", "duration_seconds"):
        assert told[name] == next(c.comment for c in tables.VIDEOS.columns if c.name == name)
    assert told["rank"] == "1 = label first"


def test_whatever_an_analyst_tries_the_lakes_bytes_stay(pipeline: Pipeline, server: Server):
    root = Path(pipeline.lake.root)
    assert "read-only: the system refuses this process every write" in server.said()
    before = bytes_of(root)
    assert len(before) > 20
    tried = [*writes(root), *refused(root)]
    rows, errors = server.ask(*SETTINGS, *tried, "select 'still', count(*) from silver.videos")
    assert bytes_of(root) == before
    # beeline cuts a script at its semicolon: what is left of it is no SQL
    said = [line for line in errors.splitlines() if line.startswith("Error: ")]
    assert [line for line in said if "this server only reads" not in line and "PARSE_SYNTAX_ERROR" not in line] == []
    assert len(said) >= len(tried)
    assert rows[-1] == ["still", str(2 * VIDEOS)]


def test_a_table_written_for_the_first_time_appears_and_a_told_server_ends(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory):
    root = Path(pipeline.lake.root)
    made = Server(root, "--set", "sql_server.refresh_seconds=0.5")
    try:
        with pytest.raises(ServerError, match=rf"can't listen at 127\.0\.0\.1:{made.port}: Address already in use. Is one running"):
            check_port("127.0.0.1", made.port)
        row = {"video_id": "0101-000", "reason": "asked"}
        write_rows(pipeline.lake, tables.DELETIONS, [row], {"data_date": DAY2})
        until = time.monotonic() + 120
        while "new: bronze.deletions" not in made.said():
            assert time.monotonic() < until, made.said()
            time.sleep(0.2)
        rows, errors = made.ask("select count(*) from bronze.deletions", "select count(*) from silver.videos_current")
        assert (rows, errors) == ([["1"], [str(2 * VIDEOS - 1)]], "")
    finally:
        status = made.stop()
    assert status == 0
    assert "ended" in made.said()
    check_port("127.0.0.1", made.port)


def test_nothing_is_left_of_a_killed_server(pipeline: Pipeline, server: Server):
    """The last that the server of this module is asked."""
    server.process.kill()
    server.process.wait(30)
    until = time.monotonic() + 30
    while True:
        try:
            return check_port("127.0.0.1", server.port)
        except ServerError:
            assert time.monotonic() < until
            time.sleep(0.2)


def test_other_machines_are_let_in_only_where_somebody_asks_for_a_password():
    chosen = settings_module.load().sql_server
    check_listening(chosen)
    for host in ("0.0.0.0", "10.1.2.3", "::", "lake.example.com"):
        open_ = chosen.model_copy(update={"host": host})
        with pytest.raises(SettingsError, match=rf"sql_server\.host = {host} lets other machines in"):
            check_listening(open_)
        check_listening(open_.model_copy(update={"authentication": "ldap", "ldap_url": "ldaps://people:636"}))
        check_listening(open_.model_copy(update={"behind_gateway": True}))
    for host in ("localhost", "127.0.0.2", "::1"):
        check_listening(chosen.model_copy(update={"host": host}))


def test_ldap_is_what_the_server_is_told_to_ask(tmp_path: Path):
    asked = {"authentication": "ldap", "ldap_url": "ldaps://people:636", "ldap_base": "ou=people"}
    found = options(settings_module.load().sql_server.model_copy(update=asked), tmp_path)
    prefix = "spark.hadoop.hive.server2.authentication"
    assert {name: value for name, value in found.items() if name.startswith(prefix)} == {
        prefix: "LDAP", f"{prefix}.ldap.url": "ldaps://people:636", f"{prefix}.ldap.baseDN": "ou=people",
    }  # fmt: skip
