"""Kill a job at every phase and compare what running it again leaves with an undisturbed run.

A phase begins or ends at each call that changes something which outlives the process: marking a job as begun, each commit of a
table, the ledger's commit, unmarking; making, filling, emptying, naming and dropping a collection of vectors; each request to MLflow
that changes a run, a model or an alias, and the registry's own index.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from pyspark.sql import SparkSession

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.lake import Lake
from reelhouse.lake.fingerprint import fingerprint
from reelhouse.pipeline import Pipeline
from reelhouse.registry import Registry
from reelhouse.run import Services
from reelhouse.vectors import KINDS, FullLoad, VectorStore

CHECKOUT = Path(__file__).resolve().parents[2]
CHANGES = {
    Lake: ("mark", "replace", "append", "unmark"),
    VectorStore: ("ensure", "upsert", "delete", "forget", "drop", "point", "keep_only"),
    FullLoad: ("begin", "import_files", "verify", "publish"),
    Registry: ("_keep",),
    MlflowClient: (
        "create_experiment", "create_run", "update_run", "set_tag", "set_terminated", "log_batch", "log_artifact",
        "create_registered_model", "create_model_version", "update_model_version",
        "set_registered_model_alias", "delete_registered_model_alias",
    ),
}  # fmt: skip

# so that a day of a dozen videos is enough to look for wrong labels, to train, and to choose by what was trained
FEW_LABELS = {
    "noise.minimum_labels": 6, "training.minimum_labels": 6, "sampling.cold_start_p_max": 1.0, "sampling.budget": 1,
    "sampling.active_budget": 1,
}  # fmt: skip


class Phases:
    """Counts phases and ends the process, without any chance to clean up, at the one asked for (at none if it is 0)."""

    def __init__(self, fatal: int) -> None:
        self.fatal, self.count = fatal, 0

    def around(self, action: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self._step()
            result = action(*args, **kwargs)
            self._step()
            return result

        return wrapped

    def _step(self) -> None:
        self.count += 1
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def counted(fatal: int = 0) -> Iterator[Phases]:
    phases = Phases(fatal)
    real = {(kind, name): getattr(kind, name) for kind, names in CHANGES.items() for name in names}
    for (kind, name), action in real.items():
        setattr(kind, name, phases.around(action))
    try:
        yield phases
    finally:
        for (kind, name), action in real.items():
            setattr(kind, name, action)


@contextmanager
def opened(spark: SparkSession, root: Path, deliveries: Path) -> Iterator[Pipeline]:
    values = {
        "storage.root": str(root), "sources.deliveries": str(deliveries), "spark.master": "local[2]", "spark.jobs_at_once": 1,
        "training.epochs": 3, "tags.minimum_count": 3, **FEW_LABELS,
    }  # fmt: skip
    pipeline = Pipeline(settings_module.load(values=values), Lake(spark, str(root)), lambda text: None)
    try:
        yield pipeline
    finally:
        pipeline.close()


def late_jobs(spark: SparkSession, root: Path, deliveries: Path, date: dt.date, of: Collection[str] | None = None) -> dict[str, str]:
    """Jobs (all, or of those named) that must run for the date, and why, as `reelhouse plan` says."""
    with opened(spark, root, deliveries) as pipeline:
        return {name: why for name, why in pipeline.plan(date) if why and (of is None or name in of)}


def run_jobs(spark: SparkSession, root: Path, deliveries: Path, date: dt.date, jobs: Sequence[str]) -> None:
    """The jobs of the date, all if none is named, one after the other: phases come in one order."""
    with opened(spark, root, deliveries) as pipeline:
        failed = [o for o in pipeline.run_day(date, jobs) if o.error]
    if failed:
        raise failed[0].error  # type: ignore[misc]


def phases_of(spark: SparkSession, root: Path, deliveries: Path, date: dt.date, jobs: Sequence[str]) -> int:
    """Run undisturbed; how many phases there are."""
    with counted() as phases:
        run_jobs(spark, root, deliveries, date, jobs)
    return phases.count


def kill(root: Path, deliveries: Path, date: dt.date, fatal: int, jobs: Sequence[str]) -> None:
    """Run the jobs in a process of its own, which ends at the phase."""
    command = [sys.executable, "-m", "tests.faults.killed_run", str(root), str(deliveries), str(date), str(fatal), *jobs]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == -signal.SIGKILL, f"phase {fatal}: {done.stderr[-3000:]}"


def rows_of(lake: Lake, names: Iterable[str] = tables.ALL) -> dict[str, tuple[int, str]]:
    """Row count and hash of every table, or those named, but the ledger, whose rows are the runs themselves."""
    wanted = [tables.ALL[name] for name in names if name != tables.RUNS.name]
    return {table.name: fingerprint(table, lake.read(table), inexact=True) for table in wanted if lake.exists(table)}


def services_hold(lake: Lake) -> dict[str, Any]:
    """What the registry and the embedded vector store of a lake hold: every registered model with its card, how its run ended and its
    bytes, the aliases, and ids and checksums of each collection."""
    services = Services(settings_module.load(), lake.root)
    versions = [r.model_version for r in lake.read(tables.EMBEDDINGS).select("model_version").distinct().collect()]
    registry = services.registry
    client = MlflowClient(registry.uri, registry.uri)
    try:
        models = registry.models()
        held: dict[str, Any] = {"models": [], "aliases": {alias: m.model_version for m in models for alias in m.aliases}}
        for model in models:
            found = client.get_model_version(registry.name, str(model.number))
            ended = client.get_run(found.run_id).info.status
            held["models"].append((model, found.description, ended, hashlib.sha256(registry.load(model.model_version)).hexdigest()))
        for kind, version in product(KINDS, sorted(versions)):
            if services.vectors.exists(kind.name, version):
                held[f"{kind.name} {version}"] = dict(services.vectors.ids_and_checksums(kind.name, version))
    finally:
        services.close()
    return held
