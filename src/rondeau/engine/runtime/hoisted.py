"""What leaves the loop: values below the level of the state, computed for all steps at once."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from rondeau.engine.backends import reference
from rondeau.engine.compile.layout import Column, Layout
from rondeau.engine.runtime.batch_rows import Rows
from rondeau.engine.scan_inputs import Problem
from rondeau.ir.expressions import Expr, postorder


def project(layout: Layout, problem: Problem, rows: Rows, out: Tensor) -> None:
    """The linear columns side by side, in ``out`` (rows, features)."""
    W, bias, x = stacked(layout, problem), _bias(layout, problem), rows.to_rows(problem.x)
    torch.mm(x, W.t(), out=out) if bias is None else torch.addmm(bias, x, W.t(), out=out)


def others(layout: Layout, problem: Problem, rows: Rows) -> dict[str, Tensor]:
    """The buffers of the other hoisted values."""
    moving = [(expr, place) for expr, place in layout.other if expr.op != "vector"]
    if not moving:
        return {}
    values = evaluated([expr for expr, _ in moving], problem)
    return {place.buffer: rows.place(values[expr], place.level, place.row) for expr, place in moving}


def stacked(layout: Layout, problem: Problem) -> Tensor:
    """The matrices of all columns one below another; the parameter itself where it is just that."""
    if layout.matrix is not None:
        return problem.params[layout.matrix].detach()
    with torch.no_grad():
        return torch.cat([sum_of([reference.leaf(m, problem) for m in c.matrices]) for c in layout.columns])


def _bias(layout: Layout, problem: Problem) -> Tensor | None:
    if layout.bias is not None:
        return problem.params[layout.bias].detach()
    if not any(column.still for column in layout.columns):
        return None
    with torch.no_grad():
        return torch.cat([_still_sum(column, problem, layout.step.width(column.expr)) for column in layout.columns])


def _still_sum(column: Column, problem: Problem, width: int) -> Tensor:
    """The terms of a column that do not move, (width,)."""
    total = problem.x.new_zeros(width)
    values = evaluated([term for _, term in column.still], problem)
    for plus, term in column.still:
        total = total + values[term] if plus else total - values[term]
    return total


def sum_of(values: list[Tensor]) -> Tensor:
    """The sum of at least one tensor."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def evaluated(exprs: list[Expr], problem: Problem) -> dict[Expr, Tensor]:
    """Expressions below the level of the state: (width,), (batch, 1, width) or (batch, time, width), with time as given; a
    reversed run turns its rows round by itself."""
    forward = replace(problem, reverse=False)
    values: dict[Expr, Tensor] = {}
    for expr in postorder(exprs):
        if expr.args:
            values[expr] = reference.evaluate(expr, [values[arg] for arg in expr.args], problem.sizes)
        else:
            values[expr] = reference.leaf(expr, forward)
    return {expr: values[expr] for expr in exprs}
