"""Spark's Thrift server over a lake: every table, `<table>_current` and view, for any client that speaks JDBC or ODBC to Hive.

Two things keep it read-only, each without the other: the process itself has no right to write (boundary), and clients' sessions take
nothing but questions (guard).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelhouse import tables
from reelhouse.errors import ServerError, SettingsError
from reelhouse.lake import Lake, catalog, start_session
from reelhouse.lake.environment import installed
from reelhouse.sections import SqlServerSettings
from reelhouse.settings import Settings
from reelhouse.sql_server.boundary import forbid_writes
from reelhouse.sql_server.guard import take_questions_only

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOOK_SECONDS = 2.0  # between two looks at whether Java is still there
_END_SECONDS = 20.0  # Java may take to end


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. Must be called from the main thread, before anything else was started: there is no way back.

    SettingsError where it would listen to other machines with nobody asked for a password; ServerError where the port is taken, the
    boundary can't be had and sql_server.without_boundary is `leave`, or Java ends by itself.
    """
    chosen = settings.sql_server
    check_listening(chosen)
    check_port(chosen.host, chosen.port)
    stop = threading.Event()
    _stop_when_told(stop)
    scratch = Path(tempfile.mkdtemp(prefix="reelhouse-sql-"))
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
    _keep_from_writing(settings, [scratch, Path(os.devnull)], say)
    # the server's own threads know no classes but those that Java was started with
    delta = {"spark.driver.extraClassPath": os.pathsep.join(installed().jars)}
    spark = settings.spark.model_copy(update={"extra": options(chosen, scratch) | delta | settings.spark.extra})
    lake = Lake(start_session(spark, scratch=scratch), settings.storage.root)
    _stop_when_told(stop)  # starting Spark took SIGINT for itself
    try:
        written = _written(lake)
        catalog.register(lake)
        hold_settings = take_questions_only(lake.spark)
        hold_settings(_start(lake.spark, chosen))
        say(f"listening: jdbc:hive2://{chosen.host}:{chosen.port}")
        _stay(lake, written, chosen.refresh_seconds, scratch, stop, say)
        say("ended")
    finally:
        _end_java(lake.spark)
        for left in scratch.iterdir() if scratch.is_dir() else ():  # the folder itself lies where this process may not write any more
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()


def check_listening(chosen: SqlServerSettings) -> None:
    """SettingsError unless only this machine can connect, or clients are asked for a password, or something outside asks them."""
    if chosen.authentication == "ldap" and not chosen.ldap_url.startswith(("ldap://", "ldaps://")):
        raise SettingsError(f"sql_server.authentication = ldap wants sql_server.ldap_url = ldaps://host:636, got {chosen.ldap_url!r}")
    if _is_loopback(chosen.host) or chosen.authentication != "none" or chosen.behind_gateway:
        return
    raise SettingsError(
        f"sql_server.host = {chosen.host} lets other machines in, and sql_server.authentication = none lets anybody in. Set it to ldap, or "
        "sql_server.behind_gateway to true where a gateway in front asks for passwords"
    )


