"""What the next labels will bring and what they should be spent on: `reelhouse labels plan`, read from the lake as of a day."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.errors import NotFoundError
from reelhouse.features import Layout, pooled_vectors, to_numpy
from reelhouse.labels.fold import MANIFEST, MIGRATION
from reelhouse.run import Run
from reelhouse.sampling.budget import Known, Part, split_budget
from reelhouse.sampling.candidates import keep_at_most, labelled_videos, settled_videos
from reelhouse.sampling.expansion import Inputs, expand
from reelhouse.sampling.planning import Expected, LearningCurve, fit_curve, principal_components, probe

_KEY = ["video_id", "task", "label_id"]
HELD_OUT_MIN = 20  # below so many held-out labels an accuracy says nothing


@dataclass(frozen=True)
class LabelPlan:
    """day: of the snapshot that the curve was measured on; labels: that it holds. measured: what the probe reached on parts of them,
    each with the curve's interval; ahead: what to expect with half the budget, the budget and twice the budget more. parts: of the
    budget, its sum. served: accuracy of the served model on the evaluation rows of its last evaluation, None without one."""

    day: dt.date
    labels: int
    held_out: int
    measured: list[tuple[int, float, Expected]]
    ahead: list[tuple[int, Expected]]
    parts: list[Part]
    served: float | None
    confidence: float
    notes: list[str]


def plan_labels(run: Run, budget: int) -> LabelPlan:
    """What `budget` more labels bring, as of the run's day. NotFoundError says what is missing where nothing can be said yet."""
    settings = run.settings
    task = settings.sampling.task
    snapshot = run.upto(tables.SNAPSHOTS).where(F.col("task") == task).orderBy(F.desc("data_date")).first()
    if snapshot is None:
        raise NotFoundError(
            f"no labels can be planned for {run.date}: there is no training snapshot of task {task} yet. It takes "
            f"training.minimum_labels = {settings.training.minimum_labels} labelled videos with features and two classes; "
            "label what gold.label_queue lists"
        )
    notes: list[str] = []
    curve, taught, held, measured = _curve(run, snapshot, notes)
    total = snapshot.train_rows + snapshot.calibration_rows + snapshot.evaluation_rows
    share = (total - snapshot.evaluation_rows) / total  # of new labels too some will be held out
    ahead = [(more, curve.at(taught + round(share * more))) for more in (0, budget // 2, budget, 2 * budget)]
    parts = split_budget(
        budget,
        _known(run, ahead[0][1].accuracy, budget),
        random_share=settings.sampling.random_share,
        rare_share=settings.sampling.rare_share,
        half_width=settings.plan.half_width,
    )
    return LabelPlan(snapshot.data_date, total, held, measured, ahead, parts, _served_accuracy(run), curve.confidence, notes)


def _curve(run: Run, snapshot: Any, notes: list[str]) -> tuple[LearningCurve, int, int, list[tuple[int, float, Expected]]]:
    """(the curve, rows that the snapshot teaches by, held-out rows that the curve was judged by, what was measured)."""
    rows_max = run.settings.plan.rows_max
    named = F.array_position("targets", 1.0).cast("int").alias("place")  # from 1; 0 without a yes
    examples = run.upto(tables.TRAINING_EXAMPLES).where(
        (F.col("snapshot_id") == snapshot.snapshot_id) & (F.col("data_date") == snapshot.data_date)
    )
    classes = run.keep(examples.select("video_id", "split", named).where("place > 0"))
    taught, left_out = keep_at_most(classes.where("split <> 'evaluation'"), rows_max)
    held, _ = keep_at_most(classes.where("split = 'evaluation'"), rows_max)
    place_of, held_of = ({row.video_id: row.place for row in frame.toLocalIterator()} for frame in (taught, held))
    if not place_of or not held_of:
        raise NotFoundError(
            f"no labels can be planned for {run.date}: snapshot {snapshot.snapshot_id} of {snapshot.data_date} has {len(place_of)} rows to "
            f"learn from and {len(held_of)} to be judged by, with a label of their own; a few of each are needed"
        )
    if left_out:
        notes.append(f"the curve was measured on {rows_max:,} of {rows_max + left_out:,} labels (plan.rows_max)")
    if len(held_of) < HELD_OUT_MIN:
        notes.append(f"only {len(held_of)} labels are held out: the interval is wide")
    wanted = taught.select("video_id").union(held.select("video_id"))
    features, texts = (run.current(table).join(wanted, on="video_id", how="left_semi") for table in (tables.FEATURES, tables.TEXT_FEATURES))
    ids, vectors = to_numpy(pooled_vectors(features, texts, Layout.from_json(snapshot.layout)))
    learns, judges = np.isin(ids, list(place_of)), np.isin(ids, list(held_of))
    known = np.array([(place_of | held_of)[video] for video in ids.tolist()])
    seed = run.seed
    near, far = principal_components(vectors[learns], vectors[judges], seed=seed)
    probed = probe(near, known[learns], far, known[judges], seed=seed)
    curve = fit_curve(probed, seed=seed)
    reached = probed.hits.mean(axis=(0, 2)).tolist()
    measured = [(size, hit, curve.at(size)) for size, hit in zip(probed.sizes.tolist(), reached, strict=True)]
    return curve, int(learns.sum()) + left_out, int(judges.sum()), measured


def _known(run: Run, accuracy: float, budget: int) -> Known:
    """What the split goes by."""
    sampling = run.settings.sampling
    of_task = F.col("task") == sampling.task
    labels, copies = run.keep(run.current(tables.LABELS)), run.current(tables.COPIES)
    batches = run.upto(tables.SAMPLE_BATCH), run.upto(tables.ACTIVE_BATCH)
    settled = run.keep(settled_videos(sampling.task, labels, run.upto(tables.LABEL_EXPORTS), *batches))
    expansion = expand(Inputs.of(run.current, labels, copies, settled), sampling, min(budget, sampling.rows_max), run.keep)
    by_chance = reduce(DataFrame.unionByName, (batch.where(of_task & F.col("is_random")).select("video_id") for batch in batches))
    drawn = by_chance.distinct().join(labelled_videos(sampling.task, labels), on="video_id", how="left_semi")
    wrong = of_task & (F.col("verdict") == "wrong")
    accused = run.upto(tables.LABEL_NOISE).where(wrong).groupBy(*_KEY).agg(F.min("data_date").alias("since"))
    again = run.keep(asked_again(accused, labels, run.upto(tables.LABEL_EVENTS), run.current(tables.TAXONOMY)))
    standing = run.current(tables.LABEL_NOISE).where(wrong).join(labels.where("answer = 1"), on=_KEY, how="left_semi")
    return Known(
        accuracy=accuracy,
        random=drawn.count(),
        rare=len(expansion.found),
        suspects=standing.join(again, on=_KEY, how="left_anti").count(),
        asked_again=again.count(),
        changed=again.where("answer <> 1").count(),
    )


def asked_again(accused: DataFrame, labels: DataFrame, events: DataFrame, taxonomy: DataFrame) -> DataFrame:
    """video_id, task, label_id, answer (1, 0, -1: what people say together now) of the labels that looked wrong and about which a person
    answered on a later day, once each: about the label itself, or by a yes to another than one above it, which rules it out.

    accused: video_id, task, label_id, since: day of the first verdict. labels: silver.labels, taxonomy: silver.taxonomy, newest rows;
    events: bronze.label_events. What only a migration or the manifest changed was no answer.
    """
    above = taxonomy.select("task", "label_id", "ancestors")
    said = events.where(F.col("annotator_id") != MANIFEST).select(
        "video_id", "task", F.col("label_id").alias("said"), F.col("answer").alias("says"), F.col("data_date").alias("said_on")
    )
    is_about = (F.col("said") == F.col("label_id")) | (
        (F.col("says") == 1) & ~F.coalesce(F.array_contains("ancestors", F.col("said")), F.lit(False))
    )
    answered = accused.join(above, on=["task", "label_id"], how="left").join(said, on=["video_id", "task"], how="inner")
    known = answered.where(is_about & (F.col("said_on") > F.col("since"))).select(*_KEY).distinct()
    return labels.where(F.col("source") != MIGRATION).join(known, on=_KEY, how="left_semi").select(*_KEY, "answer")


def _served_accuracy(run: Run) -> float | None:
    """Of the model that readers saw on the day, in its last evaluation."""
    served = run.upto(tables.SERVING).orderBy(F.desc("data_date")).first()
    if served is None:
        return None
    told = run.upto(tables.EVALUATIONS).where("slice = 'all' AND metric = 'accuracy'").where(F.col("model_version") == served.model_version)
    newest = told.orderBy(F.desc("data_date")).first()
    return newest.value if newest else None
