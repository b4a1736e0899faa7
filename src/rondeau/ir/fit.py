"""`fit`: whether a cell is one at given sizes."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import prod

from rondeau.errors import InputError
from rondeau.ir.cell import Cell
from rondeau.ir.declarations import Parameter
from rondeau.ir.expressions import Expr
from rondeau.ir.nodes import postorder
from rondeau.ir.widths import Width

MOST_FEATURES = 1 << 24
"""The most features of one vector."""
MOST_ELEMENTS = 1 << 32
"""The most elements of one parameter."""


def fit(cell: Cell, sizes: Mapping[str, int]) -> None:
    """Whether everything in the cell has a sound number of features at ``sizes``: what only the sizes decide.

    Raises:
        InputError: a width is no whole number, too large, or a range takes features that its vector does not have.
    """
    for item in cell.declared:
        for width in (item.rows, item.columns) if isinstance(item, Parameter) else (item.width,):
            if width is not None:
                _check_width(item.name, width, sizes)
    for item in cell.parameters:
        _check_parameter(item, sizes)
    for expr in postorder(cell.roots):
        if expr.op == "slice":
            _check_range(expr, sizes)
        elif expr.op != "matrix":
            _check_width(expr, expr.width, sizes)


def _check_parameter(item: Parameter, sizes: Mapping[str, int]) -> None:
    shape = item.shape(sizes)
    if prod(shape) > MOST_ELEMENTS:
        raise InputError(f"the parameter {item.name} would have the shape {shape}; choose smaller sizes")
    block = (shape[0] // len(item.gates), *shape[1:])
    for init, wanted in ((item.init, shape), *((other, block) for _, other in item.init.gates)):
        if init.shape and init.shape != wanted:
            raise InputError(f"{item.name} has the shape {wanted}, but is to start with values of the shape {init.shape}")


def _check_width(what: Expr | str, width: Width, sizes: Mapping[str, int]) -> None:
    count = width.bind(sizes)
    if count > MOST_FEATURES or (not count and all(sizes[name] for name in width.names)):
        raise InputError(f"{what} would have {count:,} features; a vector has between 1 and {MOST_FEATURES:,}")


def _check_range(expr: Expr, sizes: Mapping[str, int]) -> None:
    vector = expr.args[0]
    start, stop, width = (_exact(bound, sizes) for bound in (*expr.attrs, vector.width))
    if not 0 <= start < stop <= width or start.denominator != 1 or stop.denominator != 1:
        known = ", ".join(f"{name}={size}" for name, size in sizes.items())
        raise InputError(
            f"the range [{expr.attrs[0]}:{expr.attrs[1]}] takes the features from {start} up to {stop} of {vector!r}, which "
            f"has {width} (with {known}); choose sizes, or a range, that fit"
        )


def _exact(width: Width, sizes: Mapping[str, int]) -> Fraction:
    return sum((factor * (sizes[name] if name else 1) for name, factor in width.terms), Fraction(0))
