"""Train a model on the day's snapshot and register it as candidate.

Reads   gold.training_snapshots, gold.training_examples (the day; the examples through Petastorm)
Writes  the model registry: a run, checkpoints, a model version with alias `candidate`
Rerun   safe: a model that is registered is not trained again; a training that was cut off goes on from its last checkpoint
Launch  reelhouse job train --date 2026-01-02
"""

from pyspark.sql import functions as F

from reelhouse import tables
from reelhouse.errors import TrainingError
from reelhouse.run import Run
from reelhouse.training.card import model_card
from reelhouse.training.fit import SnapshotFacts, fit
from reelhouse.training.version import version_of

CANDIDATE = "candidate"


def inputs(run: Run) -> dict[str, str]:
    """The model is both: what is made, and known by name before. One that is gone from the registry is made again."""
    row = run.day(tables.SNAPSHOTS).head()
    if row is None:
        return {}
    version = version_of(row.snapshot_id, run.settings.training)
    return {"model": version if run.registry.exists(version) else "absent"}


def main(run: Run) -> None:
    row = run.day(tables.SNAPSHOTS).head()
    run.day(tables.TRAINING_EXAMPLES)  # recorded as read, whether trained or not; the rows go from files to ranks
    if row is None:
        run.aside("there is no training snapshot for the day: too few labels")
    snapshot = SnapshotFacts.of(row)
    version = version_of(snapshot.snapshot_id, run.settings.training)
    run.input("model", version)
    if run.registry.exists(version):
        run.note(f"model {version} is registered already")
    else:
        refuse_hidden_rows(run, snapshot)
        train(run, snapshot, version)
    run.registry.set_alias(CANDIDATE, version)


def refuse_hidden_rows(run: Run, snapshot: SnapshotFacts) -> None:
    """TrainingError where the snapshot has rows that readers don't see any more: the ranks read files, takedowns and all."""
    seen = run.day(tables.TRAINING_EXAMPLES).where(F.col("snapshot_id") == snapshot.snapshot_id).count()
    if seen != snapshot.rows:
        raise TrainingError(
            f"gold.training_examples has {seen} rows of snapshot {snapshot.snapshot_id} to learn from, the snapshot says {snapshot.rows}: "
            f"videos were taken down since. Run `reelhouse job build_training_set --date {run.date}` again, then train"
        )


def train(run: Run, snapshot: SnapshotFacts, version: str) -> None:
    settings, registry = run.settings.training, run.registry
    files = run.files(tables.TRAINING_EXAMPLES, snapshot_id=snapshot.snapshot_id)
    attempt = registry.start(version, settings.model_dump() | {"snapshot_id": snapshot.snapshot_id, "classes": len(snapshot.label_ids)})
    run.progress(f"training model {version} on {snapshot.rows} rows, {len(snapshot.label_ids)} classes, {settings.ranks} ranks")
    try:
        fitted = fit(
            snapshot, files, settings, run.scratch / "train",
            resume=attempt.checkpoint,
            on_epoch=lambda f: run.progress(f"epoch {f['epoch']:.0f}: loss {f['loss']:.3f}, accuracy {f['accuracy']:.3f}"),
            on_checkpoint=lambda path: registry.save_checkpoint(attempt.run_id, path),
        )  # fmt: skip
    except TrainingError:
        registry.fail(attempt.run_id)
        raise
    registry.log_metrics(attempt.run_id, [(n, v, int(f["epoch"])) for f in fitted.epochs for n, v in f.items() if n != "epoch"])
    tags = {"snapshot_id": snapshot.snapshot_id, "data_date": str(run.date)}
    registry.register(attempt.run_id, version, fitted.model, tags, model_card(version, snapshot, settings))
    if fitted.epochs:
        run.metric("train_loss", fitted.epochs[-1]["loss"])
        run.metric("train_accuracy", fitted.epochs[-1]["accuracy"])
    run.note(f"model {version} trained in {sum(f['seconds'] for f in fitted.epochs):.0f} s")
