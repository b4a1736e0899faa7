"""`Linear`: PyTorch's linear layer, whose large products go the fastest way that this machine has."""

from __future__ import annotations

import torch
from torch import Tensor

from rondeau.engine.linear_map import linear_map


class Linear(torch.nn.Linear):
    """As `torch.nn.Linear`: the same arguments, parameters and initial values."""

    def forward(self, input: Tensor) -> Tensor:
        """The map of (..., in_features) to (..., out_features)."""
        return linear_map(input, self.weight, self.bias)
