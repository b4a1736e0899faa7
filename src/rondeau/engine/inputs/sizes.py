"""The named sizes of a run, from the shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from torch import Tensor

from rondeau.engine.inputs.scan_inputs import Extras, States
from rondeau.errors import InputError
from rondeau.ir.cell import Cell
from rondeau.ir.fit import fit
from rondeau.ir.widths import Width

Sizes = tuple[Mapping[str, int], "str | None"]


def sizes_of(cell: Cell, params: Mapping[str, Tensor], x: Tensor, state: States, extras: Extras) -> Sizes:
    """The named sizes, read off the shapes, and what about the cell does not fit them."""
    known = [(item.name, tuple(map(int, params[item.name].shape))) for item in cell.parameters]  # int: a shape may be a symbol
    known += [(item.name, tuple(map(int, value.shape[-1:]))) for item, value in zip(cell.states, state)]
    known += [(name, tuple(map(int, value.shape[-1:]))) for name, value in extras.items()]
    return _solved(cell, int(x.shape[-1]), tuple(known))


@lru_cache(maxsize=1024)
def _solved(cell: Cell, input: int, known: tuple[tuple[str, tuple[int, ...]], ...]) -> Sizes:
    """Each pair of a width and a number with one unknown name settles it; parameters first, so that an error names the rest."""
    shapes = dict(known)
    pairs: list[tuple[Width, int]] = []
    for p in cell.parameters:
        if len(shapes[p.name]) == (1 if p.columns is None else 2):
            pairs.append((p.rows.scaled(len(p.gates)), shapes[p.name][0]))
            pairs += [] if p.columns is None else [(p.columns, shapes[p.name][1])]
    vectors = [(s.name, s.width) for s in cell.states] + [(i.name, i.width) for i in cell.inputs[1:]]
    pairs += [(cell.input.width, input), *((width, shapes[name][0]) for name, width in vectors if shapes.get(name))]
    sizes: dict[str, int] = {}
    for _ in cell.sizes:
        for width, number in pairs:
            unknown = width.names - sizes.keys()
            if len(unknown) == 1:
                (name,) = unknown
                rest = sum((f * (sizes[n] if n else 1) for n, f in width.terms if n != name), 0 * number)
                sizes[name] = int((number - rest) / dict(width.terms)[name])
    missing = [name for name in cell.sizes if name not in sizes]
    if missing:
        raise InputError(f"the size {missing[0]!r} of {cell.name} cannot be read off its parameters; give its initial state")
    return MappingProxyType({name: sizes[name] for name in cell.sizes}), _fault(cell, sizes)


def _fault(cell: Cell, sizes: Mapping[str, int]) -> str | None:
    try:
        fit(cell, sizes)
    except InputError as error:
        return str(error)
    return None
