"""`ScanInputs`: one run of a cell, with every argument checked and every size known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from rondeau.ir.cell import Cell

States = tuple[Tensor, ...]
Extras = Mapping[str, Tensor]
Result = tuple[Tensor, States, dict[str, Tensor]]
"""What a run returns: the output (batch, time, width), the last states, each (batch, width), and the traced values by name."""


class ScanInputs(NamedTuple):
    """One run. ``extras`` holds contexts and masks by name; a mask that is missing stands for its mean."""

    cell: Cell
    sizes: Mapping[str, int]
    params: Mapping[str, Tensor]
    x: Tensor  # (batch, time, input)
    state: States  # each (batch, width)
    extras: Extras
    lengths: Tensor | None  # (batch,) int64 on the CPU
    reverse: bool
    clip: float | None
    trace: tuple[str, ...]

    @property
    def batch(self) -> int:
        """The number of sequences."""
        return self.x.shape[0]

    @property
    def time(self) -> int:
        """The number of steps."""
        return self.x.shape[1]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Everything a derivative can flow to, in a fixed order: x, states, parameters, extras."""
        return (self.x, *self.state, *self.params.values(), *self.extras.values())

    @property
    def needs_grad(self) -> bool:
        """Whether a derivative is recorded of any of the tensors."""
        return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in self.tensors)

    def with_tensors(self, tensors: tuple[Tensor, ...]) -> ScanInputs:
        """The same run over other tensors, in the order of `tensors`."""
        n, m = len(self.state), len(self.params)
        x, state, rest = tensors[0], tensors[1 : 1 + n], tensors[1 + n :]
        params, extras = dict(zip(self.params, rest[:m])), dict(zip(self.extras, rest[m:]))
        return ScanInputs(self.cell, self.sizes, params, x, state, extras, self.lengths, self.reverse, self.clip, self.trace)
