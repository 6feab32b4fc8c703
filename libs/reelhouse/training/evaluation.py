"""How a model does on slices of the frozen evaluation rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from reelhouse.training.gates import SliceFigures

_NEWEST_SHARE = 0.2


def slices_of(rows: pd.DataFrame, train_counts: Sequence[int], first_seen: Mapping[str, object]) -> dict[str, np.ndarray]:
    """Slice name -> (n,) bool. rows: video_id, truth (index of the class), has_visual, has_audio, has_text, is_random. Empty slices are
    left out.

    head, mid, tail: thirds of the classes by their training rows, most first (ties by the order of classes). without_<modality>: rows
    that lack it, unless all do. newest: the latest days on which videos first came that hold at least a fifth of the rows, unless
    that is all rows; left out when first_seen (video_id -> date) does not know all videos. random: rows whose video was drawn for
    labelling at random (is_random): the others came with a label or were chosen as typical or hard, so that only accuracy on these
    is an unbiased estimate of that on all videos.
    """
    order = np.argsort(-np.asarray(train_counts), kind="stable")
    third = {int(label): min(2, 3 * i // len(order)) for i, label in enumerate(order)}
    group = rows["truth"].map(third).to_numpy()
    slices = {"all": np.ones(len(rows), bool)}
    slices |= {name: group == i for i, name in enumerate(("head", "mid", "tail"))}
    slices |= {f"without_{m}": ~rows[f"has_{m}"].to_numpy(bool) for m in ("visual", "audio", "text")}
    dates = rows["video_id"].map(first_seen)
    if len(rows) and dates.notna().all():
        limit = dates.sort_values(ascending=False, kind="stable").iloc[max(0, int(np.ceil(_NEWEST_SHARE * len(dates))) - 1)]
        slices["newest"] = (dates >= limit).to_numpy(bool)
    slices["random"] = rows["is_random"].to_numpy(bool)
    whole = {"all", "head", "mid", "tail", "random"}
    return {name: chosen for name, chosen in slices.items() if chosen.any() and (name in whole or not chosen.all())}


def figures_of(scored: pd.DataFrame, slices: Mapping[str, np.ndarray]) -> dict[str, SliceFigures]:
    """Accuracy, mean recall of the classes that occur, and mean log loss on each slice."""
    figures = {}
    for name, rows in slices.items():
        part = scored[rows]
        recall = part.groupby("truth")["right"].mean()
        figures[name] = SliceFigures(len(part), float(part["right"].mean()), float(recall.mean()), float(part["log_loss"].mean()))
    return figures


def majority_accuracy(targets: np.ndarray, train_counts: Sequence[int]) -> float:
    """Accuracy of always naming the class with most training rows, on the rows with a yes. targets: (n, c)."""
    answered = targets[(targets > 0).any(axis=1)] if len(targets) else targets
    return float((answered[:, int(np.argmax(train_counts))] > 0).mean()) if len(answered) else 0.0
