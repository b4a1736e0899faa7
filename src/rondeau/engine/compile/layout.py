"""Where everything lies: the buffers of a forward and a backward run, as places for `schedule`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.canonicalise import Step
from rondeau.engine.compile.differentiate import Reverse, cotangent
from rondeau.engine.compile.levels import Level
from rondeau.engine.compile.linear import Term, linear
from rondeau.engine.compile.plan import MatrixBlock, Place, Store, Work
from rondeau.ir.expressions import Expr, constant, spread
from rondeau.ir.nodes import postorder, same

KernelName = Literal["infer", "train", "backward"]
"""A kernel runs forward, forward and keeps what the reverse step reads, or backward."""


@dataclass(frozen=True, eq=False)
class Column:
    """A hoisted value that is linear in the sequence: products of ``matrices`` with ``x``, and signed ``constants``."""

    expr: Expr
    matrices: tuple[Expr, ...]
    constants: tuple[Term, ...]
    offset: int


@dataclass(frozen=True, eq=False)
class Layout:
    """Places of a run.

    ``columns`` lie side by side in one buffer; ``other`` hoisted values have buffers of their own. ``loads`` and ``stores``
    are those of the forward step, ``kept`` the stores for a later backward run; ``buffers`` gives each buffer's level, and
    the features of a row.
    """

    step: Step
    reverse: Reverse
    columns: tuple[Column, ...]
    other: tuple[tuple[Expr, Place], ...]
    loads: tuple[tuple[Expr, Place], ...]
    stores: tuple[Store, ...]
    kept: tuple[Store, ...]
    back_loads: tuple[tuple[Expr, Place], ...]
    back_stores: tuple[Store, ...]
    cotangents: tuple[tuple[Expr, int], ...]
    buffers: Mapping[Buffer, tuple[Level, int]]

    @cached_property
    def matrix(self) -> str | None:
        """The parameter that the columns' matrices, one below another, are; None when they are no single one."""
        names = {m.attrs[0] for column in self.columns for m in column.matrices}
        if len(names) != 1 or any(len(column.matrices) != 1 for column in self.columns):
            return None
        item = self.step.cell.parameter(next(iter(names)))
        gates = tuple(column.matrices[0].attrs[1] for column in self.columns)
        return item.name if gates == item.gates and self.columns[0].matrices[0].attrs[3] == item.columns else None

    @cached_property
    def bias(self) -> str | None:
        """The parameter that is the columns' constants; None when it is no single one."""
        terms = [column.constants[0] for column in self.columns if len(column.constants) == 1]
        if len(terms) != len(self.columns) or not all(plus and term.op == "vector" for plus, term in terms):
            return None
        names = {term.attrs[0] for _, term in terms}
        item = self.step.cell.parameter(terms[0][1].attrs[0]) if len(names) == 1 else None
        return item.name if item is not None and tuple(term.attrs[1] for _, term in terms) == item.gates else None

    def work(self, kernel: KernelName) -> Work:
        """What a kernel computes at each step, and from what."""
        if kernel == "backward":
            return Work(self.back_stores, self.back_loads, True)
        return Work(self.stores + (self.kept if kernel == "train" else ()), self.loads, False)

    def block(self, matrix: Expr) -> MatrixBlock:
        """Where a matrix, one gate of a parameter or some columns of it, lies in the parameter."""
        name, gate, start, _ = matrix.attrs
        item, sizes = self.step.cell.parameter(name), self.step.numbers
        assert item.columns is not None
        row = item.gates.index(gate) * item.rows.bind(sizes)
        return MatrixBlock(Buffer("parameter", name), row, start.bind(sizes), item.columns.bind(sizes))

    @cached_property
    def operands(self) -> set[Buffer]:
        """The buffers of hoisted values that the gradients of matrices are products with."""
        bases = {_base(product.operand) for product in self.reverse.matrices}
        return {place.buffer for expr, place in self.loads if expr in bases}


def arrange(step: Step, reverse: Reverse) -> Layout:
    """The layout of a step and its reverse."""
    return _Arranger(step, reverse).layout()


