"""Layers from layers: one above another, both directions, around each other. Each is a `Layer` itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from rondeau.errors import InputError
from rondeau.nn.dropout import SequenceDropout
from rondeau.nn.layer import Given, Layer, S, Traces
from rondeau.nn.plain import plain_step
from rondeau.nn.stepper import Calls

A = TypeVar("A")
B = TypeVar("B")
KEEP_WIDTH = (
    SequenceDropout, nn.Dropout, nn.AlphaDropout, nn.Identity, nn.LayerNorm, nn.RMSNorm, nn.ReLU, nn.LeakyReLU, nn.PReLU,
    nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh, nn.Hardtanh, nn.Sigmoid, nn.Hardsigmoid, nn.Softplus, nn.Softsign, nn.Softmax,
    nn.LogSoftmax,
)  # fmt: skip
"""Modules that return as many features as they read."""


class Composed(Layer[S]):
    """A layer made of layers, each of which is given the contexts that it reads and the names to trace that are its own."""

    @property
    def _parts(self) -> dict[str, Layer[Any]]:
        """The layers, by the names of their modules."""
        return {name: part for name, part in self._modules.items() if isinstance(part, Layer)}

    @property
    def contexts(self) -> tuple[str, ...]:
        """The names of the contexts that its layers read."""
        return tuple(dict.fromkeys(name for part in self._parts.values() for name in part.contexts))

    @property
    def reverse(self) -> bool | None:
        """Whether its layers run from the end of a sequence to its start; None when they differ."""
        ways = {part.reverse for part in self._parts.values() if part.ordered}
        return ways.pop() if len(ways) == 1 else None

    @property
    def ordered(self) -> bool:
        """Whether the order of the steps makes a difference to any of its layers."""
        return any(part.ordered for part in self._parts.values())

    def _checked(self, given: Given) -> Given:
        for name in given.trace:
            if name.partition(".")[0] not in self._parts:
                known = ", ".join(f"{part}." for part in self._parts)
                raise InputError(f"trace names {name!r}, but what is traced in this layer begins with one of {known}")
        return given._replace(context=_by_name(given.context, self.contexts))

    def _run(self, name: str, x: Tensor, state: Any, given: Given) -> tuple[Tensor, Any, Traces]:
        """One of its layers over ``x``: the output, the last state, and what is traced under its full names."""
        part, start = self._parts[name], f"{name}."
        own = tuple(wanted.removeprefix(start) for wanted in given.trace if wanted.startswith(start))
        assert not isinstance(given.context, Tensor), "_checked has named it"
        context = {key: value for key, value in (given.context or {}).items() if key in part.contexts}
        y, after, *traced = part(x, state, lengths=given.lengths, context=context or None, trace=own)
        return y, after, {start + key: value for values in traced for key, value in values.items()}


def _by_name(context: Any, names: Sequence[str]) -> Mapping[str, Tensor]:
    if isinstance(context, Tensor):
        if len(names) == 1:
            return {names[0]: context}
        raise InputError(f"a lone context is for a layer that reads one, this one reads {_listed(names)}; give them by name")
    unknown = [name for name in context or {} if name not in names]
    if unknown:
        raise InputError(f"the layer reads no context {unknown[0]!r}; it reads {_listed(names)}")
    return context or {}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _entries(state: Any, count: int, owner: str, part: str) -> Sequence[Any]:
    """The entries of a composed state; one None each when no state is given."""
    if state is None:
        return [None] * count
    if not isinstance(state, (tuple, list)) or len(state) != count:
        got = len(state) if isinstance(state, (tuple, list)) else type(state).__name__
        raise InputError(f"the state of this {owner} is a tuple of {count} entries, one a {part}; got {got}")
    return state


class Stack(Composed[tuple[Any, ...]], nn.Sequential):
    """Layers one above another. Plain modules (dropout, normalisation, linear maps) may stand between recurrent ones.

    The state is a tuple with one entry for each recurrent layer, in order; plain modules have none, and see only the output.

    Example:
        >>> from rondeau.nn import Recurrent
        >>> deep = Stack(Recurrent("lstm", 3, 8), nn.Dropout(0.1), Recurrent("gru", 8, 4))
        >>> y, (below, above), gates = deep(torch.zeros(2, 5, 3), trace=("0.f", "2.z"))
        >>> y.shape, len(below), len(above), gates["0.f"].shape
        (torch.Size([2, 5, 4]), 2, 1, torch.Size([2, 5, 8]))
    """

    @property
    def recurrent(self) -> list[Layer[Any]]:
        """The recurrent layers, in order."""
        return list(self._parts.values())

    @property
    def input_size(self) -> int:
        """Features of the input.

        Raises:
            InputError: its first modules do not say.
        """
        return _width(self, output=False)

    @property
    def output_size(self) -> int:
        """Features of the output.

        Raises:
            InputError: its last modules do not say.
        """
        return _width(self, output=True)

    def initial_state(self, batch: int) -> tuple[Any, ...]:
        """The recurrent layers' initial states."""
        return tuple(layer.initial_state(batch) for layer in self.recurrent)

    def _forward(self, x: Tensor, state: Any, given: Given) -> tuple[Tensor, tuple[Any, ...], Traces]:
        before = iter(_entries(state, len(self.recurrent), "stack", "recurrent layer"))
        after, traces = [], {}
        for name, module in self._modules.items():
            if isinstance(module, Layer):
                x, last, traced = self._run(name, x, next(before), given)
                after.append(last)
                traces.update(traced)
            elif module is not None:
                x = _plain(module, x)
        return x, tuple(after), traces

    def _steps(self, x: Tensor, calls: Calls) -> tuple[Tensor, tuple[Any, ...]]:
        states = []
        for module in self._modules.values():
            if isinstance(module, Layer):
                x, state = calls.layer(module, x)
                states.append(state)
            elif module is not None:
                x = plain_step(module, x, calls)
        return x, tuple(states)


