"""Dropout for sequences."""

from __future__ import annotations

from torch import Tensor, nn

from rondeau.errors import InputError


class SequenceDropout(nn.Module):
    """Dropout with one mask for all steps of a sequence. Source: Gal & Ghahramani 2016, arXiv:1512.05287.

    Raises:
        InputError: the rate does not lie in [0, 1).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise InputError(f"rate is a probability from 0 up to but not including 1, not {rate!r}")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """x (batch, time, features) with some features of each sequence set to zero, while training."""
        if not self.training or not self.rate:
            return x
        return x * (x.new_empty(x.shape[0], 1, x.shape[2]).bernoulli_(1 - self.rate) / (1 - self.rate))

    def extra_repr(self) -> str:
        """The rate."""
        return f"rate={self.rate}"
