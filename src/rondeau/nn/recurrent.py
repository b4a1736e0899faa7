"""`Recurrent`: a cell with parameters, as a module."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rondeau.cells import get
from rondeau.engine import BackendChoice, step
from rondeau.engine.backends.registry import choice
from rondeau.errors import InputError, RondeauWarning
from rondeau.ir import Cell
from rondeau.ir.fit import fit
from rondeau.nn import stock
from rondeau.nn.directions import Direction, directions, run_all
from rondeau.nn.initialise import draw
from rondeau.nn.layer import Context, Given, Layer, States, Traces
from rondeau.nn.masks import drawn
from rondeau.nn.precision import autocasting, in_type
from rondeau.nn.stepper import Calls
from rondeau.nn.watching import Watched


class Recurrent(Watched, Layer[States]):
    """A layer of one cell, or several above one another, in one direction or both.

    Every parameter of the cell is a parameter of the module under the same name, packed by gate; one whose name the module
    needs for itself, such as ``reverse``, gets an underscore behind it. With several layers or both directions the names end
    as in PyTorch: ``W_l0``, ``W_l0_reverse``, ``W_l1``. Masks (dropout, zoneout) are drawn in training mode and stand at their
    mean otherwise.

    The state is a tuple with a tensor for each state of the cell: (batch, width), or (layers * directions, batch, width) where
    there are several, in the order of PyTorch: layer by layer, forward before backward.

    Args:
        cell: the equations, or a name of the zoo.
        input_size: features of the input.
        hidden_size: hidden units.
        num_layers: layers above one another; the second and later read the outputs of the one below.
        bidirectional: whether every layer runs both forward and backward, its outputs side by side.
        dropout: the rate of dropout on the outputs of every layer but the last, while training.
        reverse: whether each sequence is read from its last step to its first.
        initial: the state that a sequence starts with: ``zeros``, ``learned`` (a parameter), or ``normal`` (drawn anew).
        clip: bounds each element of the gradient that flows back through the states, at every step; may be set later.
        segment: as for `rondeau.scan`: less memory for long sequences, for a second forward run.
        backend: as for `rondeau.scan`.
        device: of the parameters; on ``meta`` they have shapes alone, until `torch.nn.Module.to_empty` and `reset_parameters`.
        dtype: of the parameters.
        sizes: the cell's other sizes by name, such as ``projection=64``.

    Raises:
        InputError: a size is missing, unknown or not positive, or the settings contradict one another.

    Example:
        >>> layer = Recurrent("gru", 3, 5)
        >>> y, state = layer(torch.zeros(2, 7, 3))
        >>> y.shape, state[0].shape
        (torch.Size([2, 7, 5]), torch.Size([2, 5]))
        >>> y, state = Recurrent("gru", 3, 5, num_layers=2, bidirectional=True)(torch.zeros(2, 7, 3))
        >>> y.shape, state[0].shape
        (torch.Size([2, 7, 10]), torch.Size([4, 2, 5]))
    """

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        reverse: bool = False,
        initial: Literal["zeros", "learned", "normal"] = "zeros",
        clip: float | None = None,
        segment: int | Literal["auto"] | None = None,
        backend: BackendChoice = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **sizes: int,
    ) -> None:
        super().__init__()
        self.cell = get(cell)
        self.sizes = _sizes(self.cell, input_size, hidden_size, sizes)
        _check_settings(num_layers, bidirectional, dropout, reverse, initial)
        self.hidden_size = hidden_size
        self.num_layers, self.bidirectional, self.dropout = num_layers, bidirectional, float(dropout)
        self.initial, self.clip, self.segment, self.backend = initial, clip, segment, choice(backend)
        self._widths = tuple(state.width.bind(self.sizes) for state in self.cell.states)
        taken = {*vars(self), "start", "_directions", *dir(type(self))}
        self._directions = directions(self.cell, self.sizes, num_layers, bidirectional, reverse, taken)
        for direction in self._directions:
            for item in self.cell.parameters:
                value = torch.empty(item.shape(direction.sizes), device=device, dtype=dtype)
                self.register_parameter(direction.attributes[item.name], nn.Parameter(value))
        if initial == "learned":
            runs = (len(self._directions),) if len(self._directions) > 1 else ()
            start = [torch.empty(*runs, width, device=device, dtype=dtype) for width in self._widths]
            self.start = nn.ParameterList(map(nn.Parameter, start))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the initial values that the cell describes anew; on the device ``meta`` there is nothing to draw."""
        for direction in self._directions:
            for item in self.cell.parameters:
                value = getattr(self, direction.attributes[item.name])
                if not value.is_meta:
                    value.copy_(draw(item, direction.sizes, dtype=value.dtype))
        if self.initial == "learned":
            for value in self.start:
                value.zero_()

    @property
    def input_size(self) -> int:
        """Features of the input."""
        return self.sizes["input"]

    @property
    def output_size(self) -> int:
        """Features of the output."""
        return self.cell.output.width.bind(self.sizes) * (2 if self.bidirectional else 1)

    @property
    def contexts(self) -> tuple[str, ...]:
        """The names of the contexts that its cell reads."""
        return tuple(item.name for item in self.cell.contexts)

    @property
    def reverse(self) -> bool | None:
        """Whether each sequence is read from its last step to its first; None where it is read both ways."""
        return None if self.bidirectional else self._directions[0].reverse

    @property
    def params(self) -> dict[str, Tensor]:
        """The cell's parameters by name, as `rondeau.scan` takes them, of a layer that is one run.

        Raises:
            InputError: there are several layers or directions.
        """
        if len(self._directions) > 1:
            raise InputError(f"the layer has {len(self._directions)} sets of parameters; ask for one with params_of(layer)")
        return self._directions[0].params(self)

    def params_of(self, layer: int, backward: bool = False) -> dict[str, Tensor]:
        """The cell's parameters by name in one layer and direction.

        Raises:
            InputError: there is none such.
        """
        for direction in self._directions:
            if direction.layer == layer and direction.reverse == (backward or self.reverse is True):
                return direction.params(self)
        raise InputError(f"there is no layer {layer} that runs {'backward' if backward else 'forward'}; the first is 0")

    def initial_state(self, batch: int) -> States:
        """The states that ``batch`` sequences start with, each (batch, width), or (layers * directions, batch, width)."""
        return _start(self, next(self.parameters(), torch.empty(0)), batch)

    def _forward(self, x: Tensor, state: States | Tensor | None, given: Given) -> tuple[Tensor, States, Traces]:
        if isinstance(x, Tensor) and x.dim() == 3:  # else scan says what is wrong
            if autocasting(x):
                own = next((parameter.dtype for parameter in self.parameters()), x.dtype)
                x, state = in_type(x, own), in_type(state, own)
                given = given._replace(context=in_type(given.context, own))
            state = _start(self, x, x.shape[0]) if state is None else state
        dropout = self.dropout if self.training else 0.0
        return run_all(self.cell, self._directions, partial(_scanned, self), x, state, given, dropout)

    def step(self, x: Tensor, state: States | Tensor | None = None, *, context: Context = None) -> tuple[Tensor, States]:
        """One step over x (batch, input): ``(y, state)``.

        Raises:
            InputError: an argument does not fit, or the layer runs in both directions.
        """
        if self.bidirectional:
            raise InputError("a layer that runs in both directions has no single step; call it on whole sequences")
        if state is None and isinstance(x, Tensor) and x.dim() == 2:  # else step says what is wrong
            state = _start(self, x, x.shape[0])
        dropout = self.dropout if self.training else 0.0
        given = Given(context=context)
        y, after, _ = run_all(self.cell, self._directions, partial(_stepped, self), x, state, given, dropout)
        return y, after

    def _steps(self, x: Tensor, calls: Calls) -> tuple[Tensor, States]:
        if self.bidirectional or self.reverse:
            way = "in both directions" if self.bidirectional else "in reverse"
            raise InputError(f"a layer that runs {way} cannot be stepped; call it on whole sequences")
        state = tuple(value.clone(memory_format=torch.contiguous_format) for value in _start(self, x, len(x)))
        runs = zip(*(value.unbind(0) for value in state)) if self.num_layers > 1 else [state]
        for direction, own in zip(self._directions, runs):
            x = calls.cell(self.cell, partial(direction.params, self), x, own)
        return x, state

    @classmethod
    def from_torch(cls, module: nn.RNNBase, **options: Any) -> Recurrent:
        """A layer with the weights of a `torch.nn.LSTM`, ``GRU`` or ``RNN``, copied; it reads (batch, time, input) in any case.

        PyTorch's two biases become one where they act as one. To fill a layer that exists already, load the state dict of this.

        Args:
            module: the layer, of any size, depth and direction; projections too.
            options: ``clip``, ``segment`` and ``backend`` of the new layer.

        Raises:
            InputError: it is none of the three.

        Example:
            >>> layer = Recurrent.from_torch(nn.LSTM(3, 4, num_layers=2))
            >>> layer.cell.name, layer.num_layers, type(layer.to_torch()).__name__
            ('lstm', 2, 'LSTM')
        """
        found = stock.read(module)
        layer = cls(found.cell, **found.options, **options, device="meta")
        for direction, values in zip(layer._directions, found.params):
            for name, value in values.items():
                setattr(layer, direction.attributes[name], nn.Parameter(value))
        return layer.train(module.training)

    def to_torch(self) -> nn.RNNBase:
        """`torch.nn.LSTM`, ``GRU`` or ``RNN`` with these weights, copied, and ``batch_first=True``.

        It is for what knows PyTorch's own layers alone: ONNX, TorchScript, quantisation. ``clip`` and ``segment``, which matter
        in training, do not go along.

        Raises:
            InputError: PyTorch has no such layer.
        """
        if self.initial != "zeros" or self.reverse:
            what = "runs in reverse" if self.reverse else f"starts from initial={self.initial!r}"
            raise InputError(f"torch.nn has no layer that {what}; give it one that runs forward from zeros")
        options = {"num_layers": self.num_layers, "bidirectional": self.bidirectional, "dropout": self.dropout}
        params = [direction.params(self) for direction in self._directions]
        return stock.write(self.cell, params, self.input_size, self.hidden_size, options).train(self.training)

    def extra_repr(self) -> str:
        """The cell, its sizes, and what differs from the defaults."""
        parts = [self.cell.name, *(f"{name}={size}" for name, size in self.sizes.items())]
        settings = {
            "num_layers": (self.num_layers, 1), "bidirectional": (self.bidirectional, False), "dropout": (self.dropout, 0.0),
            "reverse": (self.reverse is True, False), "initial": (self.initial, "zeros"), "clip": (self.clip, None),
            "segment": (self.segment, None), "backend": (self.backend, "auto"),
        }  # fmt: skip
        return ", ".join(parts + [f"{name}={value!r}" for name, (value, usual) in settings.items() if value != usual])


