"""Judge the day's candidate against the champion on the frozen evaluation rows, slice by slice, and promote it if all gates hold.

Reads   gold.training_snapshots, gold.training_examples (the day), silver.features, silver.text_features, silver.videos (as of the day),
        ops.promotions (before the day), the model registry
Writes  gold.evaluations, one day, replaced whole; ops.promotions, what the gates decided on the day
Rerun   safe: the same inputs give the same rows; what people decided stays
Launch  reelhouse job evaluate --date 2026-01-02
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.features import MODALITIES, Layout, assemble
from reelhouse.models import load
from reelhouse.models.inference import score
from reelhouse.run import Run
from reelhouse.sampling.candidates import keep_at_most
from reelhouse.training.champion import champion_of
from reelhouse.training.evaluation import figures_of, majority_accuracy, slices_of
from reelhouse.training.fit import SnapshotFacts
from reelhouse.training.gates import SliceFigures, decide
from reelhouse.training.version import version_of

GATES = "gates"
Figures = Mapping[str, Mapping[str, SliceFigures]]  # model_version -> slice -> figures


def main(run: Run) -> None:
    row = run.day(tables.SNAPSHOTS).head()
    if row is None:
        run.aside("there is no training snapshot for the day, so no candidate")
    snapshot = SnapshotFacts.of(row)
    candidate, champion = version_of(snapshot.snapshot_id, run.settings.training), champion_of(run.before(tables.PROMOTIONS))
    run.input("model", candidate)
    examples = run.day(tables.TRAINING_EXAMPLES).where(F.col("snapshot_id") == snapshot.snapshot_id)
    held_out, left_out = keep_at_most(examples.where(F.col("split") == "evaluation"), run.settings.gates.rows_max)
    if left_out:
        run.note(f"{left_out:,} evaluation rows were left out: gates.rows_max is {run.settings.gates.rows_max:,}")
    held_out = run.keep(held_out)
    facts = facts_of(held_out, run.upto(tables.VIDEOS))
    scored = {version: scores(run, held_out, version, snapshot) for version in dict.fromkeys((candidate, champion)) if version}
    counts = train_counts(examples, len(snapshot.label_ids))
    # the slices are by what the snapshot's rows hold, whatever a model's own encoders made of it
    about = scored[candidate][["video_id", "truth"]].merge(facts, on="video_id", how="left", validate="1:1")
    slices = slices_of(about, counts, dict(zip(facts["video_id"], facts["first_day"], strict=True)))
    figures = {version: figures_of(rows, slices) for version, rows in scored.items()}
    targets = np.array(facts["targets"].to_list(), np.float32).reshape(len(facts), len(snapshot.label_ids))
    baseline = majority_accuracy(targets, counts)
    run.publish(tables.EVALUATIONS, evaluations(run, figures))
    run.metric("baseline_accuracy", baseline)
    if "all" in figures[candidate]:
        run.metric("accuracy", figures[candidate]["all"].accuracy)
    settle(run, snapshot, candidate, champion, figures, baseline)


def settle(run: Run, snapshot: SnapshotFacts, candidate: str, champion: str | None, figures: Figures, baseline: float) -> None:
    """Writes what the gates decide; nothing when the model is the champion already."""
    rows = []
    if candidate == champion:
        run.note(f"the model is that of the day before: {champion} stays champion")
    else:
        decision = decide(figures[candidate], figures[champion] if champion else None, baseline, run.settings.gates)
        run.note(f"model {candidate} {decision.decision}: {decision.reason}")
        rows = [(candidate, snapshot.snapshot_id, decision.decision, GATES, champion, decision.reason, run.date)]
    run.publish(tables.PROMOTIONS, run.spark.createDataFrame(rows, tables.PROMOTIONS.spark_schema()), decided_by=GATES)


def scores(run: Run, held_out: DataFrame, version: str, snapshot: SnapshotFacts) -> pd.DataFrame:
    """One row an evaluation row, sorted by video_id; the model sees the features of its own encoders."""
    content = run.registry.load(version)
    layout = load(content).config.layout
    rows = held_out
    if layout != snapshot.layout:
        rows = with_layout(held_out, run.current(tables.FEATURES), run.current(tables.TEXT_FEATURES), layout)
    scored: pd.DataFrame = score(rows, run.spark.sparkContext.broadcast(content), snapshot.label_ids).toPandas()
    return scored.sort_values("video_id", ignore_index=True)


def with_layout(held_out: DataFrame, features: DataFrame, text_features: DataFrame, layout: Layout) -> DataFrame:
    """The evaluation rows with the features of another layout; where its encoders saw nothing of a video, all is missing."""
    wanted = held_out.select("video_id", "targets")
    steps = {"visual_steps": layout.steps("visual"), "audio_steps": layout.steps("audio")}
    arrays = assemble(features, text_features, layout, **steps)
    fixed = layout.with_steps(**steps)
    widths = {f: n for p in fixed.parts for f, n in ((p.modality, p.steps * p.dimension), (f"{p.modality}_mask", p.steps))}
    filled = [
        F.coalesce(F.col(name), F.array_repeat(F.lit(0.0).cast("float"), widths.get(name, 0))).alias(name)
        for name in arrays.columns
        if name != "video_id"
    ]
    return wanted.join(arrays, on="video_id", how="left").select("video_id", "targets", *filled)


def train_counts(examples: DataFrame, classes: int) -> list[int]:
    """Training rows with a yes, for each class."""
    yes = examples.where(F.col("split") == "train").select(F.posexplode("targets").alias("place", "target")).where(F.col("target") > 0)
    found = {row["place"]: row["count"] for row in yes.groupBy("place").count().collect()}
    return [found.get(i, 0) for i in range(classes)]


def facts_of(held_out: DataFrame, videos: DataFrame) -> pd.DataFrame:
    """video_id, targets, has_<modality>, first_day (None where silver.videos does not know the video) of each evaluation row."""
    first = videos.groupBy("video_id").agg(F.min("data_date").alias("first_day"))
    has = [F.coalesce(F.array_max(f"{m}_mask") > 0, F.lit(False)).alias(f"has_{m}") for m in MODALITIES]
    facts: pd.DataFrame = held_out.select("video_id", "targets", *has).join(first, on="video_id", how="left").toPandas()
    return facts


def evaluations(run: Run, figures: Figures) -> DataFrame:
    rows = [
        (version, name, metric, float(getattr(of_slice, metric)), of_slice.rows, run.date)
        for version, by_slice in figures.items()
        for name, of_slice in by_slice.items()
        for metric in ("accuracy", "macro_recall", "log_loss")
    ]
    return run.spark.createDataFrame(rows, tables.EVALUATIONS.spark_schema())
