"""What gives a text a probability, whatever is behind it: a network, n-grams, or something of one's own."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from torch import Tensor


class Scorer(Protocol):
    """A distribution over texts of tokens 0 to ``size - 1``. `NGram` is one, and ``rondeau.train.NetworkScorer`` makes one of a
    `LanguageModel`."""

    @property
    def size(self) -> int:
        """The number of different tokens."""

    def fit(self, tokens: Tensor) -> Scorer:
        """Learns from ``tokens`` (tokens,); the scorer itself."""

    def log_probability(self, tokens: Tensor) -> np.ndarray:
        """The natural logarithm of each token's probability given those before it, (tokens,), float64."""