def _plain(module: nn.Module, x: Tensor) -> Tensor:
    y = module(x)
    if isinstance(y, Tensor):
        return y
    name = type(module).__name__
    if _compiled(module):
        raise InputError(
            "a stack takes layers, not what torch.compile wraps one in; write layer.compile(), which keeps it a layer"
        )
    own = f"Recurrent.from_torch({name.lower()})" if isinstance(module, nn.RNNBase) else "Recurrent, or a Layer of your own"
    raise InputError(f"{name} in a stack returns a {type(y).__name__}, not a tensor; for a recurrent layer use {own}")


def _width(modules: Iterable[nn.Module], output: bool) -> int:
    """The features that a chain of modules reads, or with ``output`` returns."""
    listed = list(_flat(modules))
    for module in reversed(listed) if output else listed:
        if isinstance(module, Layer):
            return module.output_size if output else module.input_size
        if isinstance(module, nn.Linear):
            return module.out_features if output else module.in_features
        if not isinstance(module, KEEP_WIDTH):
            what, where = ("return", "end") if output else ("read", "begin")
            name = type(module).__name__
            raise InputError(
                f"{name} does not say how many features it would {what}; {where} the stack with a Recurrent or Linear"
            )
    raise InputError("nothing in the stack says how many features it has; put a Recurrent or Linear into it")


def _flat(modules: Iterable[nn.Module]) -> Iterable[nn.Module]:
    for module in modules:
        if isinstance(module, nn.Sequential) and not isinstance(module, Layer):
            yield from _flat(module)
        else:
            yield module


