"""Put labels and features together into a training snapshot: rows, targets, weights and splits that models learn and are judged on.

Reads   silver.labels, gold.label_noise, silver.copies, silver.features, silver.text_features (as of the day)
Writes  gold.training_examples, gold.training_snapshots, one day, replaced whole
Rerun   safe: the same inputs give the same rows and the same snapshot_id
Launch  reelhouse job build_training_set --date 2026-01-02
"""

from reelhouse import tables
from reelhouse.run import Run
from reelhouse.training.snapshot import Inputs, TooFewLabelsError, build_snapshot


def inputs(run: Run) -> dict[str, str]:
    return {"taxonomy": run.taxonomy(run.settings.training.task).version}


def main(run: Run) -> None:
    settings = run.settings.training
    taxonomy = run.taxonomy(settings.task)
    run.input("taxonomy", taxonomy.version)
    given = Inputs(
        labels=run.current(tables.LABELS),
        noise=run.current(tables.LABEL_NOISE),
        copies=run.current(tables.COPIES),
        features=run.current(tables.FEATURES),
        text_features=run.current(tables.TEXT_FEATURES),
    )
    try:
        snapshot = build_snapshot(given, taxonomy, settings, run.keep)
    except TooFewLabelsError as reason:
        run.aside(str(reason))
    run.publish(tables.TRAINING_EXAMPLES, snapshot.examples, files=snapshot.files)
    # the summary last: with it the snapshot exists
    run.publish(tables.SNAPSHOTS, snapshot.summary)
    for name, value in sorted(snapshot.metrics.items()):
        run.metric(name, value)
    run.note(f"snapshot {snapshot.snapshot_id}")
