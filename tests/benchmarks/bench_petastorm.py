"""Bar: Petastorm with one reader worker gives a snapshot's rows at half the speed of pyarrow's own read of the same files, or better.

The snapshot is written as `build_training_set` writes one for four ranks: by the lake, to Delta, 4,000 rows of real widths. Both
readers take the columns that training takes, a row group at a time, to NumPy arrays of the same shapes and contents (compared once,
bit by bit). Warm, in turns within one run; the median round of each counts. Then one and two ranks train on the same files.
"""

from __future__ import annotations

import datetime as dt
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from reelhouse import settings as settings_module
from reelhouse import tables
from reelhouse.features import Layout, Part
from reelhouse.lake import Lake, start_session
from reelhouse.training import reading
from reelhouse.training.fit import SnapshotFacts, fit
from reelhouse.video import audio
from tests.training.one_rank import OneRank

DAY, SNAPSHOT = dt.date(2026, 1, 2), "0123456789ab"
ROWS, FILES, CLASSES = 4000, 4, 20
LAYOUT = Layout((Part("visual", "v", 1280, 4), Part("audio", "a", audio.DIMENSION, 8), Part("text", "t", 256, 1)))
ROUNDS = 5
EPOCHS = 6  # the first one is left out of the figures
RANKS = (("torch", 1), ("torch", 2), ("horovod", 2))


def write_snapshot(root: Path) -> list[str]:
    """The addresses of the snapshot's active files, as the job `train` gets them."""
    draw = np.random.default_rng(0)
    classes = draw.integers(0, CLASSES, ROWS)
    columns: dict[str, Any] = {
        "video_id": [f"video-{i:08d}" for i in range(ROWS)],
        "snapshot_id": [SNAPSHOT] * ROWS,
        "split": ["evaluation" if i % 5 == 0 else "train" for i in range(ROWS)],
        "weight": pa.array(np.ones(ROWS, np.float32)),
        "targets": lists(np.eye(CLASSES)[classes]),
    }
    for part in LAYOUT.parts:
        values = draw.standard_normal((ROWS, part.steps, part.dimension))
        values[:, :, :CLASSES] += 2.0 * np.eye(CLASSES)[classes][:, None]
        columns |= {part.modality: lists(values.reshape(ROWS, -1)), f"{part.modality}_mask": lists(np.ones((ROWS, part.steps)))}
    plain = root / "rows.parquet"
    parquet.write_table(pa.table(columns), plain)
    loaded = settings_module.load(values={"spark.master": "local[2]", "spark.driver_memory": "2g"})
    spark = start_session(loaded.spark, scratch=root / "scratch")
    try:
        lake, where = Lake(spark, str(root / "lake")), {"data_date": DAY, "snapshot_id": SNAPSHOT}
        rows = spark.read.parquet(str(plain)).selectExpr("*", f"date'{DAY}' AS data_date").select(*tables.TRAINING_EXAMPLES.names)
        lake.replace(tables.TRAINING_EXAMPLES, rows, where, count=ROWS, metadata={}, files=FILES)
        return lake.files(tables.TRAINING_EXAMPLES, where)
    finally:
        spark.stop()


def lists(rows: np.ndarray) -> pa.ListArray:
    flat = np.ascontiguousarray(rows, np.float32)
    return pa.ListArray.from_arrays(np.arange(0, flat.size + 1, flat.shape[1], dtype=np.int32), flat.reshape(-1))


def with_pyarrow(paths: Sequence[Path]) -> Iterator[reading.Rows]:
    """What `reading.read` yields, with pyarrow alone, as fast as it can: threads over columns, lists reshaped without a copy."""
    names = reading.columns(LAYOUT)
    for path in paths:
        file = parquet.ParquetFile(path)
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=names).combine_chunks()
            yield {name: as_numpy(table[name].chunk(0)) for name in names}


def as_numpy(column: pa.Array) -> np.ndarray:
    if pa.types.is_list(column.type):
        return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)
    if pa.types.is_string(column.type):
        return np.array(column.to_pylist(), dtype=str)
    return column.to_numpy(zero_copy_only=False)


def compare(ours: Iterator[reading.Rows], other: Iterator[reading.Rows]) -> None:
    """Both readers must give the same batches, or the race would not be fair."""
    for one, two in zip(ours, other, strict=True):
        for name in reading.columns(LAYOUT):
            if one[name].dtype != two[name].dtype or not np.array_equal(one[name], two[name]):
                raise RuntimeError(f"Petastorm and pyarrow differ in {name}: the comparison would not be fair")


