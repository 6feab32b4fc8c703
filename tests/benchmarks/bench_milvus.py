"""Bars: from Delta to searchable at 0.7 of the rows/s of a bare bulk import or better; reconcile of 500,000 ids in 60 s.

Both go to the same real server, one after the other: the bare one imports the same vectors from files that are there already, indexes
with the same parameters and loads; ours is the job load_vectors' full load from gold.embeddings: written by Spark, imported,
verified, indexed, named. Searchable means that every row is in the index. BENCH_MILVUS_ROWS sets another number of rows.
"""

from __future__ import annotations

import datetime as dt
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from jobs import load_vectors, reconcile
from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.lake import Lake, Ledger, compile_queries, start_session
from reelhouse.run import Run, Services
from reelhouse.vectors import KINDS, FullLoad, wanted_rows, with_facts, write_files
from tests.milvus_server import running_server

ROWS = int(os.environ.get("BENCH_MILVUS_ROWS", "500000"))
DIMENSION, VERSION, DAY = 128, "f00d", dt.date(2026, 1, 1)
KIND = KINDS[0]
DIFFERING = 1000  # ids lost before the second comparison


def plant(lake: Lake, root: Path) -> np.ndarray:
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(ROWS, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = pa.array([f"video-{i:08d}" for i in range(ROWS)])
    flat = pa.ListArray.from_arrays(np.arange(0, vectors.size + 1, DIMENSION, dtype=np.int32), vectors.reshape(-1))
    parquet.write_table(pa.table({"video_id": ids, "vector": flat}), root / "rows.parquet")
    rows = lake.spark.read.parquet(str(root / "rows.parquet"))
    place = {"data_date": DAY, "model_version": VERSION}
    whole = rows.selectExpr("video_id", f"'{VERSION}' AS model_version", "vector", f"date'{DAY}' AS data_date")
    lake.replace(tables.EMBEDDINGS, whole.select(*tables.EMBEDDINGS.names), place, count=ROWS, metadata={}, files=4)
    filled = {"video_id": "video_id", "text": "'words' AS text", "language": "'en' AS language", "is_meaningful": "true AS is_meaningful"}
    filled["data_date"] = f"date'{DAY}' AS data_date"
    empty = {c.name: "array()" if c.type.startswith("array") else "NULL" for c in tables.VIDEO_TEXT.columns}
    others = {c.name: f"CAST({empty[c.name]} AS {c.type}) AS {c.name}" for c in tables.VIDEO_TEXT.columns}
    text = rows.selectExpr(*(others | filled).values()).select(*tables.VIDEO_TEXT.names)
    lake.replace(tables.VIDEO_TEXT, text, {"data_date": DAY}, count=ROWS, metadata={}, files=4)
    return vectors


def bare(store: Any, files: list[Any], minutes: float) -> dict[str, float]:
    """Seconds since the start at the end of: the import, the load, the index."""
    made, begin, told = FullLoad(store, KIND.name, "bare"), time.perf_counter(), {}
    made.begin(DIMENSION)
    made.import_files(files, 2, minutes)
    told["import"] = time.perf_counter() - begin
    store.call("create_index", made.staging, store.index_parameters(KIND.name))
    store.call("load_collection", made.staging, timeout=60 * minutes)
    told["load"] = time.perf_counter() - begin
    made._wait_for_index(ROWS, minutes)
    told["index"] = time.perf_counter() - begin
    store.call("drop_collection", made.staging)
    return told


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder) / "milvus") as server:
        root = Path(folder)
        values = {"storage.root": str(root / "lake"), "vectors.uri": server.uri, "vectors.import_folder": str(root / "import"),
                  "spark.master": "local[2]", "spark.driver_memory": "3g"}  # fmt: skip
        settings = settings_module.load(values=values)
        spark = start_session(settings.spark, scratch=root / "scratch")
        compile_queries(spark, settings.spark)  # as the pipeline does for so many rows
        lake = Lake(spark, settings.storage.root)
        services = Services(settings, lake.root)
        try:
            return measured(root, settings, lake, services)
        finally:
            services.close()
            spark.stop()


def measured(root: Path, settings: Any, lake: Lake, services: Services) -> list[dict[str, Any]]:
    vectors = plant(lake, root)
    job = Run("load_vectors", DAY, settings, lake, Ledger(lake), services, lambda text: print("  ", text, flush=True))
    (root / "bare").mkdir()
    rows = wanted_rows(job.current(KIND.table), KIND, VERSION)
    facts = with_facts(rows, job.current(tables.VIDEO_ARRIVALS), job.current(tables.PREDICTIONS), VERSION)
    files = write_files(facts, KIND.name, root / "bare", settings.vectors.import_rows)
    told = bare(services.vectors, files, settings.vectors.import_minutes)
    print("   bare", told, flush=True)
    begin = time.perf_counter()
    load_vectors.load_all(job, KIND, VERSION)
    ours = time.perf_counter() - begin
    print("   ours", ours, flush=True)
    found = {}
    begin = time.perf_counter()
    found["same"] = dict(reconcile.reconcile(job, KIND, VERSION))
    same = time.perf_counter() - begin
    services.vectors.delete(KIND.name, VERSION, [f"video-{i:08d}" for i in range(0, ROWS, ROWS // DIFFERING)])
    begin = time.perf_counter()
    found["lost"] = dict(reconcile.reconcile(job, KIND, VERSION))
    lost = time.perf_counter() - begin
    if {k: v for k, v in found["same"].items() if v} or found["lost"].get("missing") != DIFFERING:
        raise RuntimeError(f"reconcile found what is not so: {found}")
    what = f"{ROWS:,} x {DIMENSION}; bare: import {told['import']:.0f} s, loaded at {told['load']:.0f} s, indexed at {told['index']:.0f} s"
    figures = [
        ("from Delta to searchable, share of the bare import's rows/s", round(told["index"] / ours, 2), "", ">= 0.7", what),
        ("from Delta to searchable", round(ROWS / ours), "rows/s", None, f"{ours:.0f} s"),
        ("reconcile, nothing differs", round(same, 1), "s", "<= 60", f"{ROWS:,} ids"),
        (f"reconcile, {DIFFERING} lost", round(lost, 1), "s", "<= 60", "compared, written again, what was written compared"),
        ("recall@10 of HNSW", recall(services.vectors, vectors), "", None, "50 queries against brute force, uniform vectors"),
    ]
    return [dict(zip(("name", "value", "unit", "bar", "note"), row, strict=True)) for row in figures]


def recall(store: Any, vectors: np.ndarray) -> float:
    hits = 0
    for query in vectors[:: len(vectors) // 50][:50]:
        best = {f"video-{i:08d}" for i in np.argpartition(-(vectors @ query), 10)[:10]}
        hits += len(best & {video_id for video_id, _ in store.similar(VERSION, query, 10)})
    return round(hits / 500, 3)


if __name__ == "__main__":
    for figure in run():
        print(figure)
