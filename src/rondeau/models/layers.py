"""`recurrent_layers`: layers of one cell above one another, as every model has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from rondeau.cells import get
from rondeau.engine import BackendChoice
from rondeau.errors import InputError
from rondeau.ir import Cell
from rondeau.nn import Recurrent, SequenceBatchNorm, Stack


def recurrent_layers(
    cell: Cell | str,
    input_size: int,
    hidden: int,
    *,
    layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    clip: float | None = None,
    backend: BackendChoice = "auto",
    sizes: Mapping[str, int] | None = None,
    layer_norm: bool = False,
    batch_norm: bool = False,
) -> Stack:
    """Recurrent layers of one cell above one another, the second and later reading the outputs of the one below.

    Args:
        cell: the recurrent cell, or a name of the zoo.
        input_size: features of the input.
        hidden: units of each layer, and in each direction.
        layers: how many.
        bidirectional: whether each runs both forward and backward, its outputs side by side.
        dropout: the rate between layers, while training.
        clip: bounds each element of the gradient that flows back through the states, at every step.
        backend: as for `rondeau.scan`.
        sizes: the cell's sizes beside ``input`` and ``hidden``, such as ``{"projection": 64}``; as ``hidden`` if not given.
        layer_norm: whether the outputs of each layer are normalised over their features.
        batch_norm: whether they are normalised over the steps of a batch, by `rondeau.nn.SequenceBatchNorm`.

    Raises:
        InputError: a size does not fit, or the cell reads a context.

    Example:
        >>> recurrent_layers("gru", 3, 8, layers=2, bidirectional=True).output_size
        16
    """
    chosen = get(cell) if isinstance(cell, str) else cell
    _check(chosen, layers, dropout)
    others = other_sizes(chosen, hidden, sizes or {})
    modules: list[nn.Module] = []
    for layer in range(layers):
        if layer and dropout:
            modules.append(nn.Dropout(dropout))
        made = Recurrent(chosen, input_size, hidden, bidirectional=bidirectional, clip=clip, backend=backend, **others)
        modules.append(made)
        input_size = made.output_size
        if layer_norm:
            modules.append(nn.LayerNorm(input_size))
        if batch_norm:
            modules.append(SequenceBatchNorm(input_size))
    return Stack(*modules)


def other_sizes(cell: Cell, hidden: int, given: Mapping[str, int]) -> dict[str, Any]:
    """The sizes of a cell beside ``input`` and ``hidden``: as given, else as many as hidden units.

    Raises:
        InputError: the cell has no such size.
    """
    own = [name for name in cell.sizes if name not in ("input", "hidden")]
    unknown = [name for name in given if name not in own]
    if unknown:
        has = f"beside input and hidden it has {', '.join(own)}" if own else "it has none beside input and hidden"
        raise InputError(f"{cell.name} has no size {unknown[0]!r}; {has}")
    return {**dict.fromkeys(own, hidden), **given}


def _check(cell: Cell, layers: int, dropout: float) -> None:
    if not isinstance(layers, int) or isinstance(layers, bool) or layers < 1:
        raise InputError(f"layers is a positive whole number, not {layers!r}")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout is a rate from 0 up to but not including 1, not {dropout!r}")
    if cell.contexts:
        raise InputError(
            f"{cell.name} needs the context {cell.contexts[0].name!r}, which stacked layers are not given; choose another cell"
        )
