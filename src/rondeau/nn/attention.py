"""`Attention`: what to look at in a sequence, for every query a weighted mean of its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rondeau.errors import InputError
from rondeau.nn.layer import Lengths


class Memory(NamedTuple):
    """What attention looks at: values (batch, time, features), keys (batch, time, width) made of them once, and where padding
    is (batch, 1, time), or None."""

    values: Tensor
    keys: Tensor
    past: Tensor | None

    def take(self, places: Tensor) -> Memory:
        """The memory of the sequences at ``places``."""
        return Memory(self.values[places], self.keys[places], None if self.past is None else self.past[places])


class Attention(nn.Module):
    """For each query a softmax over the steps of a sequence, and the mean of its values with these weights.

    The score of a query q and a value m is, by kind::

        dot:       q @ m
        general:   q @ (W @ m)
        additive:  v @ tanh(U @ q + W @ m)

    Args:
        queries: features of a query.
        values: features of a value.
        kind: "dot", "general" or "additive".

    Raises:
        InputError: there is no such kind, or dot is asked for and queries and values are not equally wide.

    Source:
        additive: Bahdanau et al. 2015, arXiv:1409.0473, section A.1.2; dot and general: Luong et al. 2015, arXiv:1508.04025,
        equation 8.

    Example:
        >>> attention = Attention(4, 6, "additive")
        >>> memory = attention.memory(torch.randn(2, 5, 6), lengths=[5, 3])
        >>> context, weights = attention(torch.randn(2, 7, 4), memory)
        >>> context.shape, weights.shape, bool((weights[1, :, 3:] == 0).all())
        (torch.Size([2, 7, 6]), torch.Size([2, 7, 5]), True)
    """

    def __init__(self, queries: int, values: int, kind: str = "general") -> None:
        super().__init__()
        if kind not in SCORES:
            raise InputError(f"attention is one of {', '.join(SCORES)}, not {kind!r}")
        if kind == "dot" and queries != values:
            raise InputError(
                f"attention by dot product needs queries as wide as values, got {queries} and {values}; take general"
            )
        self.kind, self.queries, self.values = kind, queries, values
        self.keys = nn.Identity() if kind == "dot" else nn.Linear(values, queries, bias=kind == "additive")
        if kind == "additive":
            self.asked = nn.Linear(queries, queries, bias=False)
            self.score = nn.Linear(queries, 1, bias=False)

    def memory(self, values: Tensor, lengths: Lengths = None) -> Memory:
        """What any number of queries look at.

        Args:
            values: (batch, time, features).
            lengths: the number of steps of each sequence (batch,), at least one; all steps if not given.

        Raises:
            InputError: a sequence has no step to look at, or shapes do not fit.
        """
        if values.dim() != 3 or values.shape[2] != self.values:
            raise InputError(f"values are (batch, time, {self.values}), not {tuple(values.shape)}")
        if lengths is None:
            return Memory(values, self.keys(values), None)
        counts = torch.as_tensor(lengths, device=values.device)
        if len(counts) != len(values) or (len(counts) and not 1 <= int(counts.min()) <= int(counts.max()) <= values.shape[1]):
            raise InputError(f"lengths are {len(values)} whole numbers from 1 to {values.shape[1]}, not {counts.tolist()[:20]}")
        past = torch.arange(values.shape[1], device=values.device) >= counts[:, None]
        return Memory(values, self.keys(values), past[:, None])

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """The context (batch, queries, features) and the weights (batch, queries, time) of queries (batch, queries, width)."""
        scores = SCORES[self.kind](self, queries, memory.keys)
        if memory.past is not None:
            scores = scores.masked_fill(memory.past, -torch.inf)
        weights = scores.softmax(-1)
        return weights @ memory.values, weights

    def extra_repr(self) -> str:
        """The widths and the kind."""
        return f"{self.queries}, {self.values}, {self.kind!r}"


def _product(attention: Attention, queries: Tensor, keys: Tensor) -> Tensor:
    return queries @ keys.mT


def _additive(attention: Attention, queries: Tensor, keys: Tensor) -> Tensor:
    return attention.score(torch.tanh(attention.asked(queries)[:, :, None] + keys[:, None]))[..., 0]


SCORES: dict[str, Callable[[Attention, Tensor, Tensor], Tensor]] = {"dot": _product, "general": _product, "additive": _additive}
"""From queries (batch, queries, width) and keys (batch, time, width) to scores (batch, queries, time)."""
