"""Choose what people should label next: videos whose item speaks for a class of few labels, then what the served model is unsure of.

Until a trained model is served, and its uncertainty says where it errs (on labels that it did not learn from), the second part is chosen
by density: without a model by the vectors that sample_by_density goes by, besides what that chose.

Reads   silver.labels, silver.taxonomy, silver.copies, silver.videos, silver.features, silver.text_features, bronze.video_arrivals,
        bronze.items, bronze.label_exports, gold.sample_batch (as of the day), gold.predictions, gold.embeddings, gold.training_examples,
        gold.active_batch, ops.promotions, ops.serving (before the day)
Writes  gold.item_label_map, gold.active_batch, one day, replaced whole
Rerun   safe: same date, same inputs -> same rows
Launch  reelhouse job select_for_labeling --date 2026-01-02
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.features import UNTRAINED, layout_of, pooled_vectors, to_numpy
from reelhouse.sampling import select_for_labeling
from reelhouse.sampling.budget import most_share
from reelhouse.sampling.candidates import (
    earlier_version,
    groups_and_covered,
    keep_with_settled,
    served_version,
    settled_videos,
)
from reelhouse.sampling.cold_start import Trust, held_out_answers, trust_in
from reelhouse.sampling.expansion import Inputs, expand, reason_of
from reelhouse.sampling.same_vectors import join_same
from reelhouse.sampling.uncertainty import disagreement_uncertainty, entropy_uncertainty, margin_uncertainty

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from scipy.sparse import csr_matrix

    from reelhouse.run import Run
    from reelhouse.tables import Table

Top = list[dict[str, Any]]
DENSITY = "density"
# What these strategies choose by: of the others, none asks how sure the model is.
BY_UNCERTAINTY = {"entropy", "margin", "badge", "uncertainty_by_cluster"}


def build(
    ids: np.ndarray,
    vectors: np.ndarray,
    tops: list[Top],
    groups: np.ndarray,
    covered: np.ndarray,
    task: str,
    strategy: str,
    budget: int,
    seed: int,
    uncertainty: np.ndarray | None = None,
) -> pd.DataFrame:
    """Rows of gold.active_batch, ranked from 1, without data_date.

    ids (n,) str; vectors (n, d); tops: per video its best labels (label_id, path, probability), best first; groups (n,): copies, of
    which only the first is looked at, as of videos of the same vector; covered (n,) bool: settled, never chosen. strategy: DENSITY, or
    one of STRATEGIES. uncertainty (n,): what uncertainty_by_cluster goes by, the margin if not given.
    """
    groups, covered = join_same(groups, covered, vectors)
    first = np.sort(np.unique(groups, return_index=True)[1])
    if strategy == DENSITY:
        uncertainty = np.ones(len(ids))  # where all count alike it is sampling by density
    found = select_for_labeling(
        vectors[first],
        sparse_probabilities([tops[i] for i in first.tolist()]),
        budget=budget,
        chosen=np.flatnonzero(covered[first]),
        strategy="uncertainty_by_cluster" if strategy == DENSITY else strategy,
        uncertainty=None if uncertainty is None else uncertainty[first],
        seed=seed,
    )
    rows = first[found.indices]
    return pd.DataFrame(
        {
            "video_id": ids[rows],
            "task": task,
            "rank": np.arange(1, len(rows) + 1, dtype=np.int32),
            "reason": [_reason(tops[i], strategy) for i in rows.tolist()],
            "score": found.scores,
            "is_random": strategy == "random",
            "item_category": None,
            "expected_label_id": None,
        }
    )


def build_expected(found: pd.DataFrame, task: str) -> pd.DataFrame:
    """Rows of gold.active_batch for what items speak for (see Expansion.found), ranked from 1, without data_date."""
    return pd.DataFrame(
        {
            "video_id": found["video_id"],
            "task": task,
            "rank": np.arange(1, len(found) + 1, dtype=np.int32),
            "reason": [reason_of(row) for row in found.itertuples()],
            "score": found["precision_low"].astype(np.float64),
            "is_random": False,
            "item_category": found["item_category"],
            "expected_label_id": found["label_id"],
        }
    )


def main(run: Run) -> None:
    settings = run.settings.sampling
    labels, copies = run.current(tables.LABELS), run.current(tables.COPIES)
    batches = run.upto(tables.SAMPLE_BATCH), run.before(tables.ACTIVE_BATCH)
    settled = run.keep(settled_videos(settings.task, labels, run.upto(tables.LABEL_EXPORTS), *batches))
    of_items = Inputs.of(run.current, labels, copies, settled)
    expansion = expand(of_items, settings, most_share(settings.active_budget, settings.rare_share), run.keep)
    run.metric("item_label_pairs", len(expansion.mapping))
    run.metric("chosen_by_items", len(expansion.found))
    batch = build_expected(expansion.found, settings.task)
    also = run.spark.createDataFrame([(video,) for video in batch["video_id"]], "video_id string")
    gone, left = settled.unionByName(also), settings.active_budget - len(batch)
    version = served_version(run.before(tables.SERVING))
    if version is None or version.startswith(UNTRAINED):
        chosen = by_density(run, copies, gone, left)
        lacking = "no trained model was served before this day"
        if expansion.mapping.empty and chosen.empty:
            run.aside(f"{lacking}, and no video with a vector is left to choose: gold.sample_batch says what to label")
        run.note(f"{lacking}: density chooses")
    else:
        run.input("model_version", version)
        chosen = by_model(run, version, labels, copies, gone, left)
    batch = pd.concat([batch, chosen.assign(rank=chosen["rank"] + np.int32(len(batch)))])
    run.publish(tables.ITEM_LABEL_MAP, _frame(run, tables.ITEM_LABEL_MAP, expansion.mapping.assign(task=settings.task)))
    run.publish(tables.ACTIVE_BATCH, _frame(run, tables.ACTIVE_BATCH, batch))


def by_model(run: Run, version: str, labels: DataFrame, copies: DataFrame, settled: DataFrame, budget: int) -> pd.DataFrame:
    """What the served model's predictions and vectors choose, besides what is settled or chosen already (settled: video_id)."""
    settings = run.settings.sampling
    of_model = F.col("model_version") == version
    tops = run.previous(tables.PREDICTIONS).where(of_model & (F.col("task") == settings.task)).select("video_id", "top")
    vectors = run.previous(tables.EMBEDDINGS).where(of_model).join(tops, on="video_id", how="left_semi")
    kept, left_out = keep_with_settled(vectors, settled, settings.rows_max)
    if left_out:
        run.note(f"{left_out:,} videos were left out: sampling.rows_max is {settings.rows_max:,}")
    tops = tops.join(kept.select("video_id"), on="video_id", how="left_semi")
    ids, matrix = to_numpy(kept)
    groups, covered = groups_and_covered(ids, kept, copies, settled)
    top_of = {row.video_id: [entry.asDict() for entry in row.top or []] for row in tops.toLocalIterator()}
    of_ids = [top_of[video] for video in ids.tolist()]
    strategy: str = settings.strategy
    unsure = None
    if strategy in BY_UNCERTAINTY:
        unsure = _uncertainty(run, version, kept, ids, of_ids)
        trust = _trust(run, version, tops, labels, ids, unsure)
        run.metric("held_out_labels", trust.rows)
        run.metric("uncertainty_p", trust.p)
        if not np.isnan(trust.auroc):
            run.metric("uncertainty_auroc", trust.auroc)
        if trust.p > settings.cold_start_p_max:
            strategy = DENSITY
        run.note(_told(trust, strategy))
    return build(ids, matrix, of_ids, groups, covered, settings.task, strategy, budget, run.seed, unsure)


