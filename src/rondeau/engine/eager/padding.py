"""Padded sequences: which steps count, and reversing each sequence within its length."""

from __future__ import annotations

import torch
from torch import Tensor


def alive(lengths: Tensor, time: int, like: Tensor) -> Tensor:
    """For each step and sequence whether it lies within the length: bool (time, batch, 1) on the device of ``like``."""
    steps = torch.arange(time, device=like.device)
    return (steps[:, None] < lengths.to(like.device)[None, :]).unsqueeze(-1)


def reversed_within(value: Tensor, lengths: Tensor) -> Tensor:
    """``value`` (batch, time, width) with each sequence reversed within its length; the padding stays."""
    steps = torch.arange(value.shape[1], device=value.device)
    ends = lengths.to(value.device)[:, None]
    order = torch.where(steps < ends, ends - 1 - steps, steps)
    return torch.take_along_dim(value, order[:, :, None], 1)
