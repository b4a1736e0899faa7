"""`ManyToOne`: one answer for a whole sequence. Classifiers and regressors are such, by the loss that they learn with."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from rondeau.errors import InputError
from rondeau.models.encoder import SequenceEncoder
from rondeau.nn.layer import Lengths


class ManyToOne(nn.Module):
    """An encoder, its outputs pooled over the steps of each sequence, and a linear head.

    Args:
        encoder: what makes outputs at every step.
        outputs: how many the head gives, such as one a class.
        pooling: "last", "mean", "max" or "attention", or several with spaces between, side by side; see `Pooling`.
        dropout: the rate on what is pooled, while training.

    Raises:
        InputError: there is no such pooling.

    Example:
        >>> from rondeau.models import Tokens, recurrent_layers
        >>> encoder = SequenceEncoder(Tokens(50, 8), recurrent_layers("gru", 8, 16))
        >>> ManyToOne(encoder, 3, "mean max")(torch.zeros(2, 7, dtype=torch.int64), lengths=[7, 3]).shape
        torch.Size([2, 3])
    """

    def __init__(self, encoder: SequenceEncoder, outputs: int, pooling: str = "last", dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = Pooling(encoder.output_size, pooling, both=encoder.reverse is None)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.pooling.width, outputs)

    def forward(self, x: Tensor, *, lengths: Lengths = None) -> Tensor:
        """Outputs (batch, outputs) of sequences (batch, time, ...).

        Args:
            x: what the encoder reads.
            lengths: the number of steps of each sequence (batch,); all steps if not given.
        """
        y, _ = self.encoder(x, lengths=lengths)
        return self.head(self.dropout(self.pooling(y, self.encoder.frames(lengths))))


class Pooling(nn.Module):
    """Outputs of all steps as one vector for each sequence.

    - last: the output at the last step of each sequence; of layers that run both ways the backward half at the first step,
      where those end.
    - mean, max: over the steps of each sequence, feature by feature.
    - attention: a weighted mean, the weights a softmax over steps of ``v @ tanh(W @ y)``. Source: Yang et al. 2016.

    Args:
        features: of the outputs.
        kinds: one or several of these, with spaces between.
        both: whether the second half of the features is that of layers that run backward.

    Raises:
        InputError: there is no such kind.
    """

    def __init__(self, features: int, kinds: str, *, both: bool = False) -> None:
        super().__init__()
        self.kinds, self.both = _kinds(kinds), both
        self.width = features * len(self.kinds)
        if "attention" in self.kinds:
            self.scores = nn.Sequential(nn.Linear(features, features), nn.Tanh(), nn.Linear(features, 1, bias=False))

    def forward(self, y: Tensor, lengths: Lengths = None) -> Tensor:
        """y (batch, time, features) as (batch, width)."""
        counts = torch.as_tensor([y.shape[1]] * len(y) if lengths is None else lengths, device=y.device)
        past = None if lengths is None else (torch.arange(y.shape[1], device=y.device) >= counts[:, None])[..., None]
        parts = [POOLINGS[kind](self, y, counts, past) for kind in self.kinds]
        return torch.cat(parts, -1) if len(parts) > 1 else parts[0]

    def extra_repr(self) -> str:
        """The kinds."""
        return ", ".join(self.kinds)


def _last(pooling: Pooling, y: Tensor, counts: Tensor, past: Tensor | None) -> Tensor:
    ends = y[torch.arange(len(y), device=y.device), counts - 1]
    if not pooling.both:
        return ends
    half = y.shape[-1] // 2
    return torch.cat([ends[:, :half], y[:, 0, half:]], -1)


def _mean(pooling: Pooling, y: Tensor, counts: Tensor, past: Tensor | None) -> Tensor:
    return (y if past is None else y.masked_fill(past, 0.0)).sum(1) / counts[:, None]


def _max(pooling: Pooling, y: Tensor, counts: Tensor, past: Tensor | None) -> Tensor:
    return (y if past is None else y.masked_fill(past, -torch.inf)).amax(1)


def _attention(pooling: Pooling, y: Tensor, counts: Tensor, past: Tensor | None) -> Tensor:
    scores = pooling.scores(y)
    return ((scores if past is None else scores.masked_fill(past, -torch.inf)).softmax(1) * y).sum(1)


POOLINGS: dict[str, Callable[[Pooling, Tensor, Tensor, Tensor | None], Tensor]] = {
    "last": _last,
    "mean": _mean,
    "max": _max,
    "attention": _attention,
}
"""From outputs (batch, time, features), lengths (batch,) and where padding is (batch, time, 1) to (batch, features)."""


def _kinds(given: str) -> tuple[str, ...]:
    kinds = tuple(given.split()) if isinstance(given, str) else ()
    if not kinds or len(set(kinds)) < len(kinds) or not set(kinds) <= POOLINGS.keys():
        raise InputError(f"pooling is one or several of {', '.join(POOLINGS)}, with spaces between, not {given!r}")
    return kinds


class Members(nn.ModuleList):
    """Several networks of one kind side by side; what they say is averaged. Source: Lakshminarayanan et al. 2017.

    Args:
        members: the networks, each with its own initial weights.
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__(members)

    def forward(self, x: Tensor, *, lengths: Lengths = None) -> Tensor:
        """The outputs of each (members, batch, ...)."""
        return torch.stack([member(x, lengths=lengths) for member in self])


class Companioned(nn.Module):
    """Members and a quick companion of another kind, such as `rondeau.models.HashedNGrams`, which counts as much as they all.

    Args:
        members: the networks.
        companion: what gives outputs (batch, ...) as each of them.
    """

    def __init__(self, members: Members, companion: nn.Module) -> None:
        super().__init__()
        self.members, self.companion = members, companion

    def forward(self, x: Tensor, *, lengths: Lengths = None) -> Tensor:
        """The outputs of each, the companion's as often as there are members (2 * members, batch, ...)."""
        said = self.members(x, lengths=lengths)
        return torch.cat([said, self.companion(x, lengths=lengths).expand_as(said)])
