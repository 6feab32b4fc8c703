"""Held-out losses: the schedule by hand, folds, and that no head has seen the label it judges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from reelhouse.noise import cycles
from reelhouse.noise.cycles import held_out_losses, stratified_folds

SHORT = {"seed": 3, "folds": 4, "cycles": 2, "epochs_per_cycle": 3}


def blobs(n: int, classes: int, d: int, apart: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    x = draw.standard_normal((n, d))
    x[np.arange(n), labels] += apart
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), labels


def test_the_rate_falls_linearly_in_each_cycle_and_starts_again() -> None:
    rates = list(cycles._rates(2, 4))
    cycle = [(5e-3, True), (3.5e-3, True), (2e-3, True), (5e-4, True)]
    want = [(5e-3, False)] * cycles.PRETRAIN_EPOCHS + cycle + cycle
    assert [measured for _, measured in rates] == [measured for _, measured in want]
    assert [rate for rate, _ in rates] == pytest.approx([rate for rate, _ in want])
    assert [rate for rate, measured in cycles._rates(2, 1) if measured] == [5e-3, 5e-3]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.integers(2, 7), st.integers(0, 3))
def test_each_class_is_spread_evenly_over_the_folds(labels: list, folds: int, seed: int) -> None:
    given_labels = np.array(labels)
    fold = stratified_folds(given_labels, folds, seed)
    assert set(fold.tolist()) <= set(range(folds))
    for rows in [np.arange(len(fold)), *(np.flatnonzero(given_labels == c) for c in set(labels))]:
        sizes = np.bincount(fold[rows], minlength=folds)
        assert sizes.max() - sizes.min() <= 1
    assert (fold == stratified_folds(given_labels, folds, seed)).all()


def test_the_folds_are_drawn_at_random_by_the_seed() -> None:
    labels = np.repeat([0, 1], 30)
    assert (stratified_folds(labels, 6, 0) != stratified_folds(labels, 6, 1)).any()
    assert stratified_folds(labels, 6, 0)[:6].tolist() != [0, 1, 2, 3, 4, 5]


def test_losses_and_probabilities_agree_with_each_other_and_with_a_logistic_regression_by_cross_validation() -> None:
    x, labels = blobs(240, 3, 10, apart=2.0)
    losses, probabilities = held_out_losses(x, labels, 3, seed=3, folds=4, cycles=3, epochs_per_cycle=6)
    assert (losses.shape, losses.dtype, probabilities.shape) == ((240, 18), np.float32, (240, 3))
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(240), abs=1e-5)
    # the loss of an epoch is -log p of that epoch: Jensen's inequality ties their means together
    own = probabilities[np.arange(240), labels]
    assert (losses.mean(axis=1) >= -np.log(own) - 1e-5).all()
    oracle = cross_val_predict(LogisticRegression(C=3), x, labels, cv=4, method="predict_proba")
    assert (probabilities.argmax(axis=1) == oracle.argmax(axis=1)).mean() > 0.85
    assert np.corrcoef(own, oracle[np.arange(240), labels])[0, 1] > 0.75


def test_with_one_epoch_the_loss_is_minus_the_log_of_the_probability() -> None:
    x, labels = blobs(60, 3, 6, apart=2.0)
    losses, probabilities = held_out_losses(x, labels, 3, seed=0, folds=3, cycles=1, epochs_per_cycle=1)
    assert losses[:, 0] == pytest.approx(-np.log(probabilities[np.arange(60), labels]), abs=1e-5)


def test_a_head_has_not_seen_the_label_that_it_judges() -> None:
    # Labels at random, more features than rows: heads that had seen them would know all of them by heart.
    draw = np.random.default_rng(0)
    x = draw.standard_normal((80, 400)).astype(np.float32)
    labels = draw.permutation(np.arange(80) % 2)
    losses, probabilities = held_out_losses(x, labels, 2, seed=0, folds=5, cycles=3, epochs_per_cycle=6)
    assert losses.mean() > np.log(2)
    assert 0.3 < (probabilities.argmax(axis=1) == labels).mean() < 0.7


def test_the_same_input_gives_the_same_bytes_on_any_number_of_threads_and_leaves_that_number_alone() -> None:
    x, labels = blobs(120, 3, 12, apart=1.5)
    before = torch.get_num_threads()
    got = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            torch.manual_seed(threads)  # no use of the global seed
            got.append(held_out_losses(x, labels, 3, **SHORT))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert got[0][0].tobytes() == got[1][0].tobytes()
    assert got[0][1].tobytes() == got[1][1].tobytes()
    other = held_out_losses(x, labels, 3, **{**SHORT, "seed": 4})
    assert (other[0] != got[0][0]).any()


def test_a_rare_class_weighs_more_and_the_mean_weight_of_a_row_is_one() -> None:
    labels = np.repeat([0, 1, 2], [160, 10, 10])
    weights = cycles._class_weights(labels, 3)
    assert weights[labels].mean() == pytest.approx(1)
    assert weights[1] == weights[2]
    assert weights[1] / weights[0] == pytest.approx(2)  # (160 / 10) ** 0.25


def test_the_smallest_input_that_is_allowed_works() -> None:
    x = np.eye(4, dtype=np.float32)
    losses, probabilities = held_out_losses(x, np.array([0, 0, 1, 1]), 2, seed=0, folds=4, cycles=1, epochs_per_cycle=2)
    assert np.isfinite(losses).all()
    assert np.isfinite(probabilities).all()
