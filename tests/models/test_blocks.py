import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reelhouse.models.blocks import (
    AttentionPooling,
    GatedFusion,
    PatchPooling,
    Standardise,
    TextLayers,
    drop_modalities,
    masked_softmax,
)

MASK = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_masked_softmax_by_hand():
    scores = torch.tensor([[0.0, torch.log(torch.tensor(3.0)), 50.0], [1e4, 5.0, 7.0], [1.0, 2.0, 3.0]])
    got = masked_softmax(scores, MASK)
    torch.testing.assert_close(got, torch.tensor([[0.25, 0.75, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))


def test_standardise_by_hand_and_an_unfilled_step_lets_nothing_through():
    block = Standardise(2)
    block.mean.copy_(torch.tensor([1.0, 2.0]))
    block.deviation.copy_(torch.tensor([2.0, 4.0]))
    got = block(torch.tensor([[[3.0, 10.0], [float("nan"), 1.0]]]), torch.tensor([[1.0, 0.0]]))
    assert got.tolist() == [[[1.0, 2.0], [0.0, 0.0]]]


@pytest.mark.parametrize("block", [AttentionPooling, PatchPooling])
def test_an_unfilled_step_has_no_influence_on_value_or_gradient(block):
    pool = block(4, 6)
    values = torch.randn(3, 3, 4)
    other = torch.where(MASK.unsqueeze(-1) > 0, values, torch.randn(3, 3, 4) * 100)
    torch.testing.assert_close(pool(values, MASK), pool(other, MASK))
    leaf = values.clone().requires_grad_()
    pool(leaf, MASK).square().sum().backward()
    assert torch.isfinite(leaf.grad).all()
    assert leaf.grad[MASK == 0].abs().max() == 0
    assert leaf.grad[0, :2].abs().min() > 0


@pytest.mark.parametrize("block", [AttentionPooling, PatchPooling])
def test_the_order_of_steps_does_not_matter_and_no_step_gives_zeros(block):
    pool = block(4, 6)
    values, turned = torch.randn(3, 3, 4), torch.tensor([2, 0, 1])
    torch.testing.assert_close(pool(values, MASK), pool(values[:, turned], MASK[:, turned]))
    assert pool(values, MASK)[2].tolist() == [0.0] * 6


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4))
def test_a_step_that_comes_twice_counts_as_one_of_it(steps, rows):
    pool = AttentionPooling(3, 4)
    values, mask = torch.randn(rows, steps, 3), torch.ones(rows, steps)
    twice = torch.cat([values, values], dim=1)
    torch.testing.assert_close(pool(values, mask), pool(twice, torch.cat([mask, mask], dim=1)), rtol=1e-4, atol=1e-5)


def test_text_layers_give_zeros_without_text():
    layers = TextLayers(3, 4)
    got = layers(torch.randn(2, 1, 3), torch.tensor([[1.0], [0.0]]))
    assert got[0].abs().max() > 0
    assert got[1].tolist() == [0.0] * 4


def test_a_missing_modality_has_no_influence_on_the_fusion():
    fusion = GatedFusion(3, 4)
    present = torch.tensor([[1.0, 0.0, 1.0]])
    vectors = torch.randn(1, 3, 4)
    other = vectors.clone()
    other[:, 1] = 1e3
    torch.testing.assert_close(fusion(vectors, present), fusion(other, present))
    alone = torch.tensor([[1.0, 0.0, 0.0]])
    torch.testing.assert_close(fusion(vectors, alone), fusion.norm(vectors[:, 0]))  # one that is alone gets all of the share


@pytest.mark.parametrize(
    ("block", "shapes"),
    [
        (lambda: AttentionPooling(3, 4), [(2, 3, 3), (2, 3)]),
        (lambda: PatchPooling(3, 4), [(2, 3, 3), (2, 3)]),
        (lambda: TextLayers(3, 4), [(2, 1, 3), (2, 1)]),
        (lambda: GatedFusion(3, 4), [(2, 3, 4), (2, 3)]),
    ],
)
def test_gradients_agree_with_finite_differences(block, shapes):
    layers = block().double()
    values = torch.randn(*shapes[0], dtype=torch.float64, requires_grad=True)
    mask = (torch.arange(shapes[1][1]) < torch.tensor([[shapes[1][1]], [1]])).double()
    assert torch.autograd.gradcheck(lambda x: layers(x, mask), (values,), eps=1e-6, atol=1e-5)


def test_dropping_modalities_never_takes_all_of_a_row_and_adds_none():
    present = torch.tensor([[1.0, 1.0, 0.0]]).repeat(2000, 1)
    kept = drop_modalities(present, 0.5)
    assert (kept <= present).all()
    assert kept.sum(dim=1).min() == 1
    # of four outcomes, each 1/4, the one without any goes back to both: 3/8 of the rows or so lose the first
    assert 0.2 < float((kept[:, 0] == 0).float().mean()) < 0.3
