"""`Stepper`: a layer or stack, step after step, on memory of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Union, overload

import numpy as np
import torch
from torch import Tensor

from rondeau.engine import MemoryStep
from rondeau.errors import InputError
from rondeau.ir import Cell

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rondeau.nn.layer import Layer

    Array = NDArray[np.floating[Any]]

S = TypeVar("S")
Rows = Union[int, slice, Sequence[int], "NDArray[Any]", Tensor, None]


class Calls:
    """The calls that make up a step, in order, as the layers add them; ``contexts`` are given, each (batch, width)."""

    def __init__(self, contexts: Mapping[str, Tensor]) -> None:
        self.contexts, self.listed = contexts, list[Callable[[], object]]()
        self._refresh: list[Callable[[], None]] = []

    def cell(self, cell: Cell, params: Callable[[], Mapping[str, Tensor]], x: Tensor, state: tuple[Tensor, ...]) -> Tensor:
        """Adds the step of a cell that reads ``x`` (batch, input) and keeps ``state``, each (batch, width): its output.

        ``params`` is asked again when the weights are to be read anew.

        Raises:
            InputError: no kernel can run it.
        """
        step = MemoryStep(cell, params(), x, state, self.contexts)
        self.then(step.run)
        self._refresh.append(lambda: step.refresh(params()))
        return step.output

    def layer(self, layer: Layer[S], x: Tensor) -> tuple[Tensor, S]:
        """Adds the calls of a layer that reads ``x`` (batch, input): its output, and its state in its own form.

        Raises:
            InputError: it cannot be stepped.
        """
        owner = {name: next(kind for kind in type(layer).__mro__ if name in vars(kind)) for name in ("_forward", "_steps")}
        if owner["_forward"] is not owner["_steps"]:  # what steps here was written for another run
            name = type(layer).__name__
            raise InputError(f"{name} cannot be stepped; step the layers inside it, or give it _steps beside its _forward")
        return layer._steps(x, self)

    def then(self, call: Callable[[], object]) -> None:
        """Adds a call that allocates nothing."""
        self.listed.append(call)

    def refresh(self) -> None:
        """Reads all weights anew."""
        for each in self._refresh:
            each()


class Stepper(Generic[S]):
    """A layer that reads one step at a time, made by ``layer.stepper(batch)``; dropout and masks are as after ``layer.eval()``.

    Outputs and states live in memory of the stepper: **what `step` returns is overwritten by the next step**, so copy what is
    to stay. A step allocates no arrays, compiles nothing, uses the calling thread alone and takes no lock but Python's own, so
    it can run in a thread that must not wait. A stepper belongs to one thread at a time; others take one of their own.
    The weights are read when the stepper is made, and again by `refresh`.

    Args:
        layer: what to step; on the CPU, in float32 or float64.
        batch: sequences side by side.
        context: as for the layer, each (batch, width); it stands until `contexts` is written to.

    Raises:
        InputError: the layer runs in both directions or in reverse, holds what cannot be stepped, or an argument does not fit.

    Example:
        >>> from rondeau.nn import Recurrent
        >>> stepper = Recurrent("gru", 3, 5).stepper(batch=2)
        >>> y = stepper.step(np.zeros((2, 3), dtype="float32"))
        >>> y.shape, stepper.step(torch.zeros(2, 3)).shape
        ((2, 5), torch.Size([2, 5]))
        >>> stepper.reset(rows=[1])
    """

    @torch.inference_mode(False)
    @torch.no_grad()
    def __init__(self, layer: Layer[S], batch: int = 1, context: Tensor | Mapping[str, Tensor] | None = None) -> None:
        if not isinstance(batch, int) or isinstance(batch, bool) or batch < 1:
            raise InputError(f"batch is the number of sequences side by side, at least 1, not {batch!r}")
        self._layer, self._batch = layer, batch
        first = next(layer.parameters(), torch.empty(0))
        x = torch.zeros(batch, layer.input_size, dtype=first.dtype, device=first.device)
        contexts = _contexts(layer, batch, context, x.dtype)
        self._calls = Calls(contexts)
        output, self._state = self._calls.layer(layer, x)
        self._run = tuple(self._calls.listed)
        self._input, self._tensor, self._output = x.numpy(), output, output.numpy()
        self._contexts = {name: value.numpy() for name, value in contexts.items()}
        self._shape, self._dtype, self._torch_dtype = self._input.shape, self._input.dtype, x.dtype
        self.reset()

    @overload
    def step(self, x: Tensor) -> Tensor: ...

    @overload
    def step(self, x: Array) -> Array: ...

    def step(self, x: Tensor | Array) -> Tensor | Array:
        """The output (batch, output) after reading x (batch, input): NumPy for NumPy, a tensor without gradient for a tensor.

        Nothing is copied where x is `input` itself, written to beforehand.

        Raises:
            InputError: x has another shape or type.
        """
        if x is not self._input:
            np.copyto(self._input, self._read(x))
        for call in self._run:
            call()
        return self._tensor if isinstance(x, Tensor) else self._output

    def _read(self, x: Any) -> Array:
        if isinstance(x, Tensor) and x.is_cpu and x.dtype is self._torch_dtype and x.layout is torch.strided:
            x = x.detach().numpy()
        if not isinstance(x, np.ndarray) or x.shape != self._shape or x.dtype != self._dtype:
            raise InputError(f"a step reads x {self._shape} of {self._dtype} on the CPU, not {_described(x)}; convert it")
        return x

    @property
    def input(self) -> Array:
        """What a step reads, (batch, input): write here and give it to `step`, and nothing is copied."""
        return self._input

    @property
    def contexts(self) -> dict[str, Array]:
        """The contexts by name, each (batch, width), to be written to between steps."""
        return dict(self._contexts)

    @property
    def state(self) -> S:
        """The state after the last step, in the layer's own form; a copy."""
        return _mapped(self._state, Tensor.clone)

    @torch.inference_mode(False)
    @torch.no_grad()
    def load_state(self, state: S | Tensor) -> None:
        """Continues from a state in the layer's own form, such as a run over a whole sequence returns.

        Raises:
            InputError: it has another form.
        """
        for own, given in _pairs(self._state, state):
            own.copy_(given)

    @torch.inference_mode(False)
    @torch.no_grad()
    def reset(self, rows: Rows = None) -> None:
        """Starts all sequences anew, or those of the given ``rows``: a number, several, or a mask (batch,).

        Raises:
            InputError: there are no such rows.
        """
        chosen = slice(None) if rows is None else _rows(rows, self._batch)
        for own, start in _pairs(self._state, self._layer.initial_state(self._batch)):
            own.numpy()[..., chosen, :] = start.numpy()[..., chosen, :]

    @torch.inference_mode(False)
    @torch.no_grad()
    def take(self, rows: Tensor) -> None:
        """Every sequence goes on from where that of ``rows`` (batch,) stands, as the hypotheses of a beam do.

        Raises:
            InputError: rows are not as many as there are sequences, or there is none such.
        """
        if not isinstance(rows, Tensor) or rows.shape != (self._batch,):
            raise InputError(f"take needs the numbers of {self._batch} rows, a tensor ({self._batch},), not {_described(rows)}")
        try:
            for own in _leaves(self._state):
                own.copy_(own.index_select(-2, rows))
        except (IndexError, RuntimeError) as error:
            raise InputError(f"take needs numbers of rows from 0 to {self._batch - 1}, not {rows.tolist()[:20]}") from error

    @torch.inference_mode(False)
    def refresh(self) -> None:
        """Reads the layer's weights anew; the state stays."""
        self._calls.refresh()


