"""Small snapshots on disk, written as Parquet by pyarrow: what the ranks read."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from reelhouse.features import Layout, Part
from reelhouse.models import ModelConfig
from reelhouse.training.loop import Plan

LAYOUT = Layout((Part("visual", "v", 6, 2), Part("text", "t", 5, 1)))
LABELS = ("a", "b", "c")


def write_snapshot(
    folder: Path, *rows_per_file: int, seed: int = 0, splits=("train", "train", "train", "evaluation"), gaps: bool = False
) -> tuple[str, ...]:
    """One file of one row group for each number; the class shows in picture and text. Returns addresses as Spark writes them.

    gaps: every third row lacks its second picture, whose place is filled with nonsense, and every other row weighs a quarter.
    """
    draw = np.random.default_rng(seed)
    files = []
    for number, rows in enumerate(rows_per_file):
        classes = draw.integers(0, 3, rows)
        targets = np.eye(3)[classes]
        visual = draw.standard_normal((rows, 2, 6)) * 0.5
        visual[:, :, :3] += targets[:, None]
        text = draw.standard_normal((rows, 5)) * 0.5
        text[:, :3] += targets
        mask, weights = np.ones((rows, 2)), np.ones(rows)
        if gaps:
            mask[::3, 1], visual[::3, 1], weights[::2] = 0, 1000.0, 0.25
        table = pa.table(
            {
                "video_id": [f"v{number}-{i:03d}" for i in range(rows)],
                "snapshot_id": ["s"] * rows,
                "split": [splits[i % len(splits)] for i in range(rows)],
                "weight": pa.array(weights, pa.float32()),
                "targets": lists(targets),
                "visual": lists(visual.reshape(rows, 12)),
                "visual_mask": lists(mask),
                "audio": lists(np.zeros((rows, 0))),
                "audio_mask": lists(np.zeros((rows, 0))),
                "text": lists(text),
                "text_mask": lists(np.ones((rows, 1))),
            }
        )
        path = folder / "data_date=2026-01-02" / f"part {number}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(table, path)
        files.append("file:" + str(path).replace(" ", "%20"))
    return tuple(files)


def lists(rows: np.ndarray) -> pa.Array:
    return pa.array([r.astype(np.float32) for r in rows], pa.list_(pa.float32()))


def plan_of(files: tuple[str, ...], rows: int, **values) -> Plan:
    model = ModelConfig("category", LABELS, LAYOUT, 8, hidden=16, **values.pop("model", {}))
    defaults = {"epochs": 4, "batch_size": 16, "learning_rate": 0.01, "seed": 7, "checkpoint_epochs": 2}
    return Plan(model=model, files=files, rows=rows, **defaults | values)