def by_density(run: Run, copies: DataFrame, settled: DataFrame, budget: int) -> pd.DataFrame:
    """Without a trained model: what stands for most of that which nothing was labelled or chosen of (settled: video_id)."""
    settings = run.settings.sampling
    features, texts = run.current(tables.FEATURES), run.current(tables.TEXT_FEATURES)
    layout = layout_of(features, texts)
    known = run.keep(features.select("video_id").union(texts.select("video_id")).distinct())
    kept, left_out = keep_with_settled(known, settled, settings.rows_max)
    if left_out:
        run.note(f"{left_out:,} videos were left out: sampling.rows_max is {settings.rows_max:,}")
    features, texts = (frame.join(kept, on="video_id", how="left_semi") for frame in (features, texts))
    ids, vectors = to_numpy(pooled_vectors(features, texts, layout))
    groups, covered = groups_and_covered(ids, kept, copies, settled)
    chosen = build(ids, vectors, [[]] * len(ids), groups, covered, settings.task, DENSITY, budget, run.seed)
    return chosen.assign(reason="stands for many videos of which none was labelled; no trained model is served yet")


def _uncertainty(run: Run, version: str, kept: DataFrame, ids: np.ndarray, tops: list[Top]) -> np.ndarray:
    """How unsure the model is of each video, (n,), as sampling.strategy goes by it: what sampling.uncertainty asks for, where the strategy
    is uncertainty_by_cluster; the margin also where two models can't be compared."""
    settings = run.settings.sampling
    by = settings.uncertainty if settings.strategy == "uncertainty_by_cluster" else settings.strategy
    if by == "entropy":
        return entropy_uncertainty(sparse_probabilities(tops))
    if by != "disagreement" or not len(ids):
        return margin_uncertainty(sparse_probabilities(tops))
    earlier = earlier_version(run.before(tables.SERVING), version)
    of_model = (F.col("model_version") == earlier) & (F.col("task") == settings.task)
    said = run.previous(tables.PREDICTIONS).where(of_model).join(kept, on="video_id", how="left_semi").select("video_id", "top")
    top_of = {row.video_id: [entry.asDict() for entry in row.top or []] for row in said.toLocalIterator()}
    both = np.array([video in top_of for video in ids.tolist()], bool)
    if 2 * both.sum() < len(ids):
        run.note(f"{both.sum():,} of {len(ids):,} videos have predictions of a model served before {version}: the margin chooses")
        return margin_uncertainty(sparse_probabilities(tops))
    of_both = sparse_probabilities([*tops, *(top_of.get(video, []) for video in ids.tolist())])
    unsure = disagreement_uncertainty([of_both[: len(ids)], of_both[len(ids) :]])
    unsure[~both] = unsure[both].mean()
    return unsure