class Bidirectional(Composed[tuple[A, B]], Generic[A, B]):
    """Two layers over the same sequence, the second from its end to its start; their outputs side by side.

    ``backward_layer`` must run in reverse itself: ``Recurrent(..., reverse=True)``, or a stack of such. The state is the pair
    of states. A layer whose ``reverse`` is None is taken as it is.

    Raises:
        InputError: the second layer does not run in reverse, or the first does; or a state is not a pair.

    Example:
        >>> from rondeau.nn import Recurrent
        >>> both = Bidirectional(Recurrent("gru", 3, 4), Recurrent("gru", 3, 4, reverse=True))
        >>> both(torch.zeros(2, 5, 3), lengths=[5, 2])[0].shape
        torch.Size([2, 5, 8])
    """

    def __init__(self, forward_layer: Layer[A], backward_layer: Layer[B]) -> None:
        super().__init__()
        _check_layers(self, forward_layer, backward_layer)
        if forward_layer.reverse is True or backward_layer.reverse is False:
            raise InputError("a bidirectional layer takes one that runs forward and one made with reverse=True, in this order")
        self.forward_layer, self.backward_layer = forward_layer, backward_layer

    @property
    def input_size(self) -> int:
        """Features of the input."""
        return self.forward_layer.input_size

    @property
    def output_size(self) -> int:
        """Features of both outputs."""
        return self.forward_layer.output_size + self.backward_layer.output_size

    def initial_state(self, batch: int) -> tuple[A, B]:
        """Both layers' initial states."""
        return self.forward_layer.initial_state(batch), self.backward_layer.initial_state(batch)

    def _forward(self, x: Tensor, state: Any, given: Given) -> tuple[Tensor, tuple[A, B], Traces]:
        ahead, behind = _entries(state, 2, "bidirectional layer", "direction")
        y, ahead, traced = self._run("forward_layer", x, ahead, given)
        z, behind, others = self._run("backward_layer", x, behind, given)
        return torch.cat([y, z], -1), (ahead, behind), traced | others


class Skip(Composed[S]):
    """A layer whose output is put beside its input, so that what lies above reads both."""

    def __init__(self, layer: Layer[S]) -> None:
        super().__init__()
        _check_layers(self, layer)
        self.layer = layer

    @property
    def input_size(self) -> int:
        """Features of the input."""
        return self.layer.input_size

    @property
    def output_size(self) -> int:
        """Features of the input and of the layer's output."""
        return self.layer.input_size + self.layer.output_size

    def initial_state(self, batch: int) -> S:
        """The layer's initial state."""
        return self.layer.initial_state(batch)

    def _forward(self, x: Tensor, state: Any, given: Given) -> tuple[Tensor, S, Traces]:
        y, after, traced = self._run("layer", x, state, given)
        return torch.cat([x, y], -1), after, traced

    def _steps(self, x: Tensor, calls: Calls) -> tuple[Tensor, S]:
        y, state = calls.layer(self.layer, x)
        both = torch.cat([x, y], -1)
        calls.then(partial(np.concatenate, (x.numpy(), y.numpy()), 1, both.numpy()))
        return both, state


class Residual(Skip[S]):
    """A layer whose output is added to its input."""

    @property
    def output_size(self) -> int:
        """Features of the input, and of the output too."""
        return self.layer.output_size

    def _forward(self, x: Tensor, state: Any, given: Given) -> tuple[Tensor, S, Traces]:
        y, after, traced = self._run("layer", x, state, given)
        return _same_width(x, y) + y, after, traced

    def _steps(self, x: Tensor, calls: Calls) -> tuple[Tensor, S]:
        y, state = calls.layer(self.layer, x)
        total = _same_width(x, y) + y
        calls.then(partial(np.add, x.numpy(), y.numpy(), total.numpy()))
        return total, state


def _same_width(x: Tensor, y: Tensor) -> Tensor:
    """``x`` itself, where ``y`` can be added to it."""
    if y.shape != x.shape:
        raise InputError(f"a residual layer keeps the number of features, but it got {x.shape[-1]} and gave {y.shape[-1]}")
    return x


def _check_layers(owner: nn.Module, *layers: object) -> None:
    for layer in layers:
        if not isinstance(layer, Layer):
            name = type(owner).__name__
            if _compiled(layer):
                raise InputError(
                    f"{name} takes layers, not what torch.compile wraps one in; write layer.compile(), which keeps it a layer"
                )
            raise InputError(f"{name} takes layers, such as Recurrent or Stack, not {type(layer).__name__}")


def _compiled(module: object) -> bool:
    """Whether it is what ``torch.compile(layer)`` returns."""
    return isinstance(module, nn.Module) and isinstance(module._modules.get("_orig_mod"), Layer)
