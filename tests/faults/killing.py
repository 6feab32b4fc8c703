"""Kill a job at every phase and compare what running it again leaves with an undisturbed run.

A phase begins or ends at each call that changes something which outlives the process: marking a job as begun, each commit of a
table, the ledger's commit, unmarking; making, filling, emptying, naming and dropping a collection of vectors; registering a model,
moving an alias.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

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
    Registry: ("start", "register", "set_alias"),
}


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


def run_jobs(spark: SparkSession, root: Path, deliveries: Path, date: dt.date, jobs: Sequence[str]) -> None:
    """The jobs of the date, all if none is named, one after the other: phases come in one order."""
    values = {
        "storage.root": str(root), "sources.deliveries": str(deliveries), "spark.master": "local[2]", "spark.jobs_at_once": 1,
        "training.epochs": 3, "tags.minimum_count": 3,
    }  # fmt: skip
    pipeline = Pipeline(settings_module.load(values=values), Lake(spark, str(root)), lambda text: None)
    try:
        failed = [o for o in pipeline.run_day(date, jobs) if o.error]
    finally:
        pipeline.close()
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


def rows_of(lake: Lake) -> dict[str, tuple[int, str]]:
    """Row count and hash of every table but the ledger, whose rows are the runs themselves."""
    return {t.name: fingerprint(t, lake.read(t)) for t in tables.ALL.values() if t is not tables.RUNS and lake.exists(t)}


def services_hold(lake: Lake) -> dict[str, Any]:
    """What the registry and the embedded vector store of a lake hold: the champion, and ids and checksums of each collection."""
    services = Services(settings_module.load(), lake.root)
    versions = [r.model_version for r in lake.read(tables.EMBEDDINGS).select("model_version").distinct().collect()]
    try:
        held: dict[str, Any] = {"champion": services.registry.version_of_alias("champion")}
        for kind, version in product(KINDS, sorted(versions)):
            if services.vectors.exists(kind.name, version):
                held[f"{kind.name} {version}"] = dict(services.vectors.ids_and_checksums(kind.name, version))
    finally:
        services.close()
    return held