class _Arranger:
    def __init__(self, step: Step, reverse: Reverse) -> None:
        self.step, self.reverse, self.width = step, reverse, step.width
        self.levels = step.levels
        self.columns = self._columns()
        self.x_row = sum(self.width(c.expr) for c in self.columns)
        self.hoisted = {c.expr: Place(Buffer("columns"), "step", self.x_row, c.offset) for c in self.columns}
        self.other = self._other()
        self.hoisted.update(self.other)
        self.states = {s.symbol: i for i, s in enumerate(step.cell.states)}

    def _columns(self) -> tuple[Column, ...]:
        order = {p.name: i for i, p in enumerate(self.step.cell.parameters)}
        found = []
        for expr in self.step.hoisted:
            sum_ = linear(expr, self.step.cell.input.symbol, self.levels) if self.levels[expr] == "step" else None
            if sum_ is not None:
                first = sum_.matrices[0]
                gate = self.step.cell.parameter(first.attrs[0]).gates.index(first.attrs[1])
                found.append(((order[first.attrs[0]], gate), expr, sum_))
        columns, offset = [], 0
        for _, expr, sum_ in sorted(found, key=lambda item: item[0]):
            columns.append(Column(expr, sum_.matrices, sum_.constants, offset))
            offset += self.width(expr)
        return tuple(columns)

    def _other(self) -> dict[Expr, Place]:
        places: dict[Expr, Place] = {}
        linear = {c.expr for c in self.columns}
        for expr in self.step.hoisted:
            if expr in linear:
                continue
            level, width = self.levels[expr], self.width(expr)
            if expr.op == "vector":
                parameter = self.step.cell.parameter(expr.attrs[0])
                first = parameter.gates.index(expr.attrs[1]) * width
                places[expr] = Place(Buffer("parameter", parameter.name), "constant", width * len(parameter.gates), first)
            elif expr.op == "input":
                places[expr] = Place(Buffer("input", expr.attrs[0]), level, width)
            else:
                places[expr] = Place(Buffer("hoisted", len(places)), level, width)
        return places

    def layout(self) -> Layout:
        """All places."""
        step = self.step
        loads = {
            **self.hoisted,
            **{symbol: self._state(i) for symbol, i in self.states.items()},
        }
        stores = [Store(step.output, Place(Buffer("y"), "step", self.width(step.output)))]
        stores += [Store(self._wide(e, i), self._state(i)) for i, e in enumerate(step.next)]
        stores += [Store(e, Place(Buffer("trace", i), "step", self.width(e))) for i, e in enumerate(step.traced)]
        kept, places = self._kept()
        back_loads = self._back_loads(places)
        back_stores, cotangents = self._back_stores()
        everything = [*loads.values(), *back_loads.values()]
        everything += [s.place for s in (*stores, *kept, *back_stores)]
        buffers = {place.buffer: (place.level, place.row_size) for place in everything}
        return Layout(
            step, self.reverse, self.columns, tuple(self.other.items()), tuple(loads.items()), tuple(stores), tuple(kept),
            tuple(back_loads.items()), tuple(back_stores), tuple(cotangents.items()), buffers,
        )  # fmt: skip

    def _state(self, index: int, gradient: bool = False) -> Place:
        width = self.step.cell.states[index].width.bind(self.step.numbers)
        return Place(Buffer("state", index, gradient), "sequence", width)

    def _wide(self, expr: Expr, index: int) -> Expr:
        """A scalar next value stretched to the width of its state."""
        width = self.step.cell.states[index].width
        return spread(expr, width) if expr.width.is_one and not width.is_one else expr

    # what the forward run keeps

    def _kept(self) -> tuple[list[Store], dict[Expr, Place]]:
        back = postorder([*self._back_roots(), *(m.operand for m in self.reverse.matrices)])
        leaves = self._read_backward()
        kept: list[Store] = []
        places: dict[Expr, Place] = {}
        for expr in back:
            if expr in self.states and (expr in leaves or any(_base(m.operand) is expr for m in self.reverse.matrices)):
                index = self.states[expr]
                places[expr] = Place(Buffer("previous", index), "step", self._state(index).row_size)
                kept.append(Store(expr, places[expr]))
        fresh = [expr for expr in self.reverse.saved if expr not in self.hoisted]
        free = self._free_columns(leaves)
        own = [expr for expr in fresh if expr not in free]
        row, offset = sum(map(self.width, own)), 0
        for expr in fresh:
            if expr in free:
                places[expr] = free[expr]
            else:
                places[expr] = Place(Buffer("saved"), "step", row, offset)
                offset += self.width(expr)
            kept.append(Store(expr, places[expr]))
        for matrix in self.reverse.matrices:
            base = _base(matrix.operand)
            if base not in places and base not in self.hoisted and base.op != "constant":
                places[base] = Place(Buffer("operand", len(kept)), "step", self.width(base))
                kept.append(Store(base, places[base]))
        return kept, places

    def _back_roots(self) -> list[Expr]:
        r = self.reverse
        return [*r.states, *(e for e in r.hoisted if e is not None), *(m.cotangent for m in r.matrices)]

    def _read_backward(self) -> set[Expr]:
        """The forward leaves that the reverse step reads once the saved values stand for themselves."""
        saved, found = set(self.reverse.saved), set()
        stack, seen = list(self._back_roots()), set()
        while stack:
            expr = stack.pop()
            if expr in seen:
                continue
            seen.add(expr)
            if expr in self.states or expr in self.hoisted:
                found.add(expr)
            if expr not in saved and expr not in self.hoisted:
                stack.extend(expr.args)
        return found

    def _free_columns(self, leaves: set[Expr]) -> dict[Expr, Place]:
        """Saved values that may overwrite the hoisted column that went into them, since nothing else reads it."""
        uses: dict[Expr, list[Expr]] = {}
        for expr in postorder(self.step.roots):
            for arg in expr.args:
                uses.setdefault(arg, []).append(expr)
        linear, roots = {c.expr for c in self.columns}, set(self.step.roots)
        found: dict[Expr, Place] = {}
        for saved in self.reverse.saved:
            sum_ = saved if saved.op == "add" else saved.args[0] if len(saved.args) == 1 else None
            if sum_ is None or sum_.op not in ("add", "sub") or (sum_ is not saved and not same(uses[sum_], [saved])):
                continue
            for arg in sum_.args:
                alone = arg in linear and same(uses[arg], [sum_]) and arg not in leaves and self.width(arg) == self.width(saved)
                if alone and self.hoisted[arg] not in found.values() and arg not in roots:
                    found[saved] = self.hoisted[arg]
        return found

    # backward

    def _back_loads(self, places: dict[Expr, Place]) -> dict[Expr, Place]:
        step = self.step
        loads = {expr: place for expr, place in {**self.hoisted, **places}.items() if place.buffer.kind != "operand"}
        loads[cotangent(0, step.output.width)] = Place(Buffer("y").derivative, "step", self.width(step.output))
        for i, state in enumerate(step.cell.states):
            loads[cotangent(1 + i, state.width)] = self._state(i, gradient=True)
        for j, expr in enumerate(step.traced):
            index = 1 + len(step.next) + j
            loads[cotangent(index, expr.width)] = Place(Buffer("trace", j).derivative, "step", self.width(expr))
        return loads

    def _back_stores(self) -> tuple[list[Store], dict[Expr, int]]:
        reverse, step = self.reverse, self.step
        stores = [Store(self._wide(e, i), self._state(i, gradient=True)) for i, e in enumerate(reverse.states)]
        given = dict(zip(step.hoisted, reverse.hoisted))
        cotangents: dict[Expr, int] = {}
        blocks: list[tuple[Expr, int]] = []
        for column in self.columns:
            g = given[column.expr]
            blocks.append((self._as_wide(g, column.expr), column.offset))
        offset = self.x_row
        for expr in self.other:
            g = given[expr]
            if g is not None and self.levels[expr] == "step":
                blocks.append((self._as_wide(g, expr), offset))
                offset += self.width(expr)
        known = dict(reversed(blocks))
        order = {p.name: i for i, p in enumerate(step.cell.parameters)}
        ranked = sorted(
            reverse.matrices,
            key=lambda m: (order[m.matrix.attrs[0]], step.cell.parameter(m.matrix.attrs[0]).gates.index(m.matrix.attrs[1])),
        )
        for matrix in ranked:
            if matrix.cotangent not in known:
                known[matrix.cotangent] = offset
                blocks.append((matrix.cotangent, offset))
                offset += self.width(matrix.cotangent)
        stores += [Store(expr, Place(Buffer("cotangents"), "step", offset, at)) for expr, at in blocks]
        cotangents.update(known)
        for column in self.columns:
            if column.constants:
                stores.append(
                    Store(
                        self._as_wide(given[column.expr], column.expr),
                        Place(Buffer("constants").derivative, "constant", self.x_row, column.offset),
                        add=True,
                    )
                )
        for expr, place in self.other.items():
            g = given[expr]
            if g is None or self.levels[expr] == "step":
                continue
            at = replace(place, buffer=place.buffer.derivative, level=self.levels[expr])
            stores.append(Store(self._as_wide(g, expr), at, add=True))
        return stores, cotangents

    def _as_wide(self, g: Expr | None, like: Expr) -> Expr:
        value = constant(0) if g is None else g
        return spread(value, like.width) if value.width.is_one and not like.width.is_one else value


def _base(operand: Expr) -> Expr:
    return _base(operand.args[0]) if operand.op == "slice" else operand
