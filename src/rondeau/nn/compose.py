"""Layers from layers: one above another, both directions, around each other. All keep the contract
``(x, state=None, *, lengths=None) -> (y, state)`` and ``initial_state(batch)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rondeau.errors import InputError

Lengths = Tensor | Sequence[int] | None


def is_recurrent(layer: nn.Module) -> bool:
    """Whether a module keeps the contract of a recurrent layer."""
    return callable(getattr(layer, "initial_state", None))


def _parts(state: Any, count: int, owner: str, part: str) -> Sequence[Any]:
    """The entries of a composed state; one None each when no state is given."""
    if state is None:
        return [None] * count
    if not isinstance(state, (tuple, list)) or len(state) != count:
        got = len(state) if isinstance(state, (tuple, list)) else type(state).__name__
        raise InputError(f"the state of this {owner} is a tuple of {count} entries, one a {part}; got {got}")
    return state


class Stack(nn.Sequential):
    """Layers one above another. Plain modules (dropout, normalisation, linear maps) may stand between recurrent ones.

    The state is a tuple with one entry for each recurrent layer, in order; plain modules have none, and see only the output.

    Example:
        >>> from rondeau.nn import Recurrent
        >>> deep = Stack(Recurrent("lstm", 3, 8), nn.Dropout(0.1), Recurrent("gru", 8, 4))
        >>> y, (below, above) = deep(torch.zeros(2, 5, 3))
        >>> y.shape, len(below), len(above)
        (torch.Size([2, 5, 4]), 2, 1)
    """

    @property
    def recurrent(self) -> list[Any]:
        """The recurrent layers, in order."""
        return [layer for layer in self if is_recurrent(layer)]

    @property
    def reverse(self) -> bool | None:
        """Whether time runs backward in its layers; None when they differ."""
        ways = {_reverse(layer) for layer in self.recurrent}
        return ways.pop() if len(ways) == 1 else None

    def initial_state(self, batch: int) -> tuple[Any, ...]:
        """The recurrent layers' initial states."""
        return tuple(layer.initial_state(batch) for layer in self.recurrent)

    def forward(self, x: Tensor, state: Any = None, *, lengths: Lengths = None) -> tuple[Tensor, tuple[Any, ...]]:
        """Runs all layers; ``(y, state)``.

        Raises:
            InputError: the state has not one entry for each recurrent layer, or a plain module returns no tensor.
        """
        before = iter(_parts(state, len(self.recurrent), "stack", "recurrent layer"))
        after = []
        for layer in self:
            if is_recurrent(layer):
                x, last = layer(x, next(before), lengths=lengths)
                after.append(last)
            else:
                x = _plain(layer, x)
        return x, tuple(after)


def _plain(layer: nn.Module, x: Tensor) -> Tensor:
    y = layer(x)
    if not isinstance(y, Tensor):
        name = type(layer).__name__
        raise InputError(f"{name} in a stack returns a {type(y).__name__}, not a tensor; for a recurrent layer use Recurrent")
    return y


def _reverse(layer: nn.Module) -> bool | None:
    """Whether a layer runs backward; None when it cannot say."""
    return getattr(layer, "reverse", None)


class Bidirectional(nn.Module):
    """Two layers over the same sequence, the second from its end to its start; their outputs side by side.

    ``backward_layer`` must run in reverse itself: ``Recurrent(..., reverse=True)``, or a stack of such. The state is the pair
    of states. A layer of another kind that has no ``reverse`` is taken as it is.

    Raises:
        InputError: the second layer does not run in reverse, or the first does; or a state is not a pair.

    Example:
        >>> from rondeau.nn import Recurrent
        >>> both = Bidirectional(Recurrent("gru", 3, 4), Recurrent("gru", 3, 4, reverse=True))
        >>> both(torch.zeros(2, 5, 3), lengths=[5, 2])[0].shape
        torch.Size([2, 5, 8])
    """

    def __init__(self, forward_layer: nn.Module, backward_layer: nn.Module) -> None:
        super().__init__()
        if _reverse(forward_layer) is True or _reverse(backward_layer) is False:
            raise InputError("a bidirectional layer takes one that runs forward and one made with reverse=True, in this order")
        self.forward_layer, self.backward_layer = forward_layer, backward_layer

    def initial_state(self, batch: int) -> tuple[Any, Any]:
        """Both layers' initial states."""
        return self.forward_layer.initial_state(batch), self.backward_layer.initial_state(batch)  # type: ignore[operator]

    def forward(self, x: Tensor, state: Any = None, *, lengths: Lengths = None) -> tuple[Tensor, tuple[Any, Any]]:
        """Runs both; ``(y, state)`` with y (batch, time, both outputs)."""
        ahead, behind = _parts(state, 2, "bidirectional layer", "direction")
        y, ahead = self.forward_layer(x, ahead, lengths=lengths)
        z, behind = self.backward_layer(x, behind, lengths=lengths)
        return torch.cat([y, z], -1), (ahead, behind)


class Skip(nn.Module):
    """A layer whose output is put beside its input, so that what lies above reads both."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    @property
    def reverse(self) -> bool | None:
        """Whether time runs backward in the layer; None when it cannot say."""
        return _reverse(self.layer)

    def initial_state(self, batch: int) -> Any:
        """The layer's initial state."""
        return self.layer.initial_state(batch)  # type: ignore[operator]

    def forward(self, x: Tensor, state: Any = None, *, lengths: Lengths = None) -> tuple[Tensor, Any]:
        """``(concat(x, y), state)``."""
        y, state = self.layer(x, state, lengths=lengths)
        return torch.cat([x, y], -1), state


class Residual(Skip):
    """A layer whose output is added to its input."""

    def forward(self, x: Tensor, state: Any = None, *, lengths: Lengths = None) -> tuple[Tensor, Any]:
        """``(x + y, state)``."""
        y, state = self.layer(x, state, lengths=lengths)
        if y.shape != x.shape:
            raise InputError(f"a residual layer keeps the number of features, but it got {x.shape[-1]} and gave {y.shape[-1]}")
        return x + y, state


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
