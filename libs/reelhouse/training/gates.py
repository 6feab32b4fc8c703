"""What a candidate must show before it becomes the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reelhouse.settings import GateSettings


@dataclass(frozen=True)
class SliceFigures:
    """How a model does on a slice of the evaluation rows. accuracy, macro_recall in 0..1; log_loss in nats."""

    rows: int
    accuracy: float
    macro_recall: float
    log_loss: float


@dataclass(frozen=True)
class Decision:
    """decision: promoted or refused. reason: which gates held or failed, with figures."""

    decision: str
    reason: str


def decide(
    candidate: Mapping[str, SliceFigures], champion: Mapping[str, SliceFigures] | None, baseline: float, settings: GateSettings
) -> Decision:
    """Promoted only if all gates hold.

    Against a champion: on `all`, and on each other slice of at least settings.slice_rows_min rows, the candidate's accuracy is at most
    settings.accuracy_drop_max below the champion's. Without one: its accuracy on `all` is above `baseline`, the accuracy of always
    naming the most frequent class. Without evaluation rows nothing can be shown: refused.
    """
    everything = candidate.get("all")
    if everything is None or not everything.rows:
        return Decision("refused", "there are no evaluation rows: nothing shows that the model is good")
    if champion is None:
        sign, verdict = (">", "promoted") if everything.accuracy > baseline else ("<=", "refused")
        return Decision(verdict, f"first model: accuracy {everything.accuracy:.3f} {sign} {baseline:.3f} of the most frequent class")
    held: list[str] = []
    failed: list[str] = []
    for name, figures in candidate.items():
        if name != "all" and figures.rows < max(1, settings.slice_rows_min):
            continue
        before = champion[name].accuracy
        # a rounding error must not decide
        holds = figures.accuracy >= before - settings.accuracy_drop_max - 1e-9
        (held if holds else failed).append(f"{name} {figures.accuracy:.3f} against {before:.3f}")
    if failed:
        return Decision("refused", f"accuracy dropped by more than {settings.accuracy_drop_max:g}: {', '.join(failed)}")
    return Decision("promoted", f"accuracy held: {', '.join(held)}")
