"""Bar: density clusters of 5,000,000 x 128 on Spark without any step that needs all vectors in one process; at 200,000 the same clusters
as on one machine.

Groups as those of shared/tools/planted_clusters.py (60 of uneven size and spread, 10 % background, unit length), made in pieces. Memory:
the largest process that holds vectors (Python's; all vectors take 2.4 GB), and all processes together, the Java of Spark among them.
SPARK_CLUSTERS_ROWS asks for another number of rows.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from sklearn.metrics import adjusted_rand_score

from reelhouse import settings as settings_module
from reelhouse.features import as_lists, to_numpy
from reelhouse.lake import start_session
from reelhouse.sampling import NOISE, density_clusters
from reelhouse.sampling.partitioned import density_clusters_on_spark
from tests.benchmarks.scale import Usage

SIZES = (200_000, int(os.environ.get("SPARK_CLUSTERS_ROWS", "5_000_000")))
DIMENSION, GROUPS, MINIMUM_SIZE = 128, 60, 15
PIECE = 100_000


def run() -> list[dict[str, Any]]:
    rows = []
    session = start_session(
        settings_module.load(values={"spark.driver_memory": "6g", "spark.extra": {"spark.driver.maxResultSize": "4g"}}).spark
    )
    try:
        for n in SIZES:
            with tempfile.TemporaryDirectory() as folder:
                _write(Path(folder), n)
                rows += _measure(session, folder, n)
    finally:
        session.stop()
    return rows


def _write(folder: Path, n: int) -> None:
    """video_id, vector, group (-1: background) in files of PIECE rows."""
    groups = np.random.default_rng(0)
    centres = groups.normal(size=(GROUPS, DIMENSION))
    sizes, spread = groups.dirichlet(np.ones(GROUPS) * 0.6), groups.uniform(0.25, 0.6, GROUPS)
    for piece, at in enumerate(range(0, n, PIECE)):
        rng, count = np.random.default_rng([1, piece]), min(PIECE, n - at)
        group = rng.choice(GROUPS, count, p=sizes)
        vectors = centres[group] + rng.normal(size=(count, DIMENSION)) * spread[group][:, None]
        stray = rng.random(count) < 0.1
        vectors[stray], group[stray] = rng.normal(size=(int(stray.sum()), DIMENSION)) * 1.2, -1
        unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        ids = pa.array([f"v{row:08d}" for row in range(at, at + count)])
        pq.write_table(
            pa.table([ids, as_lists(unit), pa.array(group)], names=["video_id", "vector", "group"]), folder / f"{piece:05d}.parquet"
        )


def _measure(session: SparkSession, folder: str, n: int) -> list[dict[str, Any]]:
    kept: list[DataFrame] = []

    def keep(frame: DataFrame) -> DataFrame:
        kept.append(frame.persist(StorageLevel.DISK_ONLY))
        return frame

    planted = session.read.parquet(folder)
    began = time.perf_counter()
    usage = Usage(os.getpid())
    usage.start()
    try:
        found = density_clusters_on_spark(planted.select("video_id", "vector"), minimum_size=MINIMUM_SIZE, keep=keep)
        table = found.join(planted.select("video_id", "group"), on="video_id", how="inner").select("video_id", "cluster", "group").toArrow()
    finally:
        usage.stop()
    seconds = time.perf_counter() - began
    truth, labels = table["group"].to_numpy(), table["cluster"].fill_null(NOISE).to_numpy()
    assert len(labels) == n
    note = f"ARI with the planted groups {adjusted_rand_score(truth, labels):.3f}; all processes {usage.gigabytes:.1f} GB at their peak"
    name = f"{n:,} x {DIMENSION} on Spark"
    rows = [{"name": name, "value": f"{seconds:.0f}", "unit": "s", "bar": "", "note": note}]
    bar = f"less than all vectors take ({n * DIMENSION * 4 / 2**30:.1f} GB)" if n > 10**6 else ""
    rows.append(
        {"name": f"{name}: the largest Python process", "value": f"{usage.largest_python:.1f}", "unit": "GB", "bar": bar, "note": ""}
    )
    if n <= 10**6:
        rows.append(_agreement(name, planted, table))
    for frame in kept:
        frame.unpersist()
    return rows


def _agreement(name: str, planted: DataFrame, table: pa.Table) -> dict[str, Any]:
    vectors = to_numpy(planted)[1]
    here = density_clusters(vectors, minimum_size=MINIMUM_SIZE).labels
    labels = table.sort_by("video_id")["cluster"].fill_null(NOISE).to_numpy()
    score = adjusted_rand_score(here, labels)
    return {"name": f"{name}: agreement with one machine", "value": f"{score:.3f}", "unit": "ARI", "bar": "", "note": ""}
