"""`HashedNGrams`: a linear model of tokens and short runs of tokens, a strong and quick companion of recurrent networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rondeau.errors import InputError
from rondeau.nn.layer import Lengths

SPREAD = 8.0  # how far a weight moves for one of Adam's steps: those of rare runs are seldom moved
PRIME, MIX = 1_000_003, 2_654_435_761


class HashedNGrams(nn.Module):
    """Outputs that are sums over all runs of 1 to ``longest`` tokens, with the text's begin and end as tokens too; each run has
    weights of its own, but for those that share a hash. Source: Weinberger et al. 2009, arXiv:0902.2206.

    Args:
        vocabulary: the number of different tokens.
        outputs: how many there are, such as one a class.
        longest: tokens of a run.
        dropout: the rate at which runs are left out, while training.
        buckets: hashes that there are.

    Raises:
        InputError: a number is not positive.

    Example:
        >>> HashedNGrams(50, 3)(torch.zeros(2, 7, dtype=torch.int64), lengths=[7, 3]).shape
        torch.Size([2, 3])
    """

    def __init__(
        self, vocabulary: int, outputs: int, longest: int = 2, *, dropout: float = 0.0, buckets: int = 1 << 16
    ) -> None:
        super().__init__()
        if min(vocabulary, outputs, longest, buckets) < 1:
            raise InputError(
                f"vocabulary, outputs, longest and buckets are positive; got {vocabulary}, {outputs}, {longest}, {buckets}"
            )
        self.vocabulary, self.longest, self.dropout = vocabulary, longest, dropout
        self.weight = nn.Parameter(torch.zeros(buckets, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, tokens: Tensor, *, lengths: Lengths = None) -> Tensor:
        """Outputs (batch, outputs) of tokens (batch, time)."""
        counts = torch.as_tensor([tokens.shape[1]] * len(tokens) if lengths is None else lengths, device=tokens.device)
        runs, there = self._runs(tokens, counts)
        share = there / there.sum(1, keepdim=True).sqrt()
        share = functional.dropout(share, self.dropout, self.training)
        return SPREAD * functional.embedding_bag(runs, self.weight, mode="sum", per_sample_weights=share) + self.bias

    def _runs(self, tokens: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """The hash of the run of each length at each place (batch, runs), and 1 where there is one (batch, runs)."""
        marked = functional.pad(tokens + 1, (1, 1)).scatter(1, counts[:, None] + 1, 0)  # 0: where the text begins and ends
        places, steps = marked.shape[1], torch.arange(marked.shape[1], device=tokens.device)
        hashes, there, state = [], [], torch.zeros_like(marked)
        for width in range(min(self.longest, places)):
            state = state[:, : places - width] * PRIME + marked[:, width:] + 1
            hashes.append((state * MIX >> 15).remainder(len(self.weight)))
            there.append(steps[: places - width] + width < counts[:, None] + 2)
        return torch.cat(hashes, 1), torch.cat(there, 1).to(self.weight.dtype)

    def extra_repr(self) -> str:
        """Tokens, outputs and runs."""
        return f"{self.vocabulary}, {self.weight.shape[1]}, longest={self.longest}, buckets={len(self.weight)}"
