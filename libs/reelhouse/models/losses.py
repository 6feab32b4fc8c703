"""Losses on answers that may be partial: yes, no or unknown for each class."""

from __future__ import annotations

import torch
from torch import Tensor


def partial_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of exclusive classes when not every class was answered. Returns (n,).

    logits, targets: (n, c); targets 1 yes, 0 no, -1 unknown. With a yes: -log of the probability of the yes classes among those
    known (a masked ancestor competes with nobody). With noes only: -log of the probability of the unknown classes among all.
    A row that says nothing (all unknown, or all no) costs 0.
    """
    lowest = torch.finfo(logits.dtype).min
    is_yes, is_known = targets > 0, targets >= 0
    has_yes = is_yes.any(dim=1, keepdim=True)
    right = torch.where(has_yes, is_yes, ~is_known)
    among = torch.where(has_yes, is_known, torch.ones_like(is_known))
    part = torch.logsumexp(logits.masked_fill(~right, lowest), dim=1)
    whole = torch.logsumexp(logits.masked_fill(~among, lowest), dim=1)
    return torch.where(says_something(targets), whole - part, torch.zeros_like(whole))


def says_something(targets: Tensor) -> Tensor:
    """(n,) bool: rows with a yes, or with a no and something left open."""
    return (targets > 0).any(dim=1) | ((targets == 0).any(dim=1) & (targets < 0).any(dim=1))


def is_right(logits: Tensor, targets: Tensor) -> Tensor:
    """(n,) bool: whether the highest of the known classes is a yes; False for rows without a yes."""
    best = logits.masked_fill(targets < 0, torch.finfo(logits.dtype).min).argmax(dim=1, keepdim=True)
    return targets.gather(1, best).squeeze(1) > 0
