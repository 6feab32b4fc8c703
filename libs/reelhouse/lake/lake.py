"""The lake: reading a day or as of a day, and replacing a slice. The only writer of Delta tables."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelhouse import tables
from reelhouse.errors import DamagedTableError, SchemaMismatchError
from reelhouse.lake.repair import empty_entries
from reelhouse.lake.trouble import REPAIR, storage_errors
from reelhouse.tables import Column, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# A slice is written to as many files as it takes that none holds much more than so many rows or (as Spark keeps them) bytes.
ROWS_OF_ONE_FILE = 250_000  # 137 MB of vectors of 128 values, a tenth of that of ids and a few words
BYTES_OF_ONE_FILE = 256 * 2**20  # frames and their features are tens of kB a video
# ... and none holds fewer rows than this because of their bytes, which Spark may overestimate
_ROWS_OF_ONE_FILE_MIN = 1_000
# No column statistics in Delta's log: ids are random, so they skip nothing, and a purge could not remove values from the log.
PROPERTIES = {"delta.dataSkippingNumIndexedCols": "0"}


class Lake:
    """Delta tables below a root folder or address. Every read leaves out videos that were taken down."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        local = re.fullmatch(r"file:(?://)?(/.*)", root)  # a folder's address is that folder
        self.root = root if "://" in root and not local else str(Path(local[1] if local else root).resolve())
        self.is_local = "://" not in self.root
        self._known: set[str] = set()  # tables that exist; none is ever dropped
        self._takedowns: tuple[int, list[str]] = (-1, [])  # the version of bronze.deletions that was read, and its ids

    # -- where things are

    def path(self, table: Table) -> str:
        return f"{self.root}/tables/{table.path}"

    def exists(self, table: Table) -> bool:
        """Whether anything was ever committed. A first write that was cut off leaves a log without a commit, and no table."""
        if table.name not in self._known and self._newest_version(table, -1) >= 0:
            self._check_log(table)
            self._known.add(table.name)
        return table.name in self._known

    def holds_tables(self) -> bool:
        """Whether there is a lake at the root at all."""
        return bool(self._filesystem_path(f"{self.root}/tables").exists())

    def missing_columns(self, table: Table) -> list[Column]:
        """Columns that the table should have and, written by an earlier version of Reelhouse, has not."""
        return _missing(table, self._stored(table))

    def _newest_version(self, table: Table, known: int) -> int:
        """The newest commit in the table's log, -1 if there is none. known: a version to count on from, which costs one look."""
        log = f"{self.path(table)}/_delta_log"
        if known < 0 and not self._filesystem_path(f"{log}/{0:020d}.json").exists():  # none yet, or the first was cleaned away
            known = max((int(n[:20]) for n in self._filesystem_path(log).names() if re.match(r"\d{20}\.", n)), default=-1)
        while self._filesystem_path(f"{log}/{known + 1:020d}.json").exists():
            known += 1
        return known

    def _check_log(self, table: Table) -> None:
        """DamagedTableError for an empty entry, as a machine that lost its power leaves one: Delta would pass over it without a word."""
        if self.is_local and (empty := empty_entries(Path(self.path(table)) / "_delta_log")):
            what = f"{table.name}: {empty[0]}, a part of its log, is empty: its rows would be missing"
            raise DamagedTableError(f"{what}. {REPAIR}", table.name)

    def slices(self, table: Table, day: dt.date) -> list[dict[str, str]]:
        """The parts of a day that a job wrote and that hold rows: values of the partition columns after data_date ({}: no such column)."""
        found: list[dict[str, str]] = [{}]
        for name in table.partition_by[1:]:
            deeper = []
            for place in found:
                folder = self._folder(table, {"data_date": day, **place})
                values = [n.partition("=")[2] for n in folder.names() if n.startswith(f"{name}=")]
                deeper += [place | {name: self._escapes.unescapePathName(value)} for value in sorted(values)]
            found = deeper
        found = [place for place in found if table.jobs_part.items() <= place.items()]
        return [place for place in found if self.exists(table) and self._holds(table, {"data_date": day, **place})]

    def files(self, table: Table, where: Mapping[str, Any]) -> list[str]:
        """URIs of the active Parquet files of a slice (Delta's active list, not the folder), sorted."""
        if not self.exists(table):
            return []
        return sorted(self._delta(table).where(_condition(where)).inputFiles())

    # -- reading

    def read(self, table: Table, condition: str = "true") -> DataFrame:
        """Rows of a table with its own columns; an empty frame when nothing was ever written."""
        if not self.exists(table):
            return self.spark.createDataFrame([], table.spark_schema())
        rows = self._delta(table).where(condition).select(*table.names)
        return self.without_taken_down(table, rows)

    def current(self, table: Table, condition: str, *, of: DataFrame | None = None) -> DataFrame:
        """The state that the rows of `condition`, one on data_date, fold to: the newest day's rows for each unit (Table.newest_by).

        of: video_id of the only videos that are wanted, few enough to be sent to every task; the rows of others are left where they are.
        ValueError for a table whose units are not of one video each.
        """
        rows = self.read(table, condition)
        if of is not None:
            if "video_id" not in table.unit:
                raise ValueError(f"{table.name} is not folded video by video: which rows are the newest takes all of them")
            rows = rows.join(of.hint("broadcast"), on="video_id", how="left_semi").select(*table.names)
        # Which days count is settled among keys and dates; the rows themselves, often wide, then go through one join.
        dates = rows if table.newest_by is None and table.follows else _newest(rows, table.unit)
        if table.follows:
            leader = tables.ALL[table.follows]
            begun = _newest(self.read(leader, condition), leader.unit)
            matches = [dates[name] == begun[name] for name in leader.unit]
            dates = dates.join(begun, on=[*matches, dates["data_date"] >= begun["data_date"]], how="left_semi")
            if table.newest_by is None:
                return dates
        return rows.join(dates, on=[*table.unit, "data_date"], how="left_semi").select(*table.names)

    @property
    def taken_down(self) -> list[str]:
        """Ids of the videos that were taken down up to now, by whatever process. Few: a person asked for each."""
        version, ids = self._takedowns
        newest = self._newest_version(tables.DELETIONS, version)
        if newest != version:
            self._check_log(tables.DELETIONS)
            ids = sorted(row.video_id for row in self._delta(tables.DELETIONS).select("video_id").distinct().collect())
            self._takedowns = newest, ids
        return ids

    def without_taken_down(self, table: Table, rows: DataFrame) -> DataFrame:
        """Rows less those of videos that were taken down."""
        if not table.has_video or table is tables.DELETIONS or not (ids := self.taken_down):
            return rows
        gone = self.spark.createDataFrame([(v,) for v in ids], "video_id string")
        return rows.join(gone.hint("broadcast"), on="video_id", how="left_anti").select(*rows.columns)

    def _delta(self, table: Table) -> DataFrame:
        """Rows as stored; columns that an earlier version of Reelhouse did not write are null: who only reads can't add them."""
        rows = self._stored(table)
        missing = [f"CAST(NULL AS {column.type}) AS `{column.name}`" for column in _missing(table, rows)]
        return rows.selectExpr("*", *missing) if missing else rows

    def _stored(self, table: Table) -> DataFrame:
        return self.spark.read.format("delta").load(self.path(table))

    # -- writing

    def replace(
        self, table: Table, rows: DataFrame, where: Mapping[str, Any], *, count: int, metadata: Mapping[str, str], files: int = 1
    ) -> None:
        """Replace one slice by `count` rows in one commit. `where` gives values of partition columns, data_date first.

        A slice that is empty on both sides is left alone. Raises SchemaMismatchError before it writes rows that are not the
        table's, StorageError when the storage refuses.
        """
        _check_schema(table, rows)
        there = self.exists(table)
        if not count and not (there and self._holds(table, where)):
            return
        writer = rows.coalesce(1) if files == 1 else rows.repartition(files, *table.key[:1]).sortWithinPartitions(*table.key)
        options = {} if there else {**PROPERTIES, **table.properties}
        with self.lock(table.name), storage_errors(f"writing {table.name} at {self.path(table)}"):
            replaced = there and self._holds(table, where)
            delta = writer.write.format("delta").partitionBy(*table.partition_by).options(**options)
            delta = delta.option("userMetadata", json.dumps(dict(metadata), sort_keys=True))
            # Appending to an empty slice is the same as replacing it, at a quarter of the cost. Without a lock it is not:
            # two that append don't conflict, two that replace do.
            replaced = replaced or (there and not self.is_local)
            delta = delta.mode("overwrite").option("replaceWhere", _condition(where)) if replaced else delta.mode("append")
            delta.save(self.path(table))

    def files_for(self, rows: DataFrame, count: int) -> int:
        """How many files `count` rows make, at least 1. rows: kept (persisted) and computed, so that Spark knows their size."""
        size = int(rows._jdf.queryExecution().optimizedPlan().stats().sizeInBytes())
        by_size = min(-(-size // BYTES_OF_ONE_FILE), count // _ROWS_OF_ONE_FILE_MIN)
        return max(1, -(-count // ROWS_OF_ONE_FILE), by_size)

    def _holds(self, table: Table, where: Mapping[str, Any]) -> bool:
        """Whether a slice has rows. A folder that is not there or empty says no at once; Delta's list takes a Spark job."""
        return self._folder(table, where).exists() and bool(self.files(table, where))

    def _folder(self, table: Table, where: Mapping[str, Any]) -> _HadoopPath:
        parts = [f"{name}={self._escapes.escapePathName(str(where[name]))}" for name in table.partition_by if name in where]
        return self._filesystem_path("/".join([self.path(table), *parts]))

    @property
    def _escapes(self) -> Any:
        return self.spark.sparkContext._jvm.org.apache.spark.sql.catalyst.catalog.ExternalCatalogUtils  # type: ignore[union-attr]

    def append(self, table: Table, rows: DataFrame, *, metadata: Mapping[str, str]) -> None:
        """Add rows that are an event of their own (the ledger's), never a slice that is replaced."""
        _check_schema(table, rows)
        with self.lock(table.name), storage_errors(f"writing {table.name} at {self.path(table)}"):
            delta = rows.coalesce(1).write.format("delta").partitionBy(*table.partition_by).mode("append").options(**PROPERTIES)
            delta.option("userMetadata", json.dumps(dict(metadata), sort_keys=True)).save(self.path(table))

    def optimize(self, table: Table) -> None:
        """Compact small files; rows stay the same."""
        with self.lock(table.name):
            self._delta_table(table).optimize().executeCompaction()

    def vacuum(self, table: Table, *, hours: int) -> None:
        """Remove files that the table has not referred to for so many hours."""
        check = "spark.databricks.delta.retentionDurationCheck.enabled"
        self.spark.conf.set(check, "false")
        try:
            with self.lock(table.name):
                self._delta_table(table).vacuum(hours)
        finally:
            self.spark.conf.unset(check)

    def _delta_table(self, table: Table) -> Any:
        from delta import DeltaTable

        return DeltaTable.forPath(self.spark, self.path(table))

    def lock(self, name: str, *, timeout: float = -1) -> Any:
        """An OS file lock, where the storage is a local folder: two processes can both win a Delta version there."""
        if not self.is_local:
            return nullcontext()
        from filelock import FileLock

        folder = Path(self.root) / "locks"
        with storage_errors(f"making the folder {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{name}.lock", timeout=timeout)

    def check_writable(self) -> None:
        """StorageError before any work is done if the root can't be written."""
        if not self.is_local:
            return
        with storage_errors(f"writing to the storage root {self.root}"):
            probe = Path(self.root) / "locks" / ".writable"
            probe.parent.mkdir(parents=True, exist_ok=True)
            probe.write_text("")
            probe.unlink(missing_ok=True)  # two runs may begin at once

    # -- small marker files, on whatever file system the root is

    def mark(self, name: str) -> None:
        with storage_errors(f"writing the marker {name} below {self.root}"):
            self._filesystem_path(f"{self.root}/markers/{name}").create()

    def unmark(self, name: str) -> None:
        self._filesystem_path(f"{self.root}/markers/{name}").delete()

    def is_marked(self, name: str) -> bool:
        return self._filesystem_path(f"{self.root}/markers/{name}").exists()

    def marks(self) -> list[str]:
        """Names of all marks that stand."""
        return sorted(self._filesystem_path(f"{self.root}/markers").names())

    def _filesystem_path(self, path: str) -> _HadoopPath:
        return _HadoopPath(self.spark, path)


class _HadoopPath:
    """A path on any file system that Hadoop knows."""

    def __init__(self, spark: SparkSession, path: str) -> None:
        jvm: Any = spark.sparkContext._jvm
        self._path = jvm.org.apache.hadoop.fs.Path(path)
        self._system = self._path.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf())

    def exists(self) -> bool:
        return bool(self._system.exists(self._path))

    def names(self) -> list[str]:
        """Names in a folder; none where it is not there."""
        return [status.getPath().getName() for status in self._system.listStatus(self._path)] if self.exists() else []

    def create(self) -> None:
        self._system.create(self._path, True).close()

    def delete(self) -> None:
        self._system.delete(self._path, False)


def _missing(table: Table, rows: DataFrame) -> list[Column]:
    there = set(rows.columns)
    return [column for column in table.columns if column.name not in there]


def _check_schema(table: Table, rows: DataFrame) -> None:
    have, wanted = ([(f.name, f.dataType.simpleString()) for f in s] for s in (rows.schema, table.spark_schema()))
    if have != wanted:
        raise SchemaMismatchError(
            f"{table.name}: columns {sorted(set(have) ^ set(wanted)) or 'in another order'} differ. Nothing was written. "
            "Columns: libs/reelhouse/tables"
        )


def conform(table: Table, rows: DataFrame, where: Mapping[str, Any]) -> DataFrame:
    """The rows with exactly the table's columns, in its order; partition columns given by `where` are added.

    Raises SchemaMismatchError naming every missing, unknown and ill-typed column.
    """
    from pyspark.sql import functions as F

    for name, value in where.items():
        if name not in rows.columns:
            rows = rows.withColumn(name, F.lit(value).cast(table.spark_schema()[name].dataType))
    wanted = {f.name: f for f in table.spark_schema()}
    have = {f.name: f.dataType for f in rows.schema}
    problems = [f"{name} is missing" for name in wanted if name not in have]
    problems += [f"{name} is unknown" for name in have if name not in wanted]
    problems += [
        f"{name} should be {field.dataType.simpleString()}, is {have[name].simpleString()}"
        for name, field in wanted.items()
        if name in have and have[name].simpleString() != field.dataType.simpleString()
    ]
    if problems:
        raise SchemaMismatchError(f"{table.name}: {'; '.join(problems)}. Nothing was written. Columns: libs/reelhouse/tables")
    return rows.select(*[F.col(f"`{f.name}`").alias(f.name, metadata=f.metadata) for f in wanted.values()])


def _newest(rows: DataFrame, unit: list[str]) -> DataFrame:
    from pyspark.sql import functions as F

    return rows.groupBy(*unit).agg(F.max("data_date").alias("data_date"))


def _condition(where: Mapping[str, Any]) -> str:
    def literal(value: Any) -> str:
        if isinstance(value, dt.date):
            return f"date'{value}'"
        return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"

    return " AND ".join(f"`{name}` = {literal(value)}" for name, value in where.items()) or "true"
