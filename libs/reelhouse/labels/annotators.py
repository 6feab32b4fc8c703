"""How annotators stand to each other and to what all say together, from every video that several of them answered. On Spark.

What comes to the driver is bounded: reliabilities are learned from at most rows_max videos, and pairs of labels are at most
(labels of the tree)^2 for each number of people that a video may have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reelhouse.labels.agreement import Pairs, agreement_by_domain, pairs_of
from reelhouse.labels.fold import Crowd, answers_by_video, answers_of, fold_answers, positions_of, stances_of
from reelhouse.labels.reliability import learn_reliabilities
from reelhouse.labels.taxonomy import Taxonomy
from reelhouse.sampling.candidates import keep_at_most

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

WHOLE_TREE = "*"  # domain of agreement in all of a tree
_JUDGED = "task string, annotator_id string, label_id string, given_label_id string, is_consistent boolean"
_PAIRED = "task string, one string, other string, people int, count int"


def shared_videos(events: DataFrame, trees: Mapping[str, Taxonomy]) -> DataFrame:
    """Rows of `answers_by_video` of the videos that at least two people answered in a task that has a tree. events: up to the day."""
    from pyspark.sql import functions as F

    return answers_by_video(events.where(F.col("task").isin(list(trees)))).where("people > 1")


def learn_crowds(shared: DataFrame, trees: Mapping[str, Taxonomy], confidence_min: float, rows_max: int) -> tuple[dict[str, Crowd], int]:
    """(task -> how reliable its annotators are, how many videos were left out): from at most rows_max videos a task, those of
    least hash of video_id."""
    from pyspark.sql import functions as F

    crowds, left_out = {}, 0
    for task, tree in trees.items():
        kept, more = keep_at_most(shared.where(F.col("task") == task), rows_max)
        left_out += more
        videos = sorted(kept.select("video_id", "answers").collect(), key=lambda row: str(row["video_id"]))
        stances = [stances_of(positions_of(answers_of(video.asDict()), tree)[0]) for video in videos]
        crowds[task] = Crowd(learn_reliabilities([one for one in stances if len(one) > 1], tree), confidence_min)
    return crowds, left_out


def confusion(shared: DataFrame, trees: Mapping[str, Taxonomy], agreement_min: float, crowds: Mapping[str, Crowd]) -> DataFrame:
    """Rows of gold.annotator_confusion, without data_date: what each person says against what all say together, counted.

    What all say together of a video is the deepest label that fold_answers answers with 1; videos without one are left out, and
    so are people who chose no label.
    """
    from pyspark.sql import functions as F

    def judge(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _batch(_JUDGED, [row for video in batch.to_pylist() for row in _judged(video, trees, agreement_min, crowds)])

    counted = shared.mapInArrow(judge, _JUDGED).groupBy("task", "annotator_id", "label_id", "given_label_id", "is_consistent")
    return counted.agg(F.count("*").cast("int").alias("videos"))


def annotators(confused: DataFrame, crowds: Mapping[str, Crowd]) -> DataFrame:
    """Rows of gold.annotators, without data_date, one a person and task that several people's videos tell anything of.

    confused: what `confusion` gives. sensitivity: for each label that all say together, the share of its videos where the person
    does not contradict; the mean over labels. Of equal pairs the first by label and given label is the most confused one.
    """
    from pyspark.sql import functions as F

    rows = [(task, who, r.probability, r.answers) for task, crowd in sorted(crowds.items()) for who, r in crowd.reliabilities.items()]
    known = confused.sparkSession.createDataFrame(rows, "task string, annotator_id string, reliability double, learned_from int")
    consistent = F.when(F.col("is_consistent"), F.col("videos")).otherwise(0)
    by_label = confused.groupBy("task", "annotator_id", "label_id").agg(
        F.sum("videos").alias("videos"),
        F.sum(consistent).alias("agreed"),
        F.min(F.when(~F.col("is_consistent"), F.struct((-F.col("videos")).alias("order"), "label_id", "given_label_id", "videos"))).alias(
            "worst"
        ),
    )
    by_person = by_label.groupBy("task", "annotator_id").agg(
        F.sum("videos").cast("int").alias("settled_videos"),
        F.sum("agreed").cast("int").alias("agreed_videos"),
        (F.sum("agreed") / F.sum("videos")).alias("agreement"),
        F.avg(F.col("agreed") / F.col("videos")).alias("sensitivity"),
        F.min("worst").alias("worst"),
    )
    return by_person.join(known, on=["task", "annotator_id"], how="full").select(
        "annotator_id",
        "task",
        F.coalesce("settled_videos", F.lit(0)).alias("settled_videos"),
        F.coalesce("agreed_videos", F.lit(0)).alias("agreed_videos"),
        "agreement",
        "sensitivity",
        "reliability",
        F.coalesce("learned_from", F.lit(0)).alias("learned_from"),
        F.col("worst.label_id").alias("confused_label_id"),
        F.col("worst.given_label_id").alias("confused_given_label_id"),
        F.coalesce("worst.videos", F.lit(0)).alias("confused_videos"),
    )


def agreement_rows(shared: DataFrame, trees: Mapping[str, Taxonomy]) -> list[dict[str, Any]]:
    """Rows of gold.label_agreement, without data_date: Krippendorff's alpha of each tree, whole and by root."""
    from pyspark.sql import functions as F

    def pair(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _batch(_PAIRED, [row for video in batch.to_pylist() for row in _paired(video, trees)])

    counted = shared.mapInArrow(pair, _PAIRED).groupBy("task", "one", "other", "people").agg(F.sum("count").alias("times")).collect()
    rows = []
    for task, tree in trees.items():
        pairs = [Pairs(r["one"], r["other"], r["people"], r["times"]) for r in counted if r["task"] == task]
        for found in agreement_by_domain(pairs, tree) if pairs else []:
            domain, path = (found.label_id, tree.path(found.label_id)) if found.label_id else (WHOLE_TREE, None)
            rows.append({"task": task, "domain": domain, "path": path, "alpha": found.alpha, "answers": found.answers})
    return rows


def _judged(
    video: Mapping[str, Any], trees: Mapping[str, Taxonomy], agreement_min: float, crowds: Mapping[str, Crowd]
) -> Iterator[dict[str, Any]]:
    tree, task, answers = trees[video["task"]], video["task"], answers_of(video)
    stances = stances_of(positions_of(answers, tree)[0])
    agreed = [row.label_id for row in fold_answers(answers, tree, agreement_min, crowds.get(task)) if row.answer == 1]
    if len(stances) < 2 or not agreed:
        return
    label = max(agreed, key=lambda one: len(tree.ancestors(one)))
    for stance in stances:
        if stance.choice:
            line = {stance.choice, *tree.ancestors(stance.choice)}
            fits = label in line or stance.choice in tree.ancestors(label)
            yield {
                "task": task, "annotator_id": stance.annotator_id, "label_id": label, "given_label_id": stance.choice, "is_consistent": fits
            }  # fmt: skip


def _paired(video: Mapping[str, Any], trees: Mapping[str, Taxonomy]) -> Iterator[dict[str, Any]]:
    positions, _ = positions_of(answers_of(video), trees[video["task"]])
    choices = [stance.choice for stance in stances_of(positions) if stance.choice]
    for pair in pairs_of([choices]):
        yield {"task": video["task"], **vars(pair)}


def _batch(schema: str, rows: list[dict[str, Any]]) -> pa.RecordBatch:
    import pyarrow as pa

    types = {"string": pa.string(), "int": pa.int32(), "boolean": pa.bool_()}
    fields = [(name, types[kind]) for name, kind in (part.split() for part in schema.split(", "))]
    return pa.RecordBatch.from_pylist(rows, schema=pa.schema(fields))
