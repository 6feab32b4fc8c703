import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reelhouse.models.losses import is_right, partial_cross_entropy, says_something

LOGITS = torch.log(torch.tensor([[1.0, 2.0, 5.0]]))  # probabilities 1/8, 2/8, 5/8


@pytest.mark.parametrize(
    ("targets", "cost"),
    [
        ([1, 0, 0], math.log(8)),  # the usual cross-entropy
        ([1, 0, -1], math.log(3)),  # the third is masked: 1 of 1 + 2
        ([1, -1, -1], 0.0),  # competes with nobody
        ([1, 1, 0], math.log(8 / 3)),  # either will do
        ([0, -1, -1], math.log(8 / 7)),  # only: not the first
        ([0, 0, -1], math.log(8 / 5)),
        ([-1, -1, -1], 0.0),  # says nothing
        ([0, 0, 0], 0.0),  # can't be said with exclusive classes
    ],
)
def test_the_cost_by_hand(targets, cost):
    got = partial_cross_entropy(LOGITS, torch.tensor([targets], dtype=torch.float32))
    assert got.item() == pytest.approx(cost, abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sampled_from([1.0, 0.0, -1.0]), min_size=4, max_size=4), min_size=1, max_size=6), st.integers(0, 99))
def test_cost_is_never_negative_and_its_gradient_finite_and_zero_for_rows_that_say_nothing(targets, seed):
    answers = torch.tensor(targets)
    logits = (torch.randn(len(answers), 4, generator=torch.Generator().manual_seed(seed)) * 5).requires_grad_()
    cost = partial_cross_entropy(logits, answers)
    cost.sum().backward()
    assert (cost >= -1e-6).all()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[~says_something(answers)].abs().sum() == 0


def test_agrees_with_torch_when_all_is_known():
    logits = torch.randn(7, 5, generator=torch.Generator().manual_seed(1))
    classes = torch.arange(7) % 5
    expected = torch.nn.functional.cross_entropy(logits, classes, reduction="none")
    torch.testing.assert_close(partial_cross_entropy(logits, torch.nn.functional.one_hot(classes, 5).float()), expected)


def test_gradient_agrees_with_finite_differences():
    targets = torch.tensor([[1, 0, -1, 0], [0, -1, -1, 0], [1, 1, 0, -1]], dtype=torch.float64)
    logits = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: partial_cross_entropy(x, targets), (logits,))


def test_right_is_the_best_of_the_known_classes():
    targets = torch.tensor([[0, 1, -1], [1, 0, 0], [-1, 0, -1]], dtype=torch.float32)
    assert is_right(LOGITS.repeat(3, 1), targets).tolist() == [True, False, False]
