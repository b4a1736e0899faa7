"""What leaves the loop: values below the level of the state, computed for all steps at once."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from rondeau.engine import reference
from rondeau.engine.layout import Column, Layout
from rondeau.engine.memory import Lease
from rondeau.engine.problem import Problem
from rondeau.engine.rows import Rows
from rondeau.ir.expressions import Expr, postorder


def hoisted(layout: Layout, problem: Problem, rows: Rows, lease: Lease) -> dict[str, Tensor]:
    """The buffers that a kernel reads: ``X`` with the linear columns side by side, and the other hoisted values."""
    buffers: dict[str, Tensor] = {}
    if layout.columns:
        W, bias, x = stacked(layout, problem), _bias(layout, problem), rows.to_rows(problem.x)
        out = lease.empty(problem.x, rows.count, W.shape[0])
        buffers["X"] = torch.mm(x, W.t(), out=out) if bias is None else torch.addmm(bias, x, W.t(), out=out)
    moving = [(expr, place) for expr, place in layout.other if expr.op != "vector"]
    values = evaluated([expr for expr, _ in moving], problem) if moving else {}
    buffers |= {place.buffer: rows.place(values[expr], place.level, place.row) for expr, place in moving}
    return buffers


def stacked(layout: Layout, problem: Problem) -> Tensor:
    """The matrices of all columns one below another; the parameter itself where it is just that."""
    columns = layout.columns
    names = {matrix.attrs[0] for column in columns for matrix in column.matrices}
    if len(names) == 1 and all(len(column.matrices) == 1 for column in columns):
        item = problem.cell.parameter(next(iter(names)))
        whole = tuple(c.matrices[0].attrs[1] for c in columns) == item.gates
        if whole and columns[0].matrices[0].attrs[3] == item.columns:
            return problem.params[item.name].detach()
    with torch.no_grad():
        return torch.cat([sum_of([reference.leaf(m, problem) for m in c.matrices]) for c in columns])


def _bias(layout: Layout, problem: Problem) -> Tensor | None:
    columns = layout.columns
    if not any(column.still for column in columns):
        return None
    names = {term.attrs[0] if term.op == "vector" else "" for column in columns for _, term in column.still}
    if len(names) == 1 and "" not in names and all(len(c.still) == 1 and c.still[0][0] for c in columns):
        item = problem.cell.parameter(next(iter(names)))
        if tuple(c.still[0][1].attrs[1] for c in columns) == item.gates:
            return problem.params[item.name].detach()
    with torch.no_grad():
        return torch.cat([_still_sum(column, problem, layout.step.width(column.expr)) for column in columns])


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