def _start(layer: Recurrent, like: Tensor, batch: int) -> States:
    """The states that ``batch`` sequences of a layer start with."""
    runs = (len(layer._directions),) if len(layer._directions) > 1 else ()
    if layer.initial == "learned":
        return tuple(value.unsqueeze(-2).expand(*runs, batch, -1) for value in layer.start)
    zeros = tuple(like.new_zeros(*runs, batch, width) for width in layer._widths)
    if layer.initial == "zeros":
        return zeros
    return tuple(z.normal_() if s.role == "state" else z for s, z in zip(layer.cell.states, zeros))


def _scanned(
    layer: Recurrent, direction: Direction, x: Tensor, state: States | Tensor | None, given: Given
) -> tuple[Tensor, States, Traces]:
    """One of a layer's runs over x (batch, time, input)."""
    y, after, *traced = layer._scan_of(direction.layer, direction.reverse)(
        layer.cell,
        direction.params(layer),
        x,
        state,
        lengths=given.lengths,
        reverse=direction.reverse,
        context=given.context,
        masks=drawn(layer.cell, layer.sizes, x) if layer.training else None,
        clip=layer.clip,
        trace=given.trace,
        segment=layer.segment,
        backend=layer.backend,
    )
    return y, after, traced[0] if traced else {}


