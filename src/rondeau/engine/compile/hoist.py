"""`hoist`: where the values lie that are computed before the loop over time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.linear import Linear, Term, linear
from rondeau.engine.compile.plan import Place
from rondeau.engine.compile.step import Step
from rondeau.ir.expressions import Expr


@dataclass(frozen=True, eq=False)
class Column:
    """A hoisted value that is linear in the sequence: products of ``matrices`` with ``x``, and signed ``constants``."""

    expr: Expr
    matrices: tuple[Expr, ...]
    constants: tuple[Term, ...]
    offset: int


@dataclass(frozen=True, eq=False)
class Hoisted:
    """The hoisted values of a step: ``columns`` side by side in one buffer of ``row_size`` features, the ``others`` apart."""

    columns: tuple[Column, ...]
    row_size: int
    others: dict[Expr, Place]

    @cached_property
    def places(self) -> dict[Expr, Place]:
        """Where each of them lies."""
        columns = {c.expr: Place(Buffer("columns"), "step", self.row_size, c.offset) for c in self.columns}
        return {**columns, **self.others}


def hoist(step: Step) -> Hoisted:
    """The places of `Step.hoisted`."""
    columns = _columns(step)
    linear_ones = {column.expr for column in columns}
    others: dict[Expr, Place] = {}
    for expr in step.hoisted:
        if expr not in linear_ones:
            others[expr] = _own_place(step, expr, len(others))
    return Hoisted(columns, sum(step.width(column.expr) for column in columns), others)


def _columns(step: Step) -> tuple[Column, ...]:
    """In the order of the parameters' gates, so that often one whole parameter makes all columns."""
    x = step.cell.input.symbol
    sums = {expr: linear(expr, x, step.levels) for expr in step.hoisted if step.levels[expr] == "step"}
    found: list[tuple[Expr, Linear]] = [(expr, parts) for expr, parts in sums.items() if parts is not None]
    columns, offset = [], 0
    for expr, parts in sorted(found, key=lambda item: step.rank(item[1].matrices[0])):
        columns.append(Column(expr, parts.matrices, parts.constants, offset))
        offset += step.width(expr)
    return tuple(columns)


def _own_place(step: Step, expr: Expr, number: int) -> Place:
    level, width = step.levels[expr], step.width(expr)
    if expr.op == "vector":
        parameter = step.cell.parameter(expr.attrs[0])
        first = parameter.gates.index(expr.attrs[1]) * width
        return Place(Buffer("parameter", parameter.name), "constant", width * len(parameter.gates), first)
    if expr.op == "input":
        return Place(Buffer("input", expr.attrs[0]), level, width)
    return Place(Buffer("hoisted", number), level, width)