def _trust(run: Run, version: str, tops: DataFrame, labels: DataFrame, ids: np.ndarray, unsure: np.ndarray) -> Trust:
    """Whether the model is less sure of what it gets wrong, on labels that it did not learn from. ids (n,) str sorted; unsure (n,)."""
    snapshot = run.before(tables.PROMOTIONS).where(F.col("model_version") == version).select("snapshot_id").distinct()
    if snapshot.isEmpty():
        return trust_in(np.zeros(0), np.zeros(0))  # not known what it learned from
    taught = run.before(tables.TRAINING_EXAMPLES).where(F.col("split") != "evaluation").join(snapshot, on="snapshot_id", how="left_semi")
    task = run.settings.sampling.task
    answers = held_out_answers(task, tops, labels, run.current(tables.TAXONOMY), taught.select("video_id")).toArrow().sort_by("video_id")
    of_them = np.isin(ids, np.array(answers["video_id"].to_pylist(), dtype=str), assume_unique=True)
    return trust_in(unsure[of_them], answers["is_error"].to_numpy())


def _told(trust: Trust, strategy: str) -> str:
    asked = f"of {trust.rows:,} labels that the model did not learn from it gets {trust.errors:,} wrong"
    auroc = f"and is less sure of those with AUROC {trust.auroc:.2f} (p = {trust.p:.2g})"
    said = f"{asked}, {'so that nothing says where it errs' if np.isnan(trust.auroc) else auroc}"
    return f"{said}: density chooses" if strategy == DENSITY else said


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
    if strategy == DENSITY:
        return "stands for many videos of which none was labelled; the model can't tell yet where it errs"
    if not top:
        return "the model says nothing of it"
    best = " or ".join(f"{entry['path']} ({entry['probability']:.0%})" for entry in top[:2])
    return f"the model is unsure: {best}"


def _frame(run: Run, table: Table, rows: pd.DataFrame) -> DataFrame:
    schema = table.spark_schema()
    fields = [field for field in schema if field.name in rows.columns]
    return run.spark.createDataFrame(rows[[field.name for field in fields]], type(schema)(fields))