def _stepped(
    layer: Recurrent, direction: Direction, x: Tensor, state: States | Tensor | None, given: Given
) -> tuple[Tensor, States, Traces]:
    """One of a layer's runs over a single step x (batch, input)."""
    masks = drawn(layer.cell, layer.sizes, x) if layer.training else None
    params = direction.params(layer)
    y, after = step(layer.cell, params, x, state, context=given.context, masks=masks, backend=layer.backend)
    return y, after, {}


def _check_settings(num_layers: int, bidirectional: bool, dropout: float, reverse: bool, initial: str) -> None:
    if initial not in ("zeros", "learned", "normal"):
        raise InputError(f"initial is zeros, learned or normal, not {initial!r}")
    if not isinstance(num_layers, int) or isinstance(num_layers, bool) or num_layers < 1:
        raise InputError(f"num_layers is a positive whole number, not {num_layers!r}")
    if not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
        raise InputError(f"dropout is a probability from 0 to 1, not {dropout!r}")
    if bidirectional and reverse:
        raise InputError("a bidirectional layer runs in reverse already; leave one of bidirectional and reverse out")
    if dropout and num_layers == 1:
        note = f"dropout={dropout} acts between layers, and there is one; put torch.nn.Dropout behind it instead"
        warnings.warn(note, RondeauWarning, stacklevel=3)


def _sizes(cell: Cell, input_size: int, hidden_size: int, others: dict[str, int]) -> dict[str, int]:
    given = {"input": input_size, "hidden": hidden_size, **others}
    wanted = [name for name in cell.sizes if name not in ("input", "hidden")]
    missing, unknown = [n for n in wanted if n not in others], sorted(set(others) - set(wanted))
    if missing:
        raise InputError(f"{cell.name} needs the size {missing[0]!r}; give {missing[0]}=...")
    if unknown:
        raise InputError(
            f"{cell.name} has no size {unknown[0]!r}; besides input_size and hidden_size it has {', '.join(wanted) or 'none'}"
        )
    for name, size in given.items():
        if not isinstance(size, int) or size < (0 if name == "input" else 1):
            raise InputError(f"the size {name} is a positive whole number, not {size!r}")
    wide = cell.input.width.bind(given)
    if wide != input_size:
        raise InputError(
            f"{cell.name} reads {cell.input.width} features, here {wide}, but input_size is {input_size}; "
            f"give input_size={wide}"
        )
    fit(cell, given)
    return given
