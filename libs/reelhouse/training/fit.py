"""From a snapshot to a trained model: writes the plan, runs the ranks, follows their progress and checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reelhouse.errors import TrainingError
from reelhouse.features import Layout
from reelhouse.models.config import ModelConfig
from reelhouse.sections import TrainingSettings
from reelhouse.training.launcher import Launch, launcher_of, run_ranks


@dataclass(frozen=True)
class SnapshotFacts:
    """One row of gold.training_snapshots."""

    snapshot_id: str
    task: str
    label_ids: tuple[str, ...]
    layout: Layout
    rows: int

    @classmethod
    def of(cls, row: Any) -> SnapshotFacts:
        count = row.train_rows + row.calibration_rows + row.evaluation_rows
        return cls(row.snapshot_id, row.task, tuple(row.label_ids), Layout.from_json(row.layout), count)


@dataclass(frozen=True)
class Fitted:
    """The model's bytes and the figures of each epoch: epoch, loss, accuracy, seconds."""

    model: bytes
    epochs: list[dict[str, float]]


@dataclass
class _Follower:
    """Hears of new epochs and checkpoints while the ranks run."""

    folder: Path
    on_epoch: Callable[[dict[str, float]], None]
    on_checkpoint: Callable[[Path], None]
    epochs: list[dict[str, float]] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)

    def look(self) -> None:
        progress = self.folder / "progress.jsonl"
        # a line without its end is still being written
        lines = progress.read_text(encoding="utf-8").split("\n")[:-1] if progress.exists() else []
        for line in lines[len(self.epochs) :]:
            self.epochs.append(json.loads(line))
            self.on_epoch(self.epochs[-1])
        for path in sorted(self.folder.glob("checkpoint-*.pt")):
            if path.name not in self.kept:
                self.on_checkpoint(path)
                self.kept.add(path.name)


def fit(
    snapshot: SnapshotFacts,
    files: Sequence[str],
    settings: TrainingSettings,
    folder: Path,
    *,
    resume: bytes | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda figures: None,
    on_checkpoint: Callable[[Path], None] = lambda path: None,
) -> Fitted:
    """Trains on the snapshot's files in settings.ranks processes; `folder` is empty and theirs (on several machines: shared).

    Raises TrainingError when a rank fails, rows are lost, or settings.timeout_minutes are over.
    """
    from reelhouse.training.loop import Plan

    plan = Plan(
        model=ModelConfig(snapshot.task, snapshot.label_ids, snapshot.layout, settings.embedding_dimension),
        files=tuple(sorted(files)),
        rows=snapshot.rows,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(plan.to_json(), encoding="utf-8")
    if resume is not None:
        (folder / "resume.pt").write_bytes(resume)
    follower = _Follower(folder, on_epoch, on_checkpoint)
    launch = Launch(launcher_of(settings.launcher), settings.ranks, settings.hosts, settings.timeout_minutes * 60.0)
    try:
        run_ranks(folder, launch, follower.look)
    finally:
        follower.look()  # what came since the last look, also when a rank died
    model = folder / "model.pt"
    if not model.exists():
        raise TrainingError(f"the ranks ended well but left no model in {folder}; on several machines it must be a folder that all see")
    return Fitted(model.read_bytes(), follower.epochs)
