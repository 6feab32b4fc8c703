"""Blocks of the multimodal network. Every block leaves out what its mask leaves out, gradients included."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis among the entries with mask 1; zeros where no entry has it. scores, mask: (..., k)."""
    hidden = scores.masked_fill(mask == 0, float("-inf"))
    top = hidden.amax(dim=-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).min)  # finite where all is masked
    exponents = torch.exp(torch.where(mask > 0, scores - top, torch.zeros_like(scores))) * mask
    return exponents / exponents.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)


class Standardise(nn.Module):
    """(x - mean) / deviation with the training set's figures, kept as buffers; unfilled steps become zero. Shapes (n, s, d)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("deviation", torch.ones(dimension))

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        # where, not a product: even a NaN in an unfilled step must not get through
        return torch.where(mask.unsqueeze(-1) > 0, (values - self.mean) / self.deviation, torch.zeros_like(values))


class AttentionPooling(nn.Module):
    """A set of vectors -> one: softmax over learned scores of the filled steps. (n, s, d), (n, s) -> (n, hidden).

    Source: Ilse, Tomczak, Welling 2018, equation 8 (attention without the gate), on vectors that went through one layer.
    A row without any filled step gives zeros.
    """

    def __init__(self, dimension: int, hidden: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(dimension, hidden), nn.GELU())
        self.score = nn.Sequential(nn.Linear(hidden, hidden // 2), nn.Tanh(), nn.Linear(hidden // 2, 1))

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        projected = self.project(values)  # (n, s, hidden)
        weights = masked_softmax(self.score(projected).squeeze(-1), mask)  # (n, s)
        return torch.einsum("ns,nsh->nh", weights, projected)


class PatchPooling(nn.Module):
    """Sound patches -> one vector: a small network on each patch, then attention. (n, s, d), (n, s) -> (n, hidden)."""

    def __init__(self, dimension: int, hidden: int) -> None:
        super().__init__()
        self.patch = nn.Sequential(nn.Linear(dimension, hidden), nn.GELU(), nn.LayerNorm(hidden))
        self.pool = AttentionPooling(hidden, hidden)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        return self.pool(self.patch(values), mask)


class TextLayers(nn.Module):
    """One text vector -> hidden values. (n, 1, d), (n, 1) -> (n, hidden); zeros without text."""

    def __init__(self, dimension: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dimension, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU())

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        return self.layers(values[:, 0]) * mask


class GatedFusion(nn.Module):
    """Vectors of m modalities -> one: each modality's share is read off all that are there. (n, m, h), (n, m) -> (n, h).

    A missing modality has share 0 and shows the gate zeros. Source: Arevalo et al. 2017 (GMU, equation 6), with a softmax over
    the modalities that are there in place of independent sigmoids, so that the scale does not depend on how many there are.
    """

    def __init__(self, modalities: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(modalities * hidden, modalities)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, vectors: Tensor, present: Tensor) -> Tensor:
        seen = vectors * present.unsqueeze(-1)
        shares = masked_softmax(self.gate(seen.flatten(1)), present)  # (n, m)
        return self.norm(torch.einsum("nm,nmh->nh", shares, seen))


def drop_modalities(present: Tensor, chance: float) -> Tensor:
    """Hides each modality of a row with `chance`, never all that the row has. present: (n, m) of 0 and 1."""
    kept = present * (torch.rand_like(present) >= chance)
    return torch.where(kept.sum(dim=1, keepdim=True) > 0, kept, present)
