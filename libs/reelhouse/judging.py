"""How models do on the frozen evaluation rows of a day's snapshot, row by row and slice by slice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.errors import NotFoundError
from reelhouse.features import MODALITIES, Layout, assemble
from reelhouse.lake import Lake
from reelhouse.models import load
from reelhouse.models.inference import score
from reelhouse.run import Run, seed_of
from reelhouse.sampling.candidates import keep_at_most
from reelhouse.sections import GateSettings
from reelhouse.training.evaluation import figures_of, majority_accuracy, slices_of
from reelhouse.training.fit import SnapshotFacts
from reelhouse.training.gates import Comparison, SliceFigures, compare


@dataclass(frozen=True)
class Judged:
    """figures: model_version -> slice -> figures. right: model_version -> (n,) bool, rows in order of video_id. slices: name -> (n,)
    bool. baseline: accuracy of always naming the most frequent class."""

    figures: dict[str, dict[str, SliceFigures]]
    right: dict[str, np.ndarray]
    slices: dict[str, np.ndarray]
    baseline: float

    def compared(self, one: str, other: str, settings: GateSettings, seed: int) -> list[Comparison]:
        return compare(self.right[one], self.right[other], self.slices, settings, seed)


def snapshot_of(run: Run) -> SnapshotFacts | None:
    row = run.day(tables.SNAPSHOTS).head()
    return SnapshotFacts.of(row) if row else None


def judge(run: Run, snapshot: SnapshotFacts, versions: Sequence[str]) -> Judged:
    """The models on the evaluation rows of the day's snapshot; the slices are by what those rows hold, whatever a model's own
    encoders made of it."""
    examples = run.day(tables.TRAINING_EXAMPLES).where(F.col("snapshot_id") == snapshot.snapshot_id)
    held_out, left_out = keep_at_most(examples.where(F.col("split") == "evaluation"), run.settings.gates.rows_max)
    if left_out:
        run.note(f"{left_out:,} evaluation rows were left out: gates.rows_max is {run.settings.gates.rows_max:,}")
    held_out = run.keep(held_out)
    facts = facts_of(held_out, run.upto(tables.VIDEOS), drawn_at_random(run))
    scored = {version: scores(run, held_out, version, snapshot) for version in dict.fromkeys(versions)}
    counts = train_counts(examples, len(snapshot.label_ids))
    about = scored[versions[0]][["video_id", "truth"]].merge(facts, on="video_id", how="left", validate="1:1")
    slices = slices_of(about, counts, dict(zip(facts["video_id"], facts["first_day"], strict=True)))
    targets = np.array(facts["targets"].to_list(), np.float32).reshape(len(facts), len(snapshot.label_ids))
    return Judged(
        {version: figures_of(rows, slices) for version, rows in scored.items()},
        {version: rows["right"].to_numpy(bool) for version, rows in scored.items()},
        slices,
        majority_accuracy(targets, counts),
    )


def scores(run: Run, held_out: DataFrame, version: str, snapshot: SnapshotFacts) -> pd.DataFrame:
    """One row an evaluation row, sorted by video_id; the model sees the features of its own encoders."""
    content = run.registry.load(version)
    config = load(content).config
    layout, taxonomy = config.layout, run.taxonomy(run.settings.training.task)
    became = {label: now for label in config.label_ids if (now := taxonomy.follow(label))}  # it may be of before a migration
    rows = held_out
    if layout != snapshot.layout:
        rows = with_layout(held_out, run.current(tables.FEATURES), run.current(tables.TEXT_FEATURES), layout)
    scored: pd.DataFrame = score(rows, run.spark.sparkContext.broadcast(content), snapshot.label_ids, became).toPandas()
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


def drawn_at_random(run: Run) -> DataFrame:
    """video_id of every video that was handed out for labelling before the day because it was drawn at random, once each."""
    is_drawn = (F.col("task") == run.settings.training.task) & F.col("is_random")
    batches = (run.before(table).where(is_drawn).select("video_id") for table in (tables.SAMPLE_BATCH, tables.ACTIVE_BATCH))
    return reduce(DataFrame.unionByName, batches).distinct()


def facts_of(held_out: DataFrame, videos: DataFrame, drawn: DataFrame) -> pd.DataFrame:
    """video_id, targets, has_<modality>, first_day (None where silver.videos does not know the video), is_random (whether `drawn` has
    it) of each evaluation row."""
    first = videos.groupBy("video_id").agg(F.min("data_date").alias("first_day"))
    has = [F.coalesce(F.array_max(f"{m}_mask") > 0, F.lit(False)).alias(f"has_{m}") for m in MODALITIES]
    chance = drawn.select("video_id", F.lit(True).alias("is_random"))
    rows = held_out.select("video_id", "targets", *has).join(first, on="video_id", how="left").join(chance, on="video_id", how="left")
    facts: pd.DataFrame = rows.withColumn("is_random", F.coalesce("is_random", F.lit(False))).toPandas()
    return facts


def newest_snapshot(lake: Lake) -> dt.date:
    """The day of the newest training snapshot. NotFoundError where there is none."""
    newest: dt.date | None = lake.read(tables.SNAPSHOTS).agg(F.max("data_date")).collect()[0][0]
    if newest is None:
        raise NotFoundError(f"there is no training snapshot in {lake.root} to judge models on: no day had enough labels yet")
    return newest


def compare_models(run: Run, one: str, other: str) -> list[Comparison]:
    """Two registered models on the evaluation rows of the run's day. NotFoundError where the day has no snapshot or no such rows."""
    snapshot = snapshot_of(run)
    if snapshot is None:
        raise NotFoundError(f"{run.date} has no training snapshot; give a --date that has one, or none for the newest")
    judged = judge(run, snapshot, [one, other])
    if not judged.slices:
        raise NotFoundError(f"snapshot {snapshot.snapshot_id} of {run.date} has no evaluation rows: nothing can be compared")
    seed = seed_of("evaluate", run.date)  # so that the intervals are those of the gates
    return judged.compared(one, other, run.settings.gates, seed)
