"""Expressions evaluated on tensors: one call of PyTorch for each operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from rondeau.engine.eager.padding import reversed_within
from rondeau.engine.inputs.scan_inputs import ScanInputs
from rondeau.ir.expressions import Expr
from rondeau.ir.nodes import postorder
from rondeau.ir.ops import OPS


def evaluated(exprs: list[Expr], inputs: ScanInputs) -> dict[Expr, Tensor]:
    """Expressions below the level of the state: (width,), (batch, 1, width) or (batch, time, width), with time as given; a
    reversed run reverses its rows by itself."""
    forward = inputs._replace(reverse=False) if inputs.reverse else inputs
    values: dict[Expr, Tensor] = {}
    for expr in postorder(exprs):
        if expr.args:
            values[expr] = evaluate(expr, [values[arg] for arg in expr.args], inputs.sizes)
        else:
            values[expr] = leaf(expr, forward)
    return {expr: values[expr] for expr in exprs}


def leaf(expr: Expr, inputs: ScanInputs) -> Tensor:
    """The value of a leaf that is no state: parameters (rows[, columns]), inputs (batch, time or 1, width), constants (1,)."""
    if expr.op == "input":
        return _input(expr, inputs)
    if expr.op in ("constant", "size"):
        number = expr.attrs[0] if expr.op == "constant" else expr.attrs[0].bind(inputs.sizes)
        return inputs.x.new_full((1,), float(number))
    item = inputs.cell.parameter(expr.attrs[0])
    rows = item.rows.bind(inputs.sizes)
    first = item.gates.index(expr.attrs[1]) * rows
    block = inputs.params[item.name][first : first + rows]
    if expr.op == "vector":
        return block
    start = expr.attrs[2].bind(inputs.sizes)
    return block[:, start : start + expr.attrs[3].bind(inputs.sizes)]


def _input(expr: Expr, inputs: ScanInputs) -> Tensor:
    item = next(item for item in inputs.cell.inputs if item.symbol is expr)
    if item.role == "mask" and item.name not in inputs.extras:
        return inputs.x.new_full((1,), item.expected).expand(item.width.bind(inputs.sizes))
    value = inputs.x if item.role == "input" else inputs.extras[item.name]
    if item.per == "sequence":
        return value.unsqueeze(1)
    if not inputs.reverse:
        return value
    return value.flip(1) if inputs.lengths is None else reversed_within(value, inputs.lengths)


def evaluate(expr: Expr, args: list[Tensor], sizes: Mapping[str, int]) -> Tensor:
    """The value of a primitive node from the values of its arguments."""
    bound = tuple(width.bind(sizes) for width in expr.attrs)
    return _function(expr.op, len(args), bound)(*args)


@lru_cache(maxsize=1024)
def _function(op: str, arity: int, bound: tuple[int, ...]) -> Callable[..., Any]:
    """The torch spelling of a row of the op table as a function of its arguments."""
    names = [f"a{i}" for i in range(arity)] if op == "concat" else ["a", "b", "c"][:arity]
    settings = dict(zip({"spread": ("width",), "slice": ("start", "stop")}.get(op, ()), bound))
    text = OPS[op].torch.format(args=f"joined({', '.join(names)})", **settings)
    return eval(f"lambda {', '.join(names)}: {text}", {"torch": torch, "joined": _joined})


def _joined(*values: Tensor) -> list[Tensor]:
    """The values with their leading dimensions made equal, as torch.cat needs them."""
    lead = torch.broadcast_shapes(*(value.shape[:-1] for value in values))
    return [value.expand(*lead, value.shape[-1]) for value in values]


def sum_of(values: list[Tensor]) -> Tensor:
    """The sum of at least one tensor."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total