def _contexts(layer: Layer[Any], batch: int, context: Any, dtype: torch.dtype) -> dict[str, Tensor]:
    """Copies of the contexts by name."""
    names = layer.contexts
    given = {names[0]: context} if isinstance(context, Tensor) and len(names) == 1 else context or {}
    if not isinstance(given, Mapping) or set(given) != set(names):
        got = ", ".join(given) if isinstance(given, Mapping) else type(given).__name__
        raise InputError(f"the layer reads the contexts {', '.join(names) or 'none'}, but context= has {got or 'none'}")
    for name, value in given.items():
        if not isinstance(value, Tensor) or value.dim() != 2 or len(value) != batch:
            raise InputError(f"the context {name} of a stepper is a tensor ({batch}, width), not {_described(value)}")
    return {name: value.detach().to(dtype).clone(memory_format=torch.contiguous_format) for name, value in given.items()}


def _mapped(tree: Any, function: Callable[[Tensor], Tensor]) -> Any:
    return function(tree) if isinstance(tree, Tensor) else tuple(_mapped(each, function) for each in tree)


def _leaves(tree: Any) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    else:
        for each in tree:
            yield from _leaves(each)


def _pairs(own: Any, given: Any) -> list[tuple[Tensor, Tensor]]:
    """Each tensor of a state with that of another one of the same form."""
    lone = isinstance(given, Tensor) and not isinstance(own, Tensor) and len(own) == 1
    found = list(_paired(own, (given,) if lone else given))
    if any(b is None for _, b in found):
        raise InputError(f"the state of this stepper is {_form(own)}, not {_form(given)}; hand on one of the layer's own")
    return [(a, b) for a, b in found if b is not None]


def _paired(own: Any, given: Any) -> Iterator[tuple[Tensor, Tensor | None]]:
    if isinstance(own, Tensor):
        yield own, given if isinstance(given, Tensor) and given.shape == own.shape else None
    elif isinstance(given, (tuple, list)) and len(given) == len(own):
        for a, b in zip(own, given):
            yield from _paired(a, b)
    else:
        yield torch.empty(0), None


def _form(tree: Any) -> str:
    if isinstance(tree, (tuple, list)):
        return f"({', '.join(map(_form, tree))})"
    return str(tuple(tree.shape)) if isinstance(tree, Tensor) else type(tree).__name__


def _rows(rows: Any, batch: int) -> Any:
    if isinstance(rows, slice):
        return rows
    chosen = np.atleast_1d(np.asarray(rows))
    if not chosen.size:
        return slice(0, 0)
    if chosen.dtype == bool and chosen.shape == (batch,):
        return chosen
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or chosen.min() < 0 or chosen.max() >= batch:
        raise InputError(f"rows are numbers from 0 to {batch - 1}, or a mask ({batch},), not {rows!r}")
    return chosen


def _described(x: object) -> str:
    if isinstance(x, (np.ndarray, Tensor)):
        where = f" on {x.device}" if isinstance(x, Tensor) else ""
        return f"{tuple(x.shape)} of {str(x.dtype).removeprefix('torch.')}{where}"
    return type(x).__name__
