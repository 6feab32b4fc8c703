"""A training snapshot: labelled videos with their features, targets, weights and a split that a copy group keeps for ever."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.features import Layout, assemble, layout_of
from reelhouse.sections import TrainingSettings
from reelhouse.training.targets import Classes, choose_classes, targets_of, teaches

if TYPE_CHECKING:
    from reelhouse.labels import Taxonomy

# Part of the hash that decides a copy group's split. Another salt would move videos that models were judged on into training.
_SALT = "reelhouse split 1"
_CALIBRATION_SHARE = 0.1
# Below so many rows a temperature can't be fitted (models.calibration.ROWS_MIN), and they serve better for training.
_CALIBRATION_ROWS_MIN = 30
# Settings that decide what a snapshot holds.
_SPLITS = ("train", "calibration", "evaluation")
_JUDGED = ["video_id", "split", "coverage", "weight", "targets"]
_SETTINGS = {"task", "minimum_per_class", "evaluation_share", "visual_steps", "audio_steps", "suspect_weight"}
# A file is what one rank reads at a time; so many bytes of floats fit everywhere.
_FILE_BYTES = 256_000_000


@dataclass(frozen=True)
class Inputs:
    """What a snapshot is made from, as of its day: rows of silver.labels, gold.label_noise, silver.copies, silver.features and
    silver.text_features, one a key."""

    labels: DataFrame
    noise: DataFrame
    copies: DataFrame
    features: DataFrame
    text_features: DataFrame


@dataclass(frozen=True)
class Snapshot:
    """`examples` and `summary` have the columns of gold.training_examples and gold.training_snapshots, without data_date.
    files: how many files the examples are to be written to. metrics: what the job reports."""

    snapshot_id: str
    examples: DataFrame
    summary: DataFrame
    files: int
    metrics: Mapping[str, float]


class TooFewLabelsError(Exception):
    """Not enough to learn from; the message says what is missing. The job steps aside."""


def build_snapshot(
    inputs: Inputs, taxonomy: Taxonomy, settings: TrainingSettings, keep: Callable[[DataFrame], DataFrame] = lambda rows: rows
) -> Snapshot:
    """Choose classes, make targets, split, and put the features beside them.

    Labels with verdict `wrong` weigh settings.suspect_weight (0: left out). A copy group is in split evaluation by a hash of its
    name, whatever the day, and the rest in train; a tenth of the rest is split calibration where that is at least 30 rows.
    keep: holds what is used more than once until the caller is done with the snapshot (Run.keep); by default it is computed again.
    Raises TooFewLabelsError below settings.minimum_labels labelled videos or with less than two classes.
    """
    layout = layout_of(inputs.features, inputs.text_features).with_steps(
        visual_steps=settings.visual_steps, audio_steps=settings.audio_steps
    )
    coverage = _coverage(inputs, layout)
    answers = keep(_answers(inputs, taxonomy, settings).join(coverage, on="video_id", how="inner"))
    classes, counts = _choose(answers, taxonomy, settings)
    judged = keep(_judged(answers, classes))
    facts = _facts(judged)
    if facts["calibration"][0] < _CALIBRATION_ROWS_MIN:
        facts["train"] = facts["train"][0] + facts["calibration"][0], facts["train"][1] + facts["calibration"][1]
        del facts["calibration"]
        judged = judged.withColumn("split", F.when(F.col("split") == "evaluation", "evaluation").otherwise("train"))
    per_split = {split: rows for split, (rows, _) in facts.items()}
    parts = [sorted(facts.items()), classes.label_ids, layout.to_json(), settings.model_dump(include=_SETTINGS)]
    snapshot_id = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
    # first chosen, then put side by side: most videos have no label
    features, texts = (f.join(judged.select("video_id"), on="video_id", how="left_semi") for f in (inputs.features, inputs.text_features))
    arrays = assemble(features, texts, layout, visual_steps=settings.visual_steps, audio_steps=settings.audio_steps)
    examples = judged.join(arrays, on="video_id", how="inner").withColumn("snapshot_id", F.lit(snapshot_id))
    rows = sum(per_split.values())
    row_bytes = 4 * sum(layout.width(p.modality) for p in layout.parts)
    return Snapshot(
        snapshot_id,
        examples.select(*tables.TRAINING_EXAMPLES.undated),
        _summary(inputs.labels, snapshot_id, classes, layout, settings, per_split),
        files=max(settings.ranks, -(-rows * row_bytes // _FILE_BYTES)),
        metrics=counts | {f"{split}_rows": float(count) for split, count in per_split.items()} | {"classes": float(len(classes.label_ids))},
    )


def _coverage(inputs: Inputs, layout: Layout) -> DataFrame:
    """Per video with any feature of the layout: which steps it has, of what, from which day. Part of the snapshot's id: a
    corrected file changes its features, and with them the snapshot, though its labels stay."""
    columns = ["video_id", "modality", "encoder_id", "source_sha256", "steps", "data_date"]
    rows = inputs.features.select(*columns).unionByName(inputs.text_features.select(*columns))
    wanted = F.lit(False)
    for part in layout.parts:
        wanted = wanted | ((F.col("modality") == part.modality) & (F.col("encoder_id") == part.encoder_id))
    fact = F.concat_ws(":", "modality", "source_sha256", "steps", F.col("data_date").cast("string"))
    rows = rows.where(wanted & (F.col("steps") > 0))
    return rows.groupBy("video_id").agg(F.concat_ws(" ", F.sort_array(F.collect_set(fact))).alias("coverage"))


def _answers(inputs: Inputs, taxonomy: Taxonomy, settings: TrainingSettings) -> DataFrame:
    """video_id, label_id, answer (1 or 0), weight, split (train, calibration or evaluation): one row a label that counts."""
    # only noise of the same label that was judged; a video without a row in copies is alone in its group
    noise = inputs.noise.where(F.col("task") == settings.task).select("video_id", "label_id", "verdict")
    suspect = F.coalesce(F.col("verdict") == "wrong", F.lit(False))
    weight = F.when(suspect, F.lit(settings.suspect_weight)).otherwise(F.lit(1.0)).cast("float")
    labels = inputs.labels.where((F.col("task") == settings.task) & F.col("answer").isin(1, 0) & F.col("label_id").isin(taxonomy.ids))
    return (
        labels.join(noise, on=["video_id", "label_id"], how="left")
        .join(inputs.copies.select("video_id", "copy_group"), on="video_id", how="left")
        .withColumn("weight", weight)
        .where(F.col("weight") > 0)
        .select("video_id", "label_id", "answer", "weight", split_of(F.coalesce("copy_group", "video_id"), settings.evaluation_share))
    )


def split_of(group: Column, evaluation_share: float) -> Column:
    """The split of a copy group, by its name alone."""
    held_out = F.pmod(F.xxhash64(F.lit(_SALT), group), F.lit(1_000_000)) < round(evaluation_share * 1_000_000)
    calibrating = F.pmod(F.xxhash64(F.lit(_SALT + " calibration"), group), F.lit(1_000_000)) < round(_CALIBRATION_SHARE * 1_000_000)
    return F.when(held_out, "evaluation").when(calibrating, "calibration").otherwise("train").alias("split")


def _choose(answers: DataFrame, taxonomy: Taxonomy, settings: TrainingSettings) -> tuple[Classes, dict[str, float]]:
    videos = answers.select("video_id").distinct().count()
    if videos < settings.minimum_labels:
        raise TooFewLabelsError(
            f"{videos} labelled videos with features for task {settings.task}; a model needs training.minimum_labels = "
            f"{settings.minimum_labels}. Label what gold.label_queue lists"
        )
    lineage = [(label, above) for label in taxonomy.ids for above in [label, *taxonomy.ancestors(label)]]
    upwards = answers.sparkSession.createDataFrame(lineage, "label_id string, above string")
    own = F.col("label_id") == F.col("above")
    yes = answers.where(F.col("answer") == 1).join(F.broadcast(upwards), on="label_id", how="inner")
    counted = yes.groupBy("above").agg(
        F.countDistinct("video_id").alias("subtree"),
        F.countDistinct(F.when(own, F.col("video_id"))).alias("own"),
        F.countDistinct(F.when(own & (F.col("split") == "train"), F.col("video_id"))).alias("train"),
    )
    counts = {row.above: row for row in counted.collect()}
    subtree, train = {label: r.subtree for label, r in counts.items()}, {label: r.train for label, r in counts.items()}
    classes = choose_classes(taxonomy, subtree, train, settings.minimum_per_class)
    if len(classes.label_ids) < 2:
        raise TooFewLabelsError(
            f"{len(classes.label_ids)} of the labels of task {settings.task} have training.minimum_per_class = "
            f"{settings.minimum_per_class} videos; a model needs two. Label more videos of different classes"
        )
    homeless = sum(row.own for label, row in counts.items() if label not in classes.class_of)
    return classes, {"labelled_videos": float(videos), "labels_too_rare": float(homeless)}


def _judged(answers: DataFrame, classes: Classes) -> DataFrame:
    """video_id, split, weight, targets, coverage: one row a video that teaches something."""

    def judge(batches: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
        for batch in batches:
            targets = [targets_of([(a["label_id"], a["answer"]) for a in video], classes) for video in batch["given"]]
            kept = [teaches(row) for row in targets]
            yield batch.assign(targets=targets).loc[kept, _JUDGED]

    grouped = answers.groupBy("video_id", "split", "coverage").agg(
        F.min("weight").alias("weight"), F.sort_array(F.collect_set(F.struct("label_id", "answer"))).alias("given")
    )
    return grouped.mapInPandas(judge, "video_id string, split string, coverage string, weight float, targets array<float>")


def _facts(judged: DataFrame) -> dict[str, tuple[int, int]]:
    """Split -> its rows, and a hash of their keys, targets, weights and features' sources: a sum, so that their order does not matter."""
    columns = ["video_id", "weight", "targets", "coverage"]
    sums = [F.sum(F.xxhash64(F.lit(i), *columns).cast("decimal(38,0)")).cast("string").alias(f"h{i}") for i in range(2)]
    rows = judged.groupBy("split").agg(F.count("*").alias("rows"), *sums).collect()
    return dict.fromkeys(_SPLITS, (0, 0)) | {r["split"]: (r["rows"], (int(r["h0"]) << 128) + int(r["h1"])) for r in rows}


def _summary(
    labels: DataFrame, snapshot_id: str, classes: Classes, layout: Layout, settings: TrainingSettings, per_split: Mapping[str, int]
) -> DataFrame:
    counts = Counter(per_split)
    values = {
        "snapshot_id": snapshot_id,
        "task": settings.task,
        "label_ids": list(classes.label_ids),
        "layout": layout.to_json(),
        **{f"{split}_rows": counts[split] for split in _SPLITS},
    }
    fields = [f for f in tables.SNAPSHOTS.spark_schema() if f.name in values]
    schema = ", ".join(f"{f.name} {f.dataType.simpleString()}" for f in fields)
    return labels.sparkSession.createDataFrame([tuple(values[f.name] for f in fields)], schema)
