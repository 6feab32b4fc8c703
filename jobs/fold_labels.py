"""Fold people's answers into labels: what they together say of each video that was answered on the day; keep the tree they follow.

Reads   bronze.label_events (up to the day), the label trees
Writes  silver.labels, silver.taxonomy, one day, replaced whole
Rerun   safe: the same events and trees give the same rows
Launch  reelhouse job fold_labels --date 2026-01-02
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reelhouse import tables
from reelhouse.labels.fold import fold_labels

if TYPE_CHECKING:
    from reelhouse.labels import Taxonomy
    from reelhouse.run import Run


def inputs(run: Run) -> dict[str, str]:
    """Versions of the label trees: which labels exclude each other."""
    return {f"taxonomy {task}": tree.version for task, tree in _trees(run).items()}


def main(run: Run) -> None:
    events, today = run.upto(tables.LABEL_EVENTS), run.day(tables.LABEL_EVENTS)
    run.publish(tables.LABELS, fold_labels(events, today, _trees(run), run.settings.labels.agreement_min))
    rows = [row for tree in _trees(run).values() for row in tree.rows()]
    run.publish(tables.TAXONOMY, run.spark.createDataFrame(rows, tables.TAXONOMY.spark_schema("data_date")))


def _trees(run: Run) -> dict[str, Taxonomy]:
    return {task: run.taxonomy(task) for task in type(run.settings.taxonomy).model_fields}
