"""Cyclical training of a small head, and each row's loss by a head that never saw the row's label."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

HIDDEN = 32
INPUT_DROPOUT = 0.5  # of features; with it the head under- and overfits slowly enough for the cycles to tell labels apart
HIDDEN_DROPOUT = 0.3
WEIGHT_DECAY = 1e-3
RATE_MAX, RATE_MIN = 5e-3, 5e-4  # r1 and r2 of the paper's schedule, for AdamW
PRETRAIN_EPOCHS = 4
BATCH_MAX, STEPS_MIN = 128, 8  # small sets take smaller batches, so that an epoch has some steps
CLASS_WEIGHT_POWER = 0.25  # a class's weight is (mean class size / its size) to this power: rare classes are not forgotten
_INFERENCE_ROWS = 16384


def held_out_losses(
    features: np.ndarray, labels: np.ndarray, classes: int, *, seed: int, folds: int, cycles: int, epochs_per_cycle: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropy of each label after each epoch of the cycles, by the head trained on the other folds.

    features: (n, d) float32. labels: (n,) int64 in 0..classes-1, each class at least twice. Each of `folds` heads
    (linear + one hidden layer, all trained side by side) is pre-trained and then takes `cycles` cycles in which the learning
    rate falls linearly from RATE_MAX to RATE_MIN, weights kept (O2U-Net, equation 1).
    Returns losses (n, cycles * epochs_per_cycle) float32, and probabilities (n, classes) float32, mean over those epochs.
    One thread, so that the same input gives the same bytes on any number of cores.
    """
    import torch

    with _one_thread():
        generator = torch.Generator().manual_seed(seed)
        fold = stratified_folds(labels, folds, seed)
        heads = _Heads(features.shape[1], classes, folds, generator)
        x, y = torch.from_numpy(features), torch.from_numpy(labels)
        weights = torch.from_numpy(_class_weights(labels, classes))
        inside = [torch.from_numpy(np.flatnonzero(fold != k)) for k in range(folds)]
        optimiser = torch.optim.AdamW(heads.parameters, lr=RATE_MAX, weight_decay=WEIGHT_DECAY)
        losses, probabilities = [], np.zeros((len(labels), classes), np.float32)
        for rate, measured in _rates(cycles, epochs_per_cycle):
            optimiser.param_groups[0]["lr"] = rate
            for rows in _batches(inside, generator):
                logits = heads.logits(x[rows], generator)  # (folds, batch, classes)
                cost = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y[rows].flatten(), weights, reduction="none")
                optimiser.zero_grad()
                (cost.sum() / rows.shape[1]).backward()  # a mean for each fold's head
                optimiser.step()
            if measured:
                log = _held_out(heads, x, fold, classes)
                losses.append(-log[np.arange(len(labels)), labels])
                probabilities += np.exp(log)
        return np.stack(losses, axis=1), probabilities / len(losses)


def stratified_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """(n,) int64 in 0..folds-1: each class is spread evenly, rows within a class at random."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), np.int64)
    fold[order] = np.arange(len(labels)) % folds
    return fold


def _rates(cycles: int, epochs_per_cycle: int) -> Iterator[tuple[float, bool]]:
    """The learning rate of each epoch, and whether its losses count."""
    for _ in range(PRETRAIN_EPOCHS):
        yield RATE_MAX, False
    for _ in range(cycles):
        for epoch in range(epochs_per_cycle):
            done = epoch / max(epochs_per_cycle - 1, 1)
            yield RATE_MAX + (RATE_MIN - RATE_MAX) * done, True


class _Heads:
    """One head a fold, as batched matrices: logits = x W + relu(x U) V + b. W starts at zero, all folds alike."""

    def __init__(self, dimension: int, classes: int, folds: int, generator):  # type: ignore[no-untyped-def]
        import torch

        def start(rows: int, columns: int, deviation: float):  # type: ignore[no-untyped-def]
            values = torch.randn(rows, columns, generator=generator) * deviation
            return values.repeat(folds, 1, 1).requires_grad_()

        self.W, self.b = start(dimension, classes, 0.0), start(1, classes, 0.0)
        self.U, self.c = start(dimension, HIDDEN, dimension**-0.5), start(1, HIDDEN, 0.0)
        self.V = start(HIDDEN, classes, 0.5 * HIDDEN**-0.5)
        self.parameters = [self.W, self.b, self.U, self.c, self.V]

    def logits(self, x, generator):  # type: ignore[no-untyped-def]
        """x: (folds, batch, d), with dropout on it and on the hidden layer. Returns (folds, batch, classes)."""
        x = _drop(x, INPUT_DROPOUT, generator)
        hidden = _drop((x @ self.U + self.c).relu(), HIDDEN_DROPOUT, generator)
        return x @ self.W + hidden @ self.V + self.b

    def of_fold(self, x, k: int):  # type: ignore[no-untyped-def]
        return x @ self.W[k] + (x @ self.U[k] + self.c[k]).relu() @ self.V[k] + self.b[k]


def _drop(x, share: float, generator):  # type: ignore[no-untyped-def]
    import torch

    return x * (torch.rand(x.shape, generator=generator) >= share) / (1 - share)


def _batches(inside, generator):  # type: ignore[no-untyped-def]
    """Batches of row numbers, (folds, batch): each fold's own rows in a fresh order; the folds' sizes differ by at most one row."""
    import torch

    length = min(len(rows) for rows in inside)
    shuffled = torch.stack([rows[torch.randperm(len(rows), generator=generator)[:length]] for rows in inside])
    size = max(1, min(BATCH_MAX, length // STEPS_MIN))
    for start in range(0, length, size):
        yield shuffled[:, start : start + size]


def _held_out(heads: _Heads, x, fold: np.ndarray, classes: int) -> np.ndarray:  # type: ignore[no-untyped-def]
    """(n, classes) log-probabilities, each row by the head of its own fold, which was trained without it."""
    import torch

    log = np.empty((len(fold), classes), np.float32)
    with torch.no_grad():
        for k in range(heads.W.shape[0]):
            rows = np.flatnonzero(fold == k)
            for start in range(0, len(rows), _INFERENCE_ROWS):
                some = rows[start : start + _INFERENCE_ROWS]
                log[some] = heads.of_fold(x[torch.from_numpy(some)], k).log_softmax(-1).numpy()
    return log


def _class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """(classes,) float32, mean 1 over the rows."""
    counts = np.bincount(labels, minlength=classes)
    weights = (counts.mean() / np.maximum(counts, 1)) ** CLASS_WEIGHT_POWER
    return (weights / weights[labels].mean()).astype(np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
