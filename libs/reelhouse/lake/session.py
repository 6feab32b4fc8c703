"""The Spark session: one place that knows how Spark, Delta and Java are put together."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelhouse.errors import SparkError
from reelhouse.lake.environment import Environment, installed
from reelhouse.lake.trouble import storage_errors
from reelhouse.settings import plain_secrets

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from reelhouse.sections import SparkSettings

_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # A small table's snapshot is rebuilt with 50 tasks otherwise, which costs seconds on one machine.
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.databricks.delta.schema.autoMerge.enabled": "false",
}

# the folder below an executor's own into which an archive of the package is unpacked
ARCHIVED_PACKAGE = "reelhouse-package"

_QUIET = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


# A day on one machine is hundreds of small queries: compiling each to machine code, planning it again between its stages and
# describing it for a web page costs more than it saves. On two cores the first took a fifth off a day, the other two a sixth off
# the tests of two small jobs. A cluster keeps Spark's defaults.
_EMBEDDED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.ui.explainMode": "simple",
    "spark.sql.maxPlanStringLength": "1000",
    # into how many tasks Delta cuts a VACUUM of any size; ten thousand otherwise
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
    # not on a cluster, whose executors get the package only after they started their daemon
    "spark.python.daemon.module": "reelhouse.python_daemon",
}
# From so many rows of a table on compiling pays.
ROWS_TO_COMPILE = 200_000
_COMPILED = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}
# Java counts its work in files below /tmp, wherever its temporary folder is
_NO_COUNTERS = "-XX:-UsePerfData"
_EMBEDDED_JAVA = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:ReservedCodeCacheSize=200m"]


def start_session(settings: SparkSettings, *, scratch: Path | None = None) -> SparkSession:
    """Start (or return) the Spark session.

    scratch: folder for Spark's temporary files; a fresh temporary folder if not given. In embedded mode nothing listens
    beyond loopback. With a master other than local[...], the package is shipped to the executors as a zip file. Secrets among further
    Spark settings are on no command line.
    """
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    environment = installed()
    if environment.java_home:
        os.environ["JAVA_HOME"] = environment.java_home
    os.environ["TZ"] = "UTC"
    time.tzset()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LAUNCHER_OPTS", _NO_COUNTERS)
    scratch = scratch or Path(tempfile.mkdtemp(prefix="reelhouse-"))
    scratch.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"spark.app.name": "reelhouse", "spark.master": settings.master}
    options |= _options(settings, environment, scratch) | settings.extra
    if settings.metastore:
        options |= {"spark.hadoop.hive.metastore.uris": settings.metastore, "spark.sql.catalogImplementation": "hive"}
    secrets = plain_secrets(settings.extra)
    arguments = SparkConf(loadDefaults=False).setAll([(name, value) for name, value in options.items() if name not in secrets])
    with storage_errors(f"starting Spark, whose temporary files are in {scratch},"), _output_to(scratch / "spark.log"):
        # What is known when Java starts becomes arguments of its command line, which every user of the machine sees.
        SparkContext._ensure_initialized(conf=arguments)
        session = SparkSession.builder.config(map=options).getOrCreate()  # the secrets too, over a connection of this process's own
    archived = f"#{ARCHIVED_PACKAGE}" in (session.conf.get("spark.archives", "") or "")  # by a line of `reelhouse schedule submit`
    if not settings.master.startswith("local[") and not archived:
        session.sparkContext.addPyFile(str(package_archive(scratch)))
    return session


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Let the JVM inherit a file as its stdout and stderr: what it says would bury our own lines. Errors reach us as exceptions."""
    sys.stdout.flush()
    kept = {stream: os.dup(stream) for stream in (1, 2)}
    try:
        with log.open("ab") as file:
            for stream in kept:
                os.dup2(file.fileno(), stream)
        yield
    finally:
        for stream, own in kept.items():
            os.dup2(own, stream)
            os.close(own)


@contextmanager
def spark_errors(session: SparkSession) -> Iterator[None]:
    """Turn whatever comes of it that the JVM has ended into a SparkError: each place that asks it something sees another error."""
    try:
        yield
    except Exception as error:
        if _answers(session):
            raise
        raise SparkError(
            "Spark's JVM was killed or crashed, and with it ended all that was at work. If it happens again, see whether the machine ran "
            "out of memory: take fewer cores in spark.master=local[N], or less spark.driver_memory than the machine has"
        ) from error


def _answers(session: SparkSession) -> bool:
    from py4j.protocol import Py4JError

    try:
        session.sparkContext._jvm.java.lang.System.nanoTime()  # type: ignore[union-attr]
    except (Py4JError, OSError):
        return False
    return True


def compile_queries(session: SparkSession, settings: SparkSettings) -> None:
    """Let an embedded session compile its queries from now on, except as the user's own settings say: worth it for many rows."""
    if not settings.master.startswith("local["):
        return  # Spark's own default there
    for name, value in _COMPILED.items():
        session.conf.set(name, settings.extra.get(name, value))


def submit_options(settings: SparkSettings) -> dict[str, str]:
    """What spark-submit must be given before Java starts: a session's options, less those that name its temporary folder."""
    return _options(settings, installed(), None) | settings.extra


def _options(settings: SparkSettings, environment: Environment, scratch: Path | None) -> dict[str, str]:
    embedded = settings.master.startswith("local[")
    options = {
        **_DELTA,
        **_QUIET,
        **(_EMBEDDED if embedded else {}),
        "spark.jars": ",".join(environment.jars),
        "spark.driver.memory": settings.driver_memory,
        "spark.scheduler.mode": "FAIR",
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.extraJavaOptions": " ".join(
            [
                "-Duser.timezone=UTC",
                _NO_COUNTERS,
                *([f"-Djava.io.tmpdir={scratch}", f"-Dlog4j2.configurationFile={_logging(scratch)}"] if scratch else []),
                *(_EMBEDDED_JAVA if embedded else []),
                *_archived_classes(environment),
            ]
        ),
        "spark.executor.extraJavaOptions": f"-Duser.timezone=UTC {_NO_COUNTERS}",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "1000",
    }
    if scratch:
        options |= {"spark.local.dir": str(scratch), "spark.sql.warehouse.dir": str(scratch / "spark-warehouse")}
    if settings.master.startswith("local"):
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
        options |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    return options


def _archived_classes(environment: Environment) -> list[str]:
    """Java leaves an archive alone that does not fit, and would say so at every start."""
    return [f"-XX:SharedArchiveFile={environment.classes}", "-Xlog:disable", "-Xlog:all=error:stderr"] if environment.classes else []


def _logging(scratch: Path) -> Path:
    """Quiet logs: errors only, to stderr."""
    path = scratch / "log4j2.properties"
    path.write_text(
        "rootLogger.level = error\nrootLogger.appenderRef.stderr.ref = stderr\n"
        "appender.stderr.type = Console\nappender.stderr.name = stderr\nappender.stderr.target = SYSTEM_ERR\n"
        "appender.stderr.layout.type = PatternLayout\nappender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n\n"
    )
    return path


def package_archive(folder: Path) -> Path:
    """Zip the package `reelhouse` for the executors; returns the zip's path."""
    libs = Path(__file__).resolve().parents[2]
    return Path(shutil.make_archive(str(folder / "reelhouse-package"), "zip", libs, "reelhouse"))
