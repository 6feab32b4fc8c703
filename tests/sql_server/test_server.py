"""The SQL server as analysts meet it: a process of its own, asked by beeline over JDBC while a day is written, and attacked.

Limits in seconds are those of a machine five times slower than two cores.
"""

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
from typing import Any

import pyspark
import pytest
from pyspark.sql import SparkSession

from reelhouse import scratch, tables
from reelhouse import settings as settings_module
from reelhouse.errors import ServerError, SettingsError
from reelhouse.lake import Lake
from reelhouse.lake.environment import installed
from reelhouse.pipeline import Pipeline
from reelhouse.sql_server.server import check_listening, check_port, options
from tests.deliveries import deliver, text_rows
from tests.planting import write_rows
from tests.sql_server.attacks import SETTINGS, bytes_of, refused, writes
from tests.turns import WHOLE_DAYS

TURN = (WHOLE_DAYS, 280)

REELHOUSE = Path(sys.prefix) / "bin" / "reelhouse"
SPARK_HOME = Path(pyspark.__file__).parent
DAY1, DAY2 = dt.date(2026, 1, 1), dt.date(2026, 1, 2)
WRITTEN = ("ingest", "extract", "clean_text")
VIDEOS = 12
QUERIES = 200
START_SECONDS, ASK_SECONDS, SEEN_SECONDS, END_SECONDS = 900, 2100, 600, 300
SECRET = "hush-7531"


