"""Run: what a job is given. It reads as of its date, publishes slices through the audit, and keeps the ledger's record."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from reelhouse import tables
from reelhouse.errors import AuditError, QuarantineLimitError, SettingsError, SparkError
from reelhouse.lake import Lake, Ledger, RunRecord, Slice, conform, spark_errors
from reelhouse.lake.fingerprint import fingerprint
from reelhouse.lake.ledger import ReadKind
from reelhouse.settings import CONF, Settings
from reelhouse.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from reelhouse.labels import Taxonomy
    from reelhouse.registry import Registry
    from reelhouse.vectors import VectorStore


class StepAside(Exception):  # noqa: N818 - not an error: a job says that it has nothing to work on
    """Raised by Run.aside: the job lacks what it needs (labels, clicks); the day goes on without it."""


class Services:
    """Clients that jobs of one process share: one MLflow registry, one Milvus store, one label tree a task."""

    def __init__(self, settings: Settings, root: str, *, models_of: Services | None = None) -> None:
        """models_of: take trained models from there and change nothing in its registry (a replay)."""
        self._settings = settings
        self._root = root
        self._models_of = models_of
        self._taxonomies: dict[str, Taxonomy] = {}

    @cached_property
    def registry(self) -> Registry:
        from reelhouse.registry import Registry

        if self._models_of:
            return self._models_of.registry.read_only()
        models, root = self._settings.models, self._root.removeprefix("file://").removeprefix("file:")
        if "://" in root and not models.uri:
            raise SettingsError(f"models.uri must name an MLflow server: SQLite can't lie below storage.root = {self._root}")
        folder = Path(root) / "mlflow"
        return Registry(models.uri or f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"), models.name)

    @cached_property
    def vectors(self) -> VectorStore:
        from reelhouse.vectors import VectorStore

        vectors = self._settings.vectors
        return VectorStore(
            vectors.uri, vectors.token, self._root, vectors.batch_rows, index=vectors.index, timeout_seconds=vectors.timeout_seconds
        )

    def taxonomy(self, task: str) -> Taxonomy:
        if task not in self._taxonomies:
            self._taxonomies[task] = taxonomy_of(self._settings, task)
        return self._taxonomies[task]

    def close(self) -> None:
        if "vectors" in self.__dict__:
            self.vectors.close()


class Run:
    """One run of one job for one date. Reads never see rows of later days; each read and write is recorded."""

    def __init__(
        self,
        job: str,
        date: dt.date,
        settings: Settings,
        lake: Lake,
        ledger: Ledger,
        services: Services,
        say: Callable[[str], None],
        writes: Sequence[str] = (),
    ) -> None:
        """writes: names of the tables that the job owns, as in conf/pipeline.yml."""
        self.job, self.date, self.settings = job, date, settings
        self.seed = seed_of(job, date)
        self.progress = say
        self.record = RunRecord(_run_id(job, date), job, date, ledger.time_of_next(job, date))
        self._begun = time.monotonic()
        self._lake, self._ledger, self._services = lake, ledger, services
        self._own = frozenset(writes)
        self._refused: list[tuple[Table, DataFrame, int]] = []
        self._kept: list[DataFrame] = []
        self._file_rows = 0
        self._spared = ""

    # -- what is around

    @property
    def spark(self) -> SparkSession:
        return self._lake.spark

    @cached_property
    def scratch(self) -> Path:
        return Path(tempfile.mkdtemp(prefix=f"reelhouse-{self.job}-"))

    @property
    def registry(self) -> Registry:
        return self._services.registry

    @property
    def vectors(self) -> VectorStore:
        return self._services.vectors

    def taxonomy(self, task: str) -> Taxonomy:
        """The label tree of a task as of the run's date."""
        return self._services.taxonomy(task).as_of(self.date)

    def taxonomies(self) -> dict[str, Taxonomy]:
        """The label trees of all tasks as of the run's date, by task."""
        return {task: self.taxonomy(task) for task in type(self.settings.taxonomy).model_fields}

    def metric(self, name: str, value: float) -> None:
        self.record.metrics[name] = float(value)

    def note(self, text: str) -> None:
        self.record.note = f"{self.record.note}; {text}" if self.record.note else text

    def input(self, name: str, value: str) -> None:
        self.record.inputs[name] = value

    def aside(self, reason: str) -> NoReturn:
        raise StepAside(reason)

    # -- reading

    def day(self, table: Table) -> DataFrame:
        """Rows that belong to the run's date."""
        self._recorded(table, "day")
        return self._lake.read(table, f"data_date = date'{self.date}'")

    def upto(self, table: Table) -> DataFrame:
        """All rows of the date and of the days before."""
        self._recorded(table, "upto")
        return self._lake.read(table, f"data_date <= date'{self.date}'")

    def before(self, table: Table) -> DataFrame:
        """All rows of the days before the date."""
        self._recorded(table, "before")
        return self._lake.read(table, f"data_date < date'{self.date}'")

    def current(self, table: Table, *, of: DataFrame | None = None) -> DataFrame:
        """The state on the run's date: the newest row a key up to it. of: video_id of the only videos that are wanted, not many."""
        self._recorded(table, "upto")
        return self._lake.current(table, f"data_date <= date'{self.date}'", of=of)

    def previous(self, table: Table) -> DataFrame:
        """The state on the day before: the newest row a key before the run's date."""
        self._recorded(table, "before")
        return self._lake.current(table, f"data_date < date'{self.date}'")

    def ever(self, table: Table) -> DataFrame:
        """All rows, of later days too: for what mirrors the tables for readers, never for what is written to them."""
        return self._lake.read(table)

    def newest(self, table: Table, *, of: DataFrame | None = None) -> DataFrame:
        """The newest state that there is, of later days too; as `ever`. of: as for `current`."""
        self._recorded(table, "upto")
        return self._lake.current(table, "true", of=of)

    def lock(self, name: str) -> AbstractContextManager[Any]:
        """Held by one process at a time where the storage is a local folder; others wait."""
        lock: AbstractContextManager[Any] = self._lake.lock(name)
        return lock

    @property
    def taken_down(self) -> dict[str, list[str]]:
        """Takedowns, whenever they were asked for: video id -> SHA-256 of each file that the video had."""
        if not self._lake.taken_down:
            return {}
        rows = self._lake.read(tables.DELETIONS).select("video_id", "content_sha256").collect()
        return {row.video_id: row.content_sha256 or [] for row in rows}

    def read_rows(self, count: int) -> None:
        """Count rows that came from files, not from tables."""
        self._file_rows += count

    def files(self, table: Table, **where: str) -> list[str]:
        """URIs of the active Parquet files of a slice of the day, sorted."""
        return self._lake.files(table, {"data_date": self.date, **where})

    def keep(self, rows: DataFrame) -> DataFrame:
        """The rows, computed once and kept until the run ends."""
        kept = rows.persist()
        self._kept.append(kept)
        return kept

    def _recorded(self, table: Table, kind: ReadKind) -> None:
        """Keep what was read, with the fingerprint that the ledger has for it."""
        if table.name in self._own:
            kind = "before"  # what it writes itself on its day does not make it stale
        for name in (table.name, *([table.follows] if table.follows else [])):
            if not any(s.table == name and s.slice == kind for s in self.record.reads):
                rows, mark = self._ledger.written(name, kind, self.date)
                self.record.reads.append(Slice(name, kind, rows, mark))

    # -- writing

    def publish(self, table: Table, rows: DataFrame | None, *, files: int | None = None, read: int = 0, **where: str) -> None:
        """Audit rows, refuse bad ones, and replace the slice (the day, narrowed by `where`) in one commit.

        rows: None says that there is nothing today, which saves the audit. files: how many files to write (default: one for a
        small slice). read: of how many rows the refused ones are a share, where some add nothing and so are not among `rows`. Raises
        SchemaMismatchError, AuditError or QuarantineLimitError before anything of this table is written.
        """
        from reelhouse.quality import audit

        place = {"data_date": self.date, **where}
        name = _slice_name(where)
        if rows is None:
            self._empty(table, place)
            self.record.writes.append(Slice(table.name, name, 0, ""))
            return
        rows = self.keep(self._lake.without_taken_down(table, conform(table, rows, place)))
        result = audit(table, rows, CONF / "expectations")
        self.record.checks += result.checks
        if result.failed_table_checks:
            raise AuditError(f"{table.name} for {self.date}: {'; '.join(result.failed_table_checks)}. Nothing of it was published.")
        if result.refused is not None:
            self.refuse(table, result.refused)
        count, mark = fingerprint(table, result.good, inexact=True)
        self._check_limit(table, count, read)
        self._write(table, result.good, place, count, files)
        self.record.writes.append(Slice(table.name, name, count, mark))
        self.record.rows_out += count

    def refuse(self, table: Table, rows: DataFrame | Sequence[Mapping[str, Any]]) -> None:
        """Send rows to ops.quarantine: rule, row_key, reason, row (JSON), video_id."""
        if isinstance(rows, Sequence):
            if not rows:
                return
            schema = tables.QUARANTINE.spark_schema("job", "table", "data_date")
            rows = self.spark.createDataFrame([tuple(row.get(name) for name in tables.REFUSED) for row in rows], schema)
        kept = self.keep(self._lake.without_taken_down(tables.QUARANTINE, rows))
        count = kept.count()
        if count:
            self._refused.append((table, kept, count))
            self.record.quarantined += count

    def _check_limit(self, table: Table, good: int, read: int) -> None:
        limit = self.settings.storage
        refused = sum(count for t, _, count in self._refused if t is table)
        judged = max(refused + good, read)
        if refused <= limit.quarantine_rows_free or refused <= limit.quarantine_share_max * judged:
            return
        rows = next(frame for t, frame, _ in self._refused if t is table)
        examples = "; ".join(f"[{r.rule}] {r.row_key}: {r.reason}" for r in rows.orderBy("rule", "row_key").limit(3).collect())
        raise QuarantineLimitError(
            f"{table.name} for {self.date}: {refused} of {judged} rows were refused, more than "
            f"storage.quarantine_share_max = {limit.quarantine_share_max} allows. First ones: {examples}. "
            "All are in ops.quarantine; mend the source or raise the limit, then run again."
        )

    def _write(self, table: Table, rows: DataFrame, place: Mapping[str, Any], count: int, files: int | None) -> None:
        metadata = {"run_id": self.record.run_id, "job": self.job, "date": str(self.date)}
        self._lake.replace(table, rows, place, count=count, metadata=metadata, files=files or self._lake.files_for(rows, count))

    def spare(self, **where: str) -> None:
        """A slice that readers see now stays for them if this run no longer writes it. The ledger says that it is gone, and it goes when
        a later job calls `sweep`."""
        self._spared = _slice_name(where)

    def sweep(self, job: str, **seen: str) -> None:
        """Empty what runs of `job` on any day spared for readers, but not the slices that readers see now."""
        for record in self._ledger.latest_of(job):
            spared = record.inputs.get(_SPARED)
            if not spared or spared == _slice_name(seen):
                continue
            for table in (tables.ALL[s.table] for s in record.writes if s.slice == spared and not s.rows):
                for where in self._lake.slices(table, record.data_date):
                    if _slice_name(where) == spared:
                        self._empty(table, {"data_date": record.data_date, **where})

    # -- beginning and end, called by the pipeline

    def finish(self, status: str) -> RunRecord:
        """Empty what an earlier run of this date wrote and this one did not, write the quarantine, then the ledger.

        AuditError: the record itself breaks the suite of ops.runs; it is not written, and so the job counts as not done.
        """
        if status != "failed":
            self._empty_leftovers()
        if status != "failed" or self._refused:
            self._write_quarantine()
        self.record.status = status
        self.record.rows_in = sum(s.rows for s in self.record.reads) + self._file_rows
        self.record.seconds = time.monotonic() - self._begun
        self._append_to_ledger()
        return self.record

    def _append_to_ledger(self) -> None:
        from reelhouse.quality import audit

        row = self._ledger.row(self.record)
        result = audit(tables.RUNS, row, CONF / "expectations")
        wrong = [*result.failed_table_checks, *([r.reason for r in result.refused.collect()] if result.refused is not None else [])]
        if wrong:
            raise AuditError(f"the record of {self.record.run_id} can't be kept: {'; '.join(wrong)}")
        self._ledger.append(self.record, row)

    def close(self) -> None:
        with suppress(SparkError), spark_errors(self.spark):
            for kept in reversed(self._kept):  # the last first: Spark plans everything anew that rests on what it lets go
                kept.unpersist()
        if "scratch" in self.__dict__:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _empty_leftovers(self) -> None:
        """What the lake holds of the job's tables for the date and this run did not write, whichever run it is from: one that
        failed or was killed is not in the ledger."""
        written = {(s.table, s.slice) for s in self.record.writes}
        for table in (tables.ALL[name] for name in sorted(self._own)):
            if (table.name, "") in written:
                continue
            for where in self._lake.slices(table, self.date):
                name = _slice_name(where)
                if (table.name, name) in written:
                    continue
                if name and name == self._spared:
                    self.input(_SPARED, name)
                else:
                    self._empty(table, {"data_date": self.date, **where})
                self.record.writes.append(Slice(table.name, name, 0, ""))

    def _empty(self, table: Table, place: Mapping[str, Any]) -> None:
        self._write(table, self.spark.createDataFrame([], table.spark_schema()), place, 0, None)

    def _write_quarantine(self) -> None:
        from pyspark.sql import functions as F

        from reelhouse.quality import audit

        place = {"data_date": self.date, "job": self.job}
        frames = [frame.select(F.lit(table.name).alias("table"), *frame.columns) for table, frame, _ in self._refused]
        rows = self.spark.createDataFrame([], tables.QUARANTINE.spark_schema())
        if frames:
            rows = frames[0]
            for frame in frames[1:]:
                rows = rows.unionByName(frame)
        rows = conform(tables.QUARANTINE, rows, place)
        if frames:  # checked, but written whatever comes out: a refused row is never lost
            self.record.checks += audit(tables.QUARANTINE, rows, CONF / "expectations").checks
        self._write(tables.QUARANTINE, rows, place, sum(count for _, _, count in self._refused), None)


def taxonomy_of(settings: Settings, task: str) -> Taxonomy:
    """The label tree of a task, from the file that the settings name, after all migrations that lie beside it."""
    from reelhouse.labels import load_taxonomy

    path = Path(getattr(settings.taxonomy, task))
    return load_taxonomy(path if path.is_absolute() else CONF / path)


def seed_of(job: str, date: dt.date) -> int:
    """What a job's draws for a date begin with: the same whenever it is run."""
    return int.from_bytes(hashlib.sha256(f"{job} {date}".encode()).digest()[:4], "big")


_SPARED = "spared for readers"


def _slice_name(where: Mapping[str, str]) -> str:
    """How the ledger names a part of a day; empty: the whole day."""
    return ",".join(f"{key}={value}" for key, value in where.items())


def _run_id(job: str, date: dt.date) -> str:
    import uuid

    return f"{date}-{job}-{uuid.uuid4().hex[:8]}"