def check_port(host: str, port: int) -> None:
    """ServerError where it can't be listened to."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServerError(
                f"the SQL server can't listen at {host}:{port}: {error.strerror}. Is one running? Else choose another sql_server.port"
            ) from error


def options(chosen: SqlServerSettings, scratch: Path) -> dict[str, str]:
    """Settings of Spark and of its Thrift server; all files that it makes lie in the scratch folder."""
    hive = {
        "hive.server2.thrift.bind.host": chosen.host,
        "hive.server2.thrift.port": str(chosen.port),
        "hive.server2.authentication": chosen.authentication.upper(),
        "hive.server2.idle.session.timeout": f"{chosen.idle_minutes * 60_000}ms",
        "hive.server2.session.check.interval": "60000ms",
        "hive.exec.scratchdir": str(scratch / "hive"),
        "hive.exec.local.scratchdir": str(scratch / "hive-local"),
        "hive.downloaded.resources.dir": str(scratch / "hive-resources"),
        "hive.server2.logging.operation.log.location": str(scratch / "hive-operations"),
    }
    if chosen.authentication == "ldap":
        hive |= {
            "hive.server2.authentication.ldap.url": chosen.ldap_url,
            "hive.server2.authentication.ldap.baseDN": chosen.ldap_base,
            "hive.server2.authentication.ldap.Domain": chosen.ldap_domain,
        }
    return {f"spark.hadoop.{name}": value for name, value in hive.items() if value} | {
        # results go to a client part by part, so that a `select *` does not fill the memory
        "spark.sql.thriftServer.incrementalCollect": "true",
        "spark.driver.maxResultSize": f"{chosen.result_megabytes}m",
        "spark.sql.thriftServer.queryTimeout": f"{chosen.query_seconds}s",
    }


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _keep_from_writing(settings: Settings, except_below: list[Path], say: Callable[[str], None]) -> None:
    root = settings.storage.root
    is_remote = "://" in root and not root.startswith("file:")
    why, mend = forbid_writes(except_below), f"Run it as a user who may not write below {root}"
    if is_remote:  # what the system of this machine guards is not where the tables are
        why, mend = "it guards this machine's files alone", "Give it credentials that may only read there"
    if why is None:
        say("read-only: the system refuses this process every write outside of its scratch folder (Landlock)")
    elif settings.sql_server.without_boundary == "leave":
        raise ServerError(
            f"the system can't keep the server from writing to {root}: {why}. {mend}, and set sql_server.without_boundary to go_on"
        )
    else:
        say(
            f"WARNING: only the look at each statement keeps clients from writing to {root}; the system can't keep this process from it: "
            f"{why}. {mend}"
        )


def _stop_when_told(stop: threading.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())


def _start(spark: SparkSession, chosen: SqlServerSettings) -> Any:
    from py4j.protocol import Py4JJavaError

    jvm = spark.sparkContext._jvm
    try:
        return jvm.org.apache.spark.sql.hive.thriftserver.HiveThriftServer2.startWithContext(spark._jsparkSession.sqlContext())  # type: ignore[union-attr]
    except Py4JJavaError as error:
        cause = error.java_exception
        while cause.getCause() is not None:
            cause = cause.getCause()
        raise ServerError(f"the SQL server can't start at {chosen.host}:{chosen.port}: {cause.getMessage()}") from error


def _end_java(spark: SparkSession) -> None:
    """It may be gone already, and what stops a session would wait for its answer; there is nothing to save."""
    java = spark.sparkContext._gateway.proc  # type: ignore[union-attr]
    java.terminate()
    try:
        java.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        java.kill()


def _written(lake: Lake) -> set[str]:
    return {table.name for table in tables.ALL.values() if lake.exists(table)}


def _stay(lake: Lake, written: set[str], refresh_seconds: float, scratch: Path, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Until told to stop. What is written to a known table is seen by itself; one written for the first time is made known here."""
    java = lake.spark.sparkContext._gateway.proc  # type: ignore[union-attr]
    looked = time.monotonic()
    while not stop.wait(min(_LOOK_SECONDS, refresh_seconds)):
        if java.poll() is not None:
            if stop.wait(_LOOK_SECONDS):  # both were told to end, as a service manager does
                return
            raise ServerError(f"Java, in which the SQL server runs, ended with status {java.returncode}; start it again")
        try:
            os.utime(scratch)  # else another command would take it for a killed run's once nobody asked anything for a day
        except FileNotFoundError:
            raise ServerError(f"the SQL server's folder {scratch} is gone, and it may not make it again; start it again") from None
        if time.monotonic() - looked < refresh_seconds:
            continue
        try:
            if new := _written(lake) - written:
                catalog.register(lake)
                written |= new
                say(f"new: {', '.join(sorted(new))}")
        except Exception as error:  # noqa: BLE001 - the storage may be back at the next look; what is known can be asked meanwhile
            say(f"looking for new tables failed, and is tried again in {refresh_seconds:g} seconds: {error}")
        looked = time.monotonic()
