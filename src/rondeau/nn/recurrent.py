"""`Recurrent`: a cell with parameters, as a module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rondeau.cells import get
from rondeau.engine import scan, step
from rondeau.errors import InputError
from rondeau.ir import Cell, Input
from rondeau.nn.initialise import draw

States = tuple[Tensor, ...]


class Recurrent(nn.Module):
    """A layer of one cell.

    Every parameter of the cell is a parameter of the module under the same name, packed by gate; one whose name the module
    needs for itself, such as ``reverse``, gets an underscore behind it. Masks (dropout, zoneout)
    are drawn in training mode and stand at their mean otherwise.

    Args:
        cell: the equations, or a name of the zoo.
        input_size: features of the input.
        hidden_size: hidden units.
        reverse: whether time runs backward.
        initial: the state that a sequence starts with: ``zeros``, ``learned`` (a parameter), or ``normal`` (drawn anew).
        clip: bounds each element of the gradient that flows back through the states, at every step; may be set later.
        segment: as for `rondeau.scan`: less memory for long sequences, for a second forward run.
        backend: as for `rondeau.scan`.
        sizes: the cell's other sizes by name, such as ``projection=64``.

    Raises:
        InputError: a size is missing, unknown or not positive.

    Example:
        >>> layer = Recurrent("gru", 3, 5)
        >>> y, state = layer(torch.zeros(2, 7, 3))
        >>> y.shape, state[0].shape
        (torch.Size([2, 7, 5]), torch.Size([2, 5]))
    """

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        hidden_size: int,
        *,
        reverse: bool = False,
        initial: str = "zeros",
        clip: float | None = None,
        segment: int | str | None = None,
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **sizes: int,
    ) -> None:
        super().__init__()
        self.cell = get(cell) if isinstance(cell, str) else cell
        self.sizes = _sizes(self.cell, input_size, hidden_size, sizes)
        if initial not in ("zeros", "learned", "normal"):
            raise InputError(f"initial is zeros, learned or normal, not {initial!r}")
        self.input_size, self.hidden_size = input_size, hidden_size
        self.reverse, self.initial, self.clip, self.segment, self.backend = reverse, initial, clip, segment, backend
        self._attributes = _attributes(self.cell, {*vars(self), "start", *dir(type(self))})
        for item in self.cell.parameters:
            value = draw(item, self.sizes, dtype=dtype).to(device=device)
            self.register_parameter(self._attributes[item.name], nn.Parameter(value))
        if initial == "learned":
            widths = [state.width.bind(self.sizes) for state in self.cell.states]
            start = [nn.Parameter(torch.zeros(width, device=device, dtype=dtype)) for width in widths]
            self.start = nn.ParameterList(start)

    @property
    def output_size(self) -> int:
        """Features of the output."""
        return self.cell.output.width.bind(self.sizes)

    @property
    def params(self) -> dict[str, Tensor]:
        """The cell's parameters by name, as `rondeau.scan` takes them."""
        return {name: getattr(self, attribute) for name, attribute in self._attributes.items()}

    def initial_state(self, batch: int) -> States:
        """The states that ``batch`` sequences start with, each (batch, width)."""
        if self.initial == "learned":
            return tuple(value.expand(batch, -1) for value in self.start)
        first = next(self.parameters(), None)
        like = torch.empty(0) if first is None else first
        states = self.cell.states
        zeros = tuple(like.new_zeros(batch, state.width.bind(self.sizes)) for state in states)
        if self.initial == "zeros":
            return zeros
        return tuple(z.normal_() if s.role == "state" else z for s, z in zip(states, zeros))

    def forward(
        self,
        x: Tensor,
        state: States | Tensor | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        context: Tensor | Mapping[str, Tensor] | None = None,
        trace: Sequence[str] = (),
    ) -> Any:
        """Runs over x (batch, time, input); returns ``(y, state)``, and with ``trace`` the traced values, as `rondeau.scan`.

        For time-major data give ``x.transpose(0, 1)``: no copy is made.
        """
        sound = isinstance(x, Tensor) and x.dim() == 3  # else scan says what is wrong
        if sound and torch.is_autocast_enabled(x.device.type):
            x, state, context = (_in_type(value, self._type(x)) for value in (x, state, context))
        if state is None and sound:
            state = self.initial_state(x.shape[0])
        return scan(
            self.cell,
            self.params,
            x,
            state,
            lengths=lengths,
            reverse=self.reverse,
            context=context,
            masks=self._masks(x, x.shape[:2]) if sound else None,
            clip=self.clip,
            trace=trace,
            segment=self.segment,
            backend=self.backend,
        )

    def step(
        self, x: Tensor, state: States | Tensor | None = None, *, context: Tensor | Mapping[str, Tensor] | None = None
    ) -> Any:
        """One step over x (batch, input): ``(y, state)``."""
        sound = isinstance(x, Tensor) and x.dim() == 2  # else step says what is wrong
        given = self.initial_state(x.shape[0]) if state is None and sound else state
        masks = self._masks(x, (x.shape[0], 1)) if sound else {}
        flat = {name: m.squeeze(1) if m.dim() == 3 else m for name, m in masks.items()}
        return step(self.cell, self.params, x, given, context=context, masks=flat, backend=self.backend)

    def _type(self, x: Tensor) -> torch.dtype:
        """The type that the layer computes in, also under autocast, which lowers the types of what comes in."""
        return next((parameter.dtype for parameter in self.parameters()), x.dtype)

    def _masks(self, x: Tensor, lead: Sequence[int]) -> dict[str, Tensor]:
        if not self.training or not self.cell.masks:
            return {}
        return {item.name: self._mask(item, x, lead) for item in self.cell.masks}

    def _mask(self, item: Input, x: Tensor, lead: Sequence[int]) -> Tensor:
        shape = (*(lead if item.per == "step" else lead[:1]), item.width.bind(self.sizes))
        return x.new_empty(shape).bernoulli_(item.probability) * item.scale

    def extra_repr(self) -> str:
        """The cell and what differs from the defaults."""
        parts = [self.cell.name, *(f"{name}={size}" for name, size in self.sizes.items())]
        parts += ["reverse=True"] if self.reverse else []
        parts += [f"initial={self.initial!r}"] if self.initial != "zeros" else []
        return ", ".join(parts + ([f"clip={self.clip}"] if self.clip is not None else []))


def _in_type(value: Any, dtype: torch.dtype) -> Any:
    """Tensors, alone or in a tuple or mapping, in another type."""
    if isinstance(value, Tensor):
        return value.to(dtype)
    if isinstance(value, Mapping):
        return {name: _in_type(item, dtype) for name, item in value.items()}
    return tuple(_in_type(item, dtype) for item in value) if isinstance(value, (tuple, list)) else value


def _attributes(cell: Cell, taken: set[str]) -> dict[str, str]:
    """Each parameter's name on the module: its own, with underscores behind it where the module has that name already."""
    names = {item.name for item in cell.parameters}
    found: dict[str, str] = {}
    for item in cell.parameters:
        name = item.name
        while name in taken or (name != item.name and name in names):
            name += "_"
        found[item.name] = name
        taken = taken | {name}
    return found


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
    for width in (*(s.width for s in cell.states), cell.output.width):
        width.bind(given)
    return given
