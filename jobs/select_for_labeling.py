"""Choose what people should label next from what the served model was unsure of: active learning.

Reads   gold.predictions, gold.embeddings, ops.serving, gold.active_batch (before the day), silver.copies, silver.labels,
        bronze.label_exports, gold.sample_batch (as of the day)
Writes  gold.active_batch, one day, replaced whole
Rerun   safe: same date, same inputs -> same rows
Launch  reelhouse job select_for_labeling --date 2026-01-02
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.features import UNTRAINED, to_numpy
from reelhouse.sampling import select_for_labeling
from reelhouse.sampling.candidates import groups_and_covered, keep_at_most, labelled_videos, served_version, settled_videos

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from reelhouse.run import Run
    from reelhouse.settings import SamplingSettings

Top = list[dict[str, Any]]


def build(
    ids: np.ndarray, vectors: np.ndarray, tops: list[Top], groups: np.ndarray, covered: np.ndarray, settings: SamplingSettings, seed: int
) -> pd.DataFrame:
    """gold.active_batch, without data_date.

    ids (n,) str; vectors (n, d); tops: per video its best labels (label_id, path, probability), best first; groups (n,): copies,
    of which only the first is looked at; covered (n,) bool: settled, never chosen.
    """
    first = np.sort(np.unique(groups, return_index=True)[1])
    found = select_for_labeling(
        vectors[first],
        sparse_probabilities([tops[i] for i in first.tolist()]),
        budget=settings.active_budget,
        chosen=np.flatnonzero(covered[first]),
        strategy=settings.strategy,
        seed=seed,
    )
    rows = first[found.indices]
    return pd.DataFrame(
        {
            "video_id": ids[rows],
            "task": settings.task,
            "rank": np.arange(1, len(rows) + 1, dtype=np.int32),
            "reason": [_reason(tops[i], settings.strategy) for i in rows.tolist()],
            "score": found.scores,
            "is_random": settings.strategy == "random",
        }
    )


def main(run: Run) -> None:
    settings = run.settings.sampling
    version = served_version(run.before(tables.SERVING))
    if version is None or version.startswith(UNTRAINED):
        run.aside("no trained model was served before this day: gold.sample_batch says what to label")
    labels = run.current(tables.LABELS)
    known = labelled_videos(settings.task, labels).count()
    if known < settings.cold_start_labels:
        run.aside(f"{known} labelled videos, active learning starts at sampling.cold_start_labels = {settings.cold_start_labels}")
    of_model = F.col("model_version") == version
    tops = run.previous(tables.PREDICTIONS).where(of_model & (F.col("task") == settings.task)).select("video_id", "top")
    vectors = run.previous(tables.EMBEDDINGS).where(of_model).join(tops, on="video_id", how="left_semi")
    kept, left_out = keep_at_most(vectors, settings.rows_max)
    if left_out:
        tops = tops.join(kept.select("video_id"), on="video_id", how="left_semi")
        run.note(f"{left_out:,} videos were left out: sampling.rows_max is {settings.rows_max:,}")
    ids, matrix = to_numpy(kept)
    batches = run.upto(tables.SAMPLE_BATCH), run.before(tables.ACTIVE_BATCH)
    settled = settled_videos(settings.task, labels, run.upto(tables.LABEL_EXPORTS), *batches)
    groups, covered = groups_and_covered(ids, kept, run.current(tables.COPIES), settled)
    top_of = {row.video_id: [entry.asDict() for entry in row.top or []] for row in tops.toLocalIterator()}
    batch = build(ids, matrix, [top_of[video] for video in ids.tolist()], groups, covered, settings, run.seed)
    run.input("model_version", str(version))
    schema = tables.ACTIVE_BATCH.spark_schema()
    frame = run.spark.createDataFrame(batch, type(schema)([field for field in schema if field.name in batch.columns]))
    run.publish(tables.ACTIVE_BATCH, frame)


def sparse_probabilities(tops: list[Top]) -> csr_matrix:
    """(n, classes + 1) with the best classes of each video; classes are all labels that are among anybody's best, the last column
    stands for those that are not."""
    from scipy.sparse import csr_matrix

    labels = sorted({entry["label_id"] for top in tops for entry in top})
    column = {label: i for i, label in enumerate(labels)}
    ends = np.cumsum([0, *(len(top) for top in tops)])
    columns = [column[entry["label_id"]] for top in tops for entry in top]
    values = [float(entry["probability"]) for top in tops for entry in top]
    return csr_matrix((values, columns, ends), shape=(len(tops), len(labels) + 1))


def _reason(top: Top, strategy: str) -> str:
    if strategy == "random":
        return "drawn at random"
    if strategy == "coreset":
        return "unlike anything that was chosen or labelled so far"
    if strategy == "typiclust":
        return "typical of videos of which few were labelled so far"
    if not top:
        return "the model says nothing of it"
    best = " or ".join(f"{entry['path']} ({entry['probability']:.0%})" for entry in top[:2])
    return f"the model is unsure: {best}"
