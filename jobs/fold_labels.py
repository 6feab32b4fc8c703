"""Fold people's answers into labels: what they together say of each video that was answered on the day; keep the tree they follow, and
how far people agree with each other.

Reads   bronze.label_events (up to the day), the label trees as of the day with what became of their labels; silver.labels (before the
        day), where labels were renamed, merged or retired: videos that still have such a label are folded too
Writes  silver.labels, silver.taxonomy, gold.annotators, gold.annotator_confusion, gold.label_agreement, one day, replaced whole
Rerun   safe: the same events and trees give the same rows
Launch  reelhouse job fold_labels --date 2026-01-02
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reelhouse import tables
from reelhouse.labels.annotators import agreement_rows, annotators, confusion, learn_crowds, shared_videos
from reelhouse.labels.fold import Crowd, ended, fold_labels, standing_moved

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from reelhouse.labels import Taxonomy
    from reelhouse.run import Run


def inputs(run: Run) -> dict[str, str]:
    """Versions of the label trees as of the day: which labels exclude each other, and what others became."""
    return {f"taxonomy {task}": tree.version for task, tree in run.taxonomies().items()}


def main(run: Run) -> None:
    settings, trees = run.settings.labels, run.taxonomies()
    events = run.upto(tables.LABEL_EVENTS)
    shared = run.keep(shared_videos(events, trees))
    crowds: dict[str, Crowd] = {}
    if settings.aggregation == "dawid-skene":
        crowds, left_out = learn_crowds(shared, trees, settings.confidence_min, settings.rows_max)
        if left_out:
            run.note(f"labels.rows_max: reliabilities are learned without {left_out:,} of the videos that several people answered")
    touched = run.day(tables.LABEL_EVENTS).select("video_id", "task")
    moved = standing_moved(run.previous(tables.LABELS), trees) if any(tree.moves for tree in trees.values()) else None
    if moved is not None:
        moved = run.keep(moved)
        touched = touched.unionByName(moved.select("video_id", "task"))
    labels = fold_labels(events, touched, trees, settings.agreement_min, crowds)
    run.publish(tables.LABELS, labels if moved is None else labels.unionByName(ended(moved, trees)))
    rows = [row for tree in trees.values() for row in tree.rows()]
    run.publish(tables.TAXONOMY, run.spark.createDataFrame(rows, tables.TAXONOMY.spark_schema("data_date")))
    _publish_agreement(run, shared, trees, crowds)


def _publish_agreement(run: Run, shared: DataFrame, trees: dict[str, Taxonomy], crowds: dict[str, Crowd]) -> None:
    if shared.isEmpty():
        for table in (tables.ANNOTATOR_CONFUSION, tables.ANNOTATORS, tables.LABEL_AGREEMENT):
            run.publish(table, None)
        return
    confused = run.keep(confusion(shared, trees, run.settings.labels.agreement_min, crowds))
    run.publish(tables.ANNOTATOR_CONFUSION, confused)
    run.publish(tables.ANNOTATORS, annotators(confused, crowds))
    rows = agreement_rows(shared, trees)
    for row in rows:
        if row["alpha"] is not None and row["path"] is None:
            run.metric(f"alpha_{row['task']}", row["alpha"])
    schema = tables.LABEL_AGREEMENT.spark_schema("data_date")
    run.publish(tables.LABEL_AGREEMENT, run.spark.createDataFrame([tuple(row[name] for name in schema.names) for row in rows], schema))
