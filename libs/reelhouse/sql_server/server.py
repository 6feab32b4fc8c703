"""Spark's Thrift server over a lake: every table, `<table>_current` and view, for any client that speaks JDBC or ODBC to Hive.

What a client may ask is not looked at: the process itself has no right to write (boundary), whatever statement or setting it is given.
A client's own temporary tables go to the scratch folder and vanish with it.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from reelhouse.errors import ServerError, SettingsError
from reelhouse.lake import Lake, catalog, start_session
from reelhouse.settings import Settings, SqlServerSettings
from reelhouse.sql_server.boundary import forbid_writes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOOK_SECONDS = 2.0  # between two looks at whether Java is still there


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. Must be called from the main thread, before anything else was started: there is no way back.

    SettingsError where it would listen to other machines with nobody asked for a password; ServerError where the port is taken, the
    boundary can't be had and sql_server.without_boundary is `leave`, or Java ends by itself.
    """
    chosen = settings.sql_server
    check_listening(chosen)
    check_port(chosen.host, chosen.port)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="reelhouse-sql-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        _keep_from_writing(settings, [scratch, Path("/dev")], say)
        spark = settings.spark.model_copy(update={"extra": options(chosen, scratch) | settings.spark.extra})
        lake = Lake(start_session(spark, scratch=scratch), settings.storage.root)
        try:
            catalog.register(lake)
            _start(lake.spark)
            say(f"listening: jdbc:hive2://{chosen.host}:{chosen.port}")
            _stay(lake, chosen.refresh_seconds, stop)
            say("ended")
        finally:
            lake.spark.stop()


def check_listening(chosen: SqlServerSettings) -> None:
    """SettingsError unless only this machine can connect, or clients are asked for a password, or something outside asks them."""
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
    why = forbid_writes(except_below)
    if why is None:
        say("read-only: the system refuses this process every write outside of its scratch folder (Landlock)")
    elif settings.sql_server.without_boundary == "leave":
        raise ServerError(
            f"clients could write to the lake: {why}. Run the server as a user who may not write below {root} and set "
            "sql_server.without_boundary to go_on"
        )
    else:
        say(f"NOT read-only by itself: {why}. See that this user may not write below {root}")
    if "://" in root:
        say(f"{root} is beyond what the system guards: give this process credentials that may only read it")


def _start(spark: SparkSession) -> None:
    jvm = spark.sparkContext._jvm
    jvm.org.apache.spark.sql.hive.thriftserver.HiveThriftServer2.startWithContext(spark._jsparkSession.sqlContext())  # type: ignore[union-attr]


def _stay(lake: Lake, refresh_seconds: float, stop: threading.Event) -> None:
    """Until told to stop: names that clients dropped or changed are restored now and then, and those of new tables appear."""
    java = lake.spark.sparkContext._gateway.proc  # type: ignore[union-attr]
    refreshed = time.monotonic()
    while not stop.wait(_LOOK_SECONDS):
        if java.poll() is not None:
            raise ServerError(f"Java, in which the SQL server runs, ended with status {java.returncode}; start it again")
        if time.monotonic() - refreshed >= refresh_seconds:
            catalog.register(lake)
            refreshed = time.monotonic()