class Server:
    def __init__(self, root: Path, *options: str, environ: dict[str, str] | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = root.parent / f"server-{self.port}.log"
        words = [str(REELHOUSE), "sql-server", "--root", str(root), "--set", f"sql_server.port={self.port}", *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(words, cwd=root.parent, env=os.environ | (environ or {}), stdout=log, stderr=log)
        try:
            self.wait_until_said("listening: ", START_SECONDS)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def wait_until_said(self, words: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while words not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.2)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(END_SECONDS)
        finally:
            self.process.kill()

    def ask(self, *statements: str, address: str = "") -> tuple[list[list[str]], str]:
        """The rows that beeline prints for the statements, one after the other though some fail, and what it says of those."""
        script = self.log.with_suffix(".sql")
        script.write_text(";\n".join(statements) + ";\n", encoding="utf-8")
        environ = os.environ | {"SPARK_HOME": str(SPARK_HOME)}
        if home := installed().java_home:
            environ["JAVA_HOME"] = home
        done = subprocess.run(
            [
                str(SPARK_HOME / "bin" / "beeline"), "-u", f"jdbc:hive2://127.0.0.1:{self.port}/{address}", "-n", "analyst",
                "-f", str(script), "--silent=true", "--showHeader=false", "--outputformat=csv2", "--force=true",
            ],
            cwd=self.log.parent, env=environ, capture_output=True, text=True, timeout=ASK_SECONDS, check=False,
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
    made = Server(Path(pipeline.lake.root), environ={"REELHOUSE_SECRET": SECRET})
    yield made
    made.stop()


def test_every_question_during_a_run_sees_a_whole_snapshot(pipeline: Pipeline, server: Server):
    over, runs, broken = threading.Event(), [], []

    def write() -> None:
        try:
            while not over.is_set():
                for count in (VIDEOS + 1, VIDEOS):  # the other tests find the last
                    deliver(Path(pipeline.settings.sources.deliveries), DAY2, text_rows(DAY2, count))
                    run(pipeline, DAY2)
                    runs.append(count)
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
    check_answers(rows)


def check_answers(rows: list[list[str]]) -> None:
    """Each answer has the first day as it was, and from its first write on the second, as it is after one of its writes."""
    answers: list[list[list[str]]] = []
    for row in rows:
        if row[0] == str(DAY1):
            answers.append([])
        answers[-1].append(row)
    assert len(answers) == QUERIES
    first, old, new = ([str(day), str(count), str(count)] for day, count in ((DAY1, VIDEOS), (DAY2, VIDEOS), (DAY2, VIDEOS + 1)))
    written = next(i for i, answer in enumerate(answers) if len(answer) > 1)
    assert answers[:written] == [[first]] * written
    assert [answer for answer in answers[written:] if answer not in ([first, old], [first, new])] == []
    assert [first, old] in answers
    assert [first, new] in answers
    assert written < QUERIES * 3 // 4


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


def open_session(spark: SparkSession, server: Server, settings: dict[str, str]) -> str:
    """What the server says to a client of any kind that sends settings when it connects; empty if it lets it in."""
    jvm: Any = spark.sparkContext._jvm
    socket_ = jvm.org.apache.thrift.transport.TSocket("127.0.0.1", server.port)
    transport = jvm.org.apache.hive.service.auth.PlainSaslHelper.getPlainTransport("analyst", "any", socket_)
    transport.open()
    try:
        thrift = jvm.org.apache.hive.service.rpc.thrift
        request = thrift.TOpenSessionReq()
        request.setConfiguration(settings)
        answer = thrift.TCLIService.Client(jvm.org.apache.thrift.protocol.TBinaryProtocol(transport)).OpenSession(request)
        return answer.getStatus().getErrorMessage() or ""
    finally:
        transport.close()


def test_what_a_client_sets_when_it_connects_is_harmless_or_refused(spark: SparkSession, server: Server):
    other = "org.apache.spark.sql.execution.datasources.v2.jdbc.JDBCTableCatalog"
    for settings in (
        {"set:hiveconf:spark.sql.shuffle.partitions": "${env:REELHOUSE_SECRET}"},
        {"set:hivevar:spark.sql.shuffle.partitions": "${env:REELHOUSE_SECRET}"},
        {"set:spark.sql.defaultCatalog": "${env:REELHOUSE_SECRET}"},
        {"set:hiveconf:spark.sql.catalog.spark_catalog": other},
        {"set:hivevar:spark.sql.catalog.other": other},
        {"set:hiveconf:spark.hadoop.fs.s3a.endpoint": "http://127.0.0.1:1"},
        {"set:system:socksProxyHost": "127.0.0.1"},
        {"set:metaconf:hive.metastore.uris": "thrift://127.0.0.1:1"},
        {"spark.sql.defaultCatalog": "other"},
        {"use:database": "other"},
        {"use:database": "silver where '${env:REELHOUSE_SECRET}'"},
    ):
        said = open_session(spark, server, settings)
        assert "this server only reads" in said, settings
        assert SECRET not in said
    assert open_session(spark, server, {"set:hiveconf:hive.exec.parallel": "true", "use:database": "silver"}) == ""
    asked = ("select current_timezone(), current_database()", "set", "select '${env:REELHOUSE_SECRET}'")
    rows, errors = server.ask(*asked, address="silver?spark.sql.session.timeZone=Asia/Tokyo")
    assert rows[0] == ["Asia/Tokyo", "silver"]
    assert ["spark.sql.session.timeZone", "Asia/Tokyo"] in rows
    assert len(rows) < 10
    assert ["this server only reads" in line for line in errors.splitlines() if line.startswith("Error: ")] == [True]
    assert SECRET not in str(rows) + errors


def test_an_idle_server_keeps_its_folder_and_ends_in_order_at_ctrl_c(pipeline: Pipeline, tmp_path: Path):
    made = Server(Path(pipeline.lake.root), environ={"TMPDIR": str(tmp_path)})
    try:
        (folder,) = tmp_path.glob("reelhouse-sql-*")
        long_ago = time.time() - 2 * 86_400
        for path in (*folder.rglob("*"), folder):
            os.utime(path, (long_ago, long_ago))
        until = time.monotonic() + SEEN_SECONDS / 10
        while folder.stat().st_mtime < long_ago + 60:
            assert time.monotonic() < until
            time.sleep(0.2)
        scratch.remove_abandoned(tmp_path)  # as every command does
        assert made.ask("select count(*), count(distinct video_id) from silver.videos") == ([[str(2 * VIDEOS)] * 2], "")
    finally:
        status = made.stop(signal.SIGINT)
    assert (status, list(folder.iterdir())) == (0, [])
    assert made.said().endswith("ended\n")


def test_a_table_written_for_the_first_time_appears_and_a_told_server_ends(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory):
    root = Path(pipeline.lake.root)
    made = Server(root, "--set", "sql_server.refresh_seconds=0.5")
    try:
        with pytest.raises(ServerError, match=rf"can't listen at 127\.0\.0\.1:{made.port}: Address already in use. Is one running"):
            check_port("127.0.0.1", made.port)
        row = {"video_id": "0101-000", "reason": "asked"}
        write_rows(pipeline.lake, tables.DELETIONS, [row], {"data_date": DAY2})
        made.wait_until_said("new: bronze.deletions", SEEN_SECONDS)
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
    server.process.wait(END_SECONDS)
    until = time.monotonic() + END_SECONDS
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
