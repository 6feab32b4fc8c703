"""Find labels that are likely wrong, so that training can leave them out and people can look at them again.

Reads   silver.labels, silver.features, silver.text_features (as of the day), the label tree
Writes  gold.loss_history, gold.label_noise, one day, replaced whole: every label that could be judged
Rerun   safe: same date, same inputs -> same rows
Launch  reelhouse job detect_label_noise --date 2026-01-02
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.features import layout_of, pooled_vectors, to_numpy
from reelhouse.noise import CLEAN, HARD, WRONG, NoiseScores, o2u_scores
from reelhouse.sampling.candidates import keep_at_most

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.labels import Taxonomy
    from reelhouse.run import Run
    from reelhouse.sections import NoiseSettings
    from reelhouse.tables import Table

# Not the run's seed: a label's verdict should change when labels or vectors do, not because another day has come.
SEED = 0


def inputs(run: Run) -> dict[str, str]:
    """The version of the label tree: which labels imply others, and their names in reasons."""
    return {"taxonomy": run.taxonomy(run.settings.noise.task).version}


def build(
    labels: pd.DataFrame, ids: np.ndarray, vectors: np.ndarray, taxonomy: Taxonomy, features_version: str, settings: NoiseSettings
) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """(gold.loss_history, gold.label_noise), without data_date: one row each for every label that was judged; the estimated share of
    wrong ones among them, 0..1.

    labels: video_id, label_id, as `most_specific` gives them. ids (n,) str, sorted, vectors (n, d): the videos' vectors; labels of
    other videos are not judged. Raises what o2u_scores raises.
    """
    at = np.searchsorted(ids, labels["video_id"].to_numpy(str))
    there = (at < len(ids)) & (ids[np.minimum(at, len(ids) - 1)] == labels["video_id"].to_numpy(str))
    rows = labels[there].reset_index(drop=True)
    names, given = np.unique(rows["label_id"].to_numpy(str), return_inverse=True)
    result = o2u_scores(
        vectors[at[there]],
        given,
        keys=(rows["video_id"] + "\0" + rows["label_id"]).to_numpy(str),
        seed=SEED,
        folds=settings.folds,
        cycles=settings.cycles,
        epochs_per_cycle=settings.epochs_per_cycle,
        minimum_per_class=settings.minimum_per_class,
    )
    rows = rows.assign(task=settings.task)[["video_id", "task", "label_id"]]
    history = rows.assign(
        mean_loss=result.losses.mean(axis=1, dtype=np.float64),
        loss_spread=result.losses.std(axis=1, dtype=np.float64),
        losses=list(result.losses),
        features_version=features_version,
    )
    verdicts = rows.assign(
        score=result.scores,
        verdict=result.verdicts,
        suggested_label_id=[names[s] if s >= 0 else None for s in result.suggested.tolist()],
        suggestion_confidence=[None if np.isnan(c) else c for c in result.suggestion_confidence.tolist()],
        reason=_reasons(result, given, names, taxonomy),
    )
    judged = result.verdicts != ""
    worst_first = verdicts.sort_values(["score", "video_id"], ascending=[False, True], kind="stable")
    verdicts["rank_in_class"] = (worst_first.groupby("label_id").cumcount() + 1).astype(np.int32)
    return history[judged], verdicts[judged], result.noise_rate


def main(run: Run) -> None:
    settings = run.settings.noise
    taxonomy = run.taxonomy(settings.task)
    answers = run.current(tables.LABELS).where((F.col("task") == settings.task) & (F.col("answer") == 1))
    labelled, left_out = keep_at_most(answers.select("video_id").distinct(), settings.rows_max)
    labels = most_specific(answers.join(labelled, "video_id", "left_semi").select("video_id", "label_id").toPandas(), taxonomy)
    run.progress(f"{len(labels):,} labels")
    if len(labels) < settings.minimum_labels:
        run.aside(f"{len(labels)} labels of the task {settings.task}, {settings.minimum_labels} are needed (noise.minimum_labels)")
    if left_out:
        run.note(f"labels of {left_out:,} videos were not judged: noise.rows_max is {settings.rows_max:,}")
    features, texts = run.current(tables.FEATURES), run.current(tables.TEXT_FEATURES)
    layout = layout_of(features, texts)
    # first chosen, then pooled: most videos have no label
    features, texts = (frame.join(labelled, "video_id", "left_semi") for frame in (features, texts))
    ids, vectors = to_numpy(pooled_vectors(features, texts, layout))
    reason = too_little(labels[labels["video_id"].isin(set(ids.tolist()))], settings)
    if reason:
        run.aside(reason)
    history, verdicts, noise_rate = build(labels, ids, vectors, taxonomy, layout.id, settings)
    run.metric("noise_rate", noise_rate)
    for verdict in (WRONG, HARD, CLEAN):
        run.metric(f"{verdict}_labels", int((verdicts["verdict"] == verdict).sum()))
    if len(verdicts) < len(labels):
        run.note(
            f"{len(labels) - len(verdicts):,} labels were not judged: no vector, or fewer than {settings.minimum_per_class} of their class"
        )
    run.publish(tables.LOSS_HISTORY, _frame(run, tables.LOSS_HISTORY, history))
    run.publish(tables.LABEL_NOISE, _frame(run, tables.LABEL_NOISE, verdicts))


def most_specific(labels: pd.DataFrame, taxonomy: Taxonomy) -> pd.DataFrame:
    """The labels that are in the tree and not implied by a deeper label of the same video, ordered by video_id, label_id."""
    known = labels[labels["label_id"].isin(taxonomy.ids)]
    implied = {
        (video, above) for video, label in zip(known["video_id"], known["label_id"], strict=True) for above in taxonomy.ancestors(label)
    }
    pairs = zip(known["video_id"], known["label_id"], strict=True)
    kept = np.array([pair not in implied for pair in pairs], dtype=bool)
    return known[kept].sort_values(["video_id", "label_id"], kind="stable", ignore_index=True)


def too_little(labels: pd.DataFrame, settings: NoiseSettings) -> str | None:
    """Why these labels (of videos with vectors) can't be judged; None if they can."""
    sizes = labels["label_id"].value_counts()
    classes = int((sizes >= max(settings.minimum_per_class, 2)).sum())
    if len(labels) < settings.minimum_labels:
        return f"{len(labels)} labels of videos with vectors, {settings.minimum_labels} are needed (noise.minimum_labels)"
    if classes < 2:
        return f"two classes with {settings.minimum_per_class} labels each are needed (noise.minimum_per_class); there are {classes}"
    return None


def _reasons(result: NoiseScores, given: np.ndarray, names: np.ndarray, taxonomy: Taxonomy) -> list[str]:
    paths = [taxonomy.path(name) for name in names]
    reasons = []
    for row, verdict in enumerate(result.verdicts.tolist()):
        said, count = int(result.neighbour_labels[row]), int(result.neighbour_counts[row])
        own = "its own label" if said == given[row] else paths[said]
        reason = f"held-out loss {result.loss_ratios[row]:.1f} x the class median; {count} of {result.neighbours} neighbours say {own}"
        reasons.append(f"{reason}; the model says {paths[result.suggested[row]]}" if verdict == WRONG else reason)
    return reasons


def _frame(run: Run, table: Table, rows: pd.DataFrame) -> DataFrame:
    schema = table.spark_schema()
    fields = [field for field in schema if field.name in rows.columns]
    return run.spark.createDataFrame(rows[[field.name for field in fields]], type(schema)(fields))
