"""The runs that make up a recurrent layer: one, or one for each layer and direction, with the names of their parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

from rondeau.errors import InputError
from rondeau.ir import Cell
from rondeau.nn.layer import Given, States, Traces


@dataclass(frozen=True)
class Direction:
    """One run over the sequence: its layer, whether it is reversed, its sizes, and its parameters' names on the module."""

    layer: int
    reverse: bool
    sizes: Mapping[str, int]
    attributes: Mapping[str, str]

    def params(self, module: nn.Module) -> dict[str, Tensor]:
        """Its parameters by their names in the cell."""
        own, found = module._parameters, {}
        for name, attribute in self.attributes.items():
            value = own.get(attribute)
            found[name] = getattr(module, attribute) if value is None else value  # computed, as by a parametrisation
        return found


Run = Callable[[Direction, Tensor, "States | Tensor | None", Given], tuple[Tensor, States, Traces]]


def directions(
    cell: Cell, sizes: Mapping[str, int], num_layers: int, both: bool, reverse: bool, taken: set[str]
) -> tuple[Direction, ...]:
    """Layer by layer, forward before backward. A lone one has the cell's own names, others have ``_l0``, ``_l0_reverse`` and
    so on behind them; a name that the module has already gets an underscore.

    Raises:
        InputError: a state or the input would have another width in the layers above.
    """
    ways = (False, True) if both else (reverse,)
    output = cell.output.width.bind(sizes) * len(ways)
    found = []
    for layer in range(num_layers):
        own = dict(sizes) if layer == 0 else {**sizes, "input": output}
        _same_widths(cell, sizes, own)
        for way in ways:
            suffix = f"_l{layer}" + "_reverse" * (both and way) if num_layers * len(ways) > 1 else ""
            names = _attributes([item.name for item in cell.parameters], suffix, taken)
            taken = taken.union(names.values())
            found.append(Direction(layer, way, own, names))
    return tuple(found)


def _same_widths(cell: Cell, first: Mapping[str, int], own: Mapping[str, int]) -> None:
    for item in cell.states:
        if item.width.bind(first) != item.width.bind(own):
            raise InputError(
                f"the state {item.name} of {cell.name} is as wide as the input, which differs between layers; "
                "put layers of one into a Stack"
            )


def _attributes(names: Sequence[str], suffix: str, taken: set[str]) -> dict[str, str]:
    """Each parameter's name on the module: its own, with underscores behind it where the module has that name already."""
    wanted = {f"{name}{suffix}" for name in names}
    found: dict[str, str] = {}
    for name in names:
        attribute = f"{name}{suffix}"
        while attribute in taken or (attribute != f"{name}{suffix}" and attribute in wanted):
            attribute += "_"
        found[name] = attribute
        taken = taken | {attribute}
    return found


def parted(cell: Cell, state: object, count: int) -> list[States | None]:
    """The states of each run, from states that hold all of them, (runs, batch, width).

    Raises:
        InputError: it is no such tuple.
    """
    if state is None:
        return [None] * count
    given = (state,) if isinstance(state, Tensor) else state
    if not isinstance(given, (tuple, list)) or len(given) != len(cell.states) or not all(_holds(v, count) for v in given):
        names = ", ".join(item.name for item in cell.states)
        raise InputError(
            f"the state of this layer has a tensor ({count}, batch, width) for each of {names}; got {_shapes(given)}"
        )
    return list(zip(*(value.unbind(0) for value in given)))


def _holds(value: object, count: int) -> bool:
    return isinstance(value, Tensor) and value.dim() == 3 and len(value) == count


def _shapes(given: object) -> str:
    if not isinstance(given, (tuple, list)):
        return type(given).__name__
    return ", ".join(str(tuple(v.shape)) if isinstance(v, Tensor) else type(v).__name__ for v in given) or "an empty tuple"


def run_all(
    cell: Cell, found: Sequence[Direction], run: Run, x: Tensor, state: States | Tensor | None, given: Given, dropout: float
) -> tuple[Tensor, States, Traces]:
    """Every run in order: each layer reads the outputs of the one below side by side, after dropout.

    Returns:
        What ``run`` does where there is one; else states (runs, batch, width) and traced values (runs, batch, time, width).
    """
    if len(found) == 1:
        return run(found[0], x, state, given)
    last, traced = [], []
    for layer, pairs in groupby(zip(found, parted(cell, state, len(found))), key=lambda pair: pair[0].layer):
        x, outputs = nn.functional.dropout(x, dropout) if layer and dropout else x, []
        for direction, before in pairs:
            y, after, values = run(direction, x, before, given)
            outputs.append(y)
            last.append(after)
            traced.append(values)
        x = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
    states = tuple(torch.stack(values) for values in zip(*last))
    return x, states, {name: torch.stack([values[name] for values in traced]) for name in given.trace}


__all__ = ["Direction", "Run", "directions", "run_all"]
