"""One step of scale.py, in a process of its own: `python -m tests.benchmarks.scale_step STEP VIDEOS ROOT RESULT.json`.

Steps: repeat, vector_files, the name of a job, or `plant` and the steps that will follow.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import psutil

from jobs import load_vectors
from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.errors import ReelhouseError
from reelhouse.lake import Lake, RunRecord, Slice, start_session
from reelhouse.pipeline import Pipeline
from reelhouse.tables import Table
from reelhouse.vectors import FIELDS, KINDS, import_folder, wanted_rows, write_files
from tests.benchmarks import scale_lake


def main(step: str, videos: int, root: str, result: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="reelhouse-scale-", ignore_cleanup_errors=True) as scratch:
        settings = settings_module.load(values=values_of(root))
        start = time.monotonic()
        spark = start_session(settings.spark, scratch=Path(scratch))
        session, processor = time.monotonic() - start, processor_seconds()
        pipeline = Pipeline(settings, Lake(spark, root), print)
        try:
            given = INPUTS.get(step, ())
            for table in given:
                scale_lake.write(pipeline, table, scale_lake.STAND_INS[table], videos)
            before = traffic(pipeline)
            start = time.monotonic()
            facts = (plant(step.split()[1:]) if step.startswith("plant") else STEPS.get(step, job_step(step)))(pipeline, videos)
            facts |= {"seconds": time.monotonic() - start, "session_seconds": session, "session_processor": processor}
            facts |= {name: value - before[name] for name, value in traffic(pipeline).items()}
            result.write_text(json.dumps(facts))
        finally:
            pipeline.close()
            spark.stop()


def processor_seconds() -> float:
    """Of this process and of all that it started and that live."""
    here = psutil.Process()
    times = [process.cpu_times() for process in (here, *here.children(recursive=True))]
    return float(sum(t.user + t.system for t in times))


def values_of(root: str) -> dict[str, Any]:
    """Settings that differ from conf/base.yml; some as scale.py was told, which leaves them beside the lake."""
    given = json.loads((Path(root) / "settings.json").read_text())
    return {"storage.root": root, "sources.manifest": f"{root}/manifest.csv"} | given


def traffic(pipeline: Pipeline) -> dict[str, int]:
    """Bytes that went through shuffles and to the driver so far, from Spark's own status store."""
    context: Any = pipeline.lake.spark.sparkContext
    context._jsc.sc().listenerBus().waitUntilEmpty()
    store = context._jsc.sc().statusStore()
    stages = store.stageList(None, False, False, context._gateway.new_array(context._jvm.double, 0), None)
    found = [stages.apply(i) for i in range(stages.size())]
    return {
        "shuffle_bytes": sum(s.shuffleWriteBytes() for s in found),
        "spilled_bytes": sum(s.diskBytesSpilled() for s in found),
        "driver_bytes": sum(s.resultSize() for s in found),
    }


def plant(steps: list[str]) -> Callable[[Pipeline, int], dict[str, Any]]:
    """What the steps read, and what a repeated day needs: all."""

    def run(pipeline: Pipeline, videos: int) -> dict[str, Any]:
        jobs = [pipeline.job("load_vectors" if step == "vector_files" else step) for step in steps if step != "repeat"]
        read = {name for job in jobs for name in (*job.reads, *job.previous)}
        scale_lake.plant(pipeline, videos, None if "repeat" in steps else read)
        return {}

    return run


def job_step(name: str) -> Callable[[Pipeline, int], dict[str, Any]]:
    def run(pipeline: Pipeline, videos: int) -> dict[str, Any]:
        (outcome,) = pipeline.run_day(scale_lake.DAY, only=[name], force=True)
        if outcome.error:
            raise outcome.error
        written = [tables.ALL[s.table] for s in outcome.record.writes] if outcome.record else []
        return {"files": {table.name: files_of(pipeline.lake, table) for table in written}, "note": outcome.record.note or ""}

    return run


def files_of(lake: Lake, table: Table) -> dict[str, float]:
    """How many files each partition of the day has on average, and their size."""
    paths = [Path(urlparse(uri).path) for uri in lake.files(table, {"data_date": scale_lake.DAY})]
    folders = {path.parent for path in paths}
    size = sum(path.stat().st_size for path in paths)
    return {"a_partition": len(paths) / max(len(folders), 1), "mb_a_file": size / 2**20 / max(len(paths), 1)}


def vector_files(pipeline: Pipeline, videos: int) -> dict[str, Any]:
    """The files of both collections that load_vectors lets a Milvus server import, written by Spark as the job does."""
    job = pipeline.job("load_vectors")
    pipeline.fit_session_to(job)
    run = pipeline._run(job, scale_lake.DAY)
    parent, found = Path(pipeline.lake.root) / "vector-files", {}
    for kind in KINDS:
        rows = load_vectors.facts_of(run, scale_lake.MODEL, wanted_rows(run.current(kind.table), kind, scale_lake.MODEL))
        folder = import_folder(str(parent), kind.name)
        files = write_files(rows, kind.name, folder, pipeline.settings.vectors.import_rows)
        if (written := sum(file.rows for file in files)) != pipeline.lake.read(kind.table).count():
            raise ReelhouseError(f"{written} rows of {kind.name} were written to files: not those of {kind.table.name}")
        size = sum(path.stat().st_size for path in folder.rglob("*.npy"))
        found[kind.name] = {"a_partition": len(files), "mb_a_file": size / 2**20 / len(files)}
    shutil.rmtree(parent)
    return {"files": found, "note": "a folder of .npy files each: " + ", ".join(FIELDS)}


def repeat(pipeline: Pipeline, videos: int) -> dict[str, Any]:
    """Put into the ledger that every job of the day has run; scale.py then times the command `reelhouse daily` on it."""
    scale_lake.write_manifest(Path(pipeline.settings.sources.manifest), videos)
    for job in pipeline.jobs:
        run = pipeline._run(job, scale_lake.DAY)
        record = RunRecord(f"repeated-{job.name}", job.name, scale_lake.DAY, run.record.started_at, "succeeded")
        record.inputs = {**pipeline._inputs(job, scale_lake.DAY), "taken down": pipeline._taken_down()}
        record.settings_hash, record.code_version = pipeline.settings.hash_of(job.settings), job.code_version
        for name in (*job.reads, *job.previous):
            kind = "upto" if name in job.reads else "before"
            record.reads.append(Slice(name, kind, *pipeline.ledger.written(name, kind, scale_lake.DAY)))
        run.record = record
        pipeline.ledger.append(record, pipeline.ledger.row(record))
    late = [(name, why) for name, why in pipeline.plan(scale_lake.DAY) if why]
    if late:
        raise ReelhouseError(f"the planted ledger does not say that all is up to date: {late}")
    return {}


STEPS = {"vector_files": vector_files, "repeat": repeat}
# What a step reads that an earlier one writes: made up where that one did not end.
INPUTS = {"vector_files": (tables.EMBEDDINGS, tables.HASHES)}

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
