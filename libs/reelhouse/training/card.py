"""The model card: what a person sees of a model in MLflow (Markdown; after Mitchell et al., Model Cards for Model Reporting, 2019)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reelhouse.sections import TrainingSettings
from reelhouse.training.fit import SnapshotFacts
from reelhouse.training.gates import Comparison, SliceFigures
from reelhouse.training.version import code_hash


@dataclass(frozen=True)
class Evaluated:
    """How a model did on a day: by slice, the accuracy of the most frequent class, and against the champion where there was one."""

    date: dt.date
    figures: Mapping[str, SliceFigures]
    baseline: float
    champion: str | None
    compared: Sequence[Comparison]


def model_card(version: str, snapshot: SnapshotFacts, settings: TrainingSettings, evaluated: Evaluated | None = None) -> str:
    """The same for the same model: no clock, no machine."""
    parts = [(p.modality, p.encoder_id, p.steps, p.dimension) for p in snapshot.layout.parts]
    lines = [
        f"# {version}",
        f"Names a video's class in the label tree `{snapshot.task}` ({len(snapshot.label_ids)} classes) and gives it a vector of "
        f"length 1 in {settings.embedding_dimension} dimensions. Made for short videos like those that it was trained on; a class with "
        "few examples is named less surely, and a video whose modalities are missing is judged by the rest.",
        "## Data",
        f"Snapshot `{snapshot.snapshot_id}`: {snapshot.rows:,} labelled videos. "
        f"`select * from gold.training_examples where snapshot_id = '{snapshot.snapshot_id}'` lists them with their splits.",
        *_table(["modality", "encoder", "steps", "dimension"], parts),
        "## Training",
        f"{settings.epochs} epochs, batch {settings.batch_size} on {settings.ranks} ranks, peak learning rate {settings.learning_rate:g}, "
        f"seed {settings.seed}, code `{code_hash()}`.",
    ]
    return "\n\n".join([*lines, *(_evaluation(evaluated) if evaluated else [])]) + "\n"


def _evaluation(evaluated: Evaluated) -> list[str]:
    rows = [(n, f.rows, f"{f.accuracy:.3f}", f"{f.macro_recall:.3f}", f"{f.log_loss:.3f}") for n, f in evaluated.figures.items()]
    lines = [
        f"## Evaluation of {evaluated.date}",
        f"On rows held out from training; always naming the class most frequent in training would be right on {evaluated.baseline:.3f}.",
        *_table(["slice", "rows", "accuracy", "macro recall", "log loss"], rows),
    ]
    if evaluated.champion and evaluated.compared:
        against = [(c.slice, c.rows, f"{c.difference:+.3f}", f"{c.low:+.3f} to {c.high:+.3f}", c.outcome) for c in evaluated.compared]
        lines += [f"Against the champion `{evaluated.champion}`:", *_table(["slice", "rows", "difference", "interval", "gate"], against)]
    return lines


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    body = ["| " + " | ".join(str(value) for value in row) + " |" for row in rows]
    return ["\n".join(["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads), *body])]