def exhaust(batches: Iterator[reading.Rows]) -> int:
    return sum(len(rows["video_id"]) for rows in batches)


def race(files: Sequence[str]) -> dict[str, list[tuple[float, float]]]:
    """Seconds of each round by the clock and of the processor; the round that warms up is not among them."""
    paths = [Path(unquote(urlparse(file).path)) for file in sorted(files)]
    shard = reading.open_shard(files, OneRank(), ROWS)
    compare(reading.read(shard, LAYOUT), with_pyarrow(paths))
    runners: dict[str, Callable[[], int]] = {
        "petastorm": lambda: exhaust(reading.read(shard, LAYOUT)),
        "pyarrow": lambda: exhaust(with_pyarrow(paths)),
        "table": lambda: sum(parquet.read_table(path, partitioning=None).num_rows for path in paths),
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runners}
    for number in range(ROUNDS + 1):
        for name, runner in runners.items():
            begin, worked = time.perf_counter(), time.process_time()
            if runner() != ROWS:
                raise RuntimeError(f"{name} did not read {ROWS} rows")
            if number:
                seconds[name].append((time.perf_counter() - begin, time.process_time() - worked))
    return seconds


def epochs_of(files: Sequence[str], root: Path) -> dict[tuple[str, int], tuple[float, float]]:
    """(launcher, ranks) -> (median seconds of an epoch, seconds of the whole training with its start)."""
    snapshot = SnapshotFacts(SNAPSHOT, "category", tuple(f"c{i}" for i in range(CLASSES)), LAYOUT, ROWS)
    found = {}
    for launcher, ranks in RANKS:
        values = {"training.launcher": launcher, "training.ranks": ranks, "training.epochs": EPOCHS}
        begin = time.perf_counter()
        fitted = fit(snapshot, files, settings_module.load(values=values).training, root / f"{launcher}-{ranks}")
        whole = time.perf_counter() - begin
        found[launcher, ranks] = statistics.median(f["seconds"] for f in fitted.epochs[1:]), whole
    return found


def run() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Petastorm's, of pyarrow's deprecations
        root = Path(folder)
        files = write_snapshot(root)
        megabytes = sum(Path(unquote(urlparse(f).path)).stat().st_size for f in files) / 1e6
        return _figures(megabytes, race(files), epochs_of(files, root))


def _figures(
    megabytes: float, seconds: dict[str, list[tuple[float, float]]], epochs: dict[tuple[str, int], tuple[float, float]]
) -> list[dict[str, Any]]:
    petastorm, pyarrow, table = (statistics.median(s for s, _ in seconds[name]) for name in ("petastorm", "pyarrow", "table"))
    work, least = (statistics.median(s for _, s in seconds[name]) for name in ("petastorm", "pyarrow"))
    what = f"{ROWS} rows, {megabytes:.0f} MB in {FILES} files of one row group; warm, median of {ROUNDS}"
    one, two = epochs["torch", 1][0], epochs["torch", 2][0]
    rows = [
        ("Petastorm, share of pyarrow's rows/s to the same arrays", round(pyarrow / petastorm, 2), "", ">= 0.5", what),
        (
            "Petastorm, share of pyarrow's rows per second of the processor",
            round(least / work, 2),
            "",
            None,
            "which other load does not change",
        ),
        ("Petastorm, share of plain pyarrow.parquet.read_table", round(table / petastorm, 2), "", None, "which makes no NumPy arrays"),
        ("Petastorm", round(ROWS / petastorm), "rows/s", None, f"{petastorm:.2f} s, one reader worker"),
        ("pyarrow to arrays", round(ROWS / pyarrow), "rows/s", None, f"{pyarrow:.2f} s, {pa.cpu_count()} threads"),
        ("pyarrow.parquet.read_table", round(ROWS / table), "rows/s", None, f"{table:.2f} s"),
    ]
    rows += [
        (
            f"epoch, {ranks} rank{'s' * (ranks > 1)}, {launcher}",
            round(epoch, 2),
            "s",
            None,
            f"{whole:.0f} s for {EPOCHS} epochs with the start",
        )
        for (launcher, ranks), (epoch, whole) in epochs.items()
    ]
    scaling = "with torch; one thread a rank and the same batch size a rank, so half as many steps"
    rows.append(("training from 1 to 2 ranks", round(one / two, 2), "times as fast", None, scaling))
    return [dict(zip(("name", "value", "unit", "bar", "note"), row, strict=True)) for row in rows]


if __name__ == "__main__":
    for figure in run():
        print(figure)
