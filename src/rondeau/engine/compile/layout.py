"""`arrange`: what each kernel reads and writes, and where it lies.

The gradients of the GRU's step (`rondeau show gru --stage gradient`), with the places that are found for its values::

    before the loop      columns     [ W.r x + b.r | W.z x + b.z | W.n x + b.n ]   a row a step: one product for all steps
    forward, each step   state0      [ h ]                                         a row a sequence
                         y           [ h ]                                         a row a step
      and in training    previous0   [ h[t-1] ]                                    a row a step
                         columns     [ r           | z           | W.n x + b.n ]   saved gates overwrite what went into them
                         saved       [ U.n h + c.n ]
    backward, each step  dy, dstate0                                               what flows in, and on to the step before
                         cotangents  [ into each column | into U.n h ]             a row a step
                         dconstants  [ b.r | b.z | b.n ]                           summed over the steps, a row a part
                         dparameter:c                                              likewise
    after the loop       dU = cotangents.T previous0,  dW = cotangents.T x,  dx = cotangents W
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.hoist import Column, Hoisted, hoist
from rondeau.engine.compile.levels import Level
from rondeau.engine.compile.plan import MatrixBlock, Place, Store, Work
from rondeau.engine.compile.save import base_of, save
from rondeau.engine.compile.step import Reverse, Step, cotangent
from rondeau.ir.expressions import Expr, constant, spread
from rondeau.ir.widths import Width

KernelName = Literal["infer", "train", "backward"]
"""A kernel runs forward, forward and keeps what the reverse step reads, or backward."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Places of a run.

    ``columns`` lie side by side in one buffer; ``other`` hoisted values have buffers of their own. ``loads`` and ``stores``
    are those of the forward step, ``saved`` the stores for a later backward run; ``buffers`` gives each buffer's level, and
    the features of a row.
    """

    step: Step
    reverse: Reverse
    columns: tuple[Column, ...]
    other: tuple[tuple[Expr, Place], ...]
    loads: tuple[tuple[Expr, Place], ...]
    stores: tuple[Store, ...]
    saved: tuple[Store, ...]
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
        return Work(self.stores + (self.saved if kernel == "train" else ()), self.loads, False)

    def block(self, matrix: Expr) -> MatrixBlock:
        """Where a matrix, one gate of a parameter or some columns of it, lies in the parameter."""
        if matrix not in self._blocks:
            self._blocks[matrix] = self._block(matrix)
        return self._blocks[matrix]

    @cached_property
    def _blocks(self) -> dict[Expr, MatrixBlock]:
        return {}

    def _block(self, matrix: Expr) -> MatrixBlock:
        name, gate, start, _ = matrix.attrs
        item, sizes = self.step.cell.parameter(name), self.step.named_sizes
        assert item.columns is not None
        row = item.gates.index(gate) * item.rows.bind(sizes)
        return MatrixBlock(Buffer("parameter", name), row, start.bind(sizes), item.columns.bind(sizes))

    @cached_property
    def operands(self) -> set[Buffer]:
        """The buffers of hoisted values that the gradients of matrices are products with."""
        bases = {base_of(product.operand) for product in self.reverse.matrices}
        return {place.buffer for expr, place in self.loads if expr in bases}


def arrange(step: Step, reverse: Reverse) -> Layout:
    """The layout of a step and its reverse."""
    hoisted = hoist(step)
    saved = save(step, reverse, hoisted)
    states = {state.symbol: _state(step, i) for i, state in enumerate(step.cell.states)}
    loads = {**hoisted.places, **states}
    stores = _forward_stores(step)
    back_loads = _backward_loads(step, hoisted, saved)
    places, cotangents = _cotangents(step, reverse, hoisted)
    back_stores = (*_state_gradients(step, reverse), *places, *_sums(step, reverse, hoisted))
    everything = [*loads.values(), *back_loads.values(), *(s.place for s in (*stores, *saved, *back_stores))]
    buffers = {place.buffer: (place.level, place.row_size) for place in everything}
    return Layout(
        step, reverse, hoisted.columns, tuple(hoisted.others.items()), tuple(loads.items()), stores, saved,
        tuple(back_loads.items()), back_stores, cotangents, buffers,
    )  # fmt: skip


def _state(step: Step, index: int, gradient: bool = False) -> Place:
    return Place(Buffer("state", index, gradient), "sequence", step.cell.states[index].width.bind(step.named_sizes))


def _stretched(value: Expr, width: Width) -> Expr:
    """A scalar in all features of a wider value."""
    return spread(value, width) if value.width.is_one and not width.is_one else value


def _forward_stores(step: Step) -> tuple[Store, ...]:
    stores = [Store(step.output, Place(Buffer("y"), "step", step.width(step.output)))]
    stores += [Store(_stretched(e, s.width), _state(step, i)) for i, (e, s) in enumerate(zip(step.next, step.cell.states))]
    stores += [Store(e, Place(Buffer("trace", i), "step", step.width(e))) for i, e in enumerate(step.traced)]
    return tuple(stores)


def _backward_loads(step: Step, hoisted: Hoisted, saved: tuple[Store, ...]) -> dict[Expr, Place]:
    """Forward values where they were kept, and what flows back into outputs, states and traces."""
    kept = {store.expr: store.place for store in saved if store.place.buffer.kind != "operand"}
    loads = {**hoisted.places, **kept}
    loads[cotangent(0, step.output.width)] = Place(Buffer("y").derivative, "step", step.width(step.output))
    for i, state in enumerate(step.cell.states):
        loads[cotangent(1 + i, state.width)] = _state(step, i, gradient=True)
    for j, expr in enumerate(step.traced):
        index = 1 + len(step.next) + j
        loads[cotangent(index, expr.width)] = Place(Buffer("trace", j).derivative, "step", step.width(expr))
    return loads


def _state_gradients(step: Step, reverse: Reverse) -> tuple[Store, ...]:
    gradients = zip(reverse.states, step.cell.states)
    return tuple(Store(_stretched(g, state.width), _state(step, i, gradient=True)) for i, (g, state) in enumerate(gradients))


def _gradients(step: Step, reverse: Reverse) -> dict[Expr, Expr | None]:
    """What flows back into each hoisted value, as wide as that."""
    pairs = zip(step.hoisted, reverse.hoisted)
    return {expr: None if g is None else _stretched(g, expr.width) for expr, g in pairs}


def _column_gradient(gradients: Mapping[Expr, Expr | None], column: Column) -> Expr:
    found = gradients[column.expr]
    return _stretched(constant(0), column.expr.width) if found is None else found


def _cotangents(step: Step, reverse: Reverse, hoisted: Hoisted) -> tuple[tuple[Store, ...], tuple[tuple[Expr, int], ...]]:
    """One row a step: what flows into the columns, into inputs, and into products; and the first feature of each of them."""
    gradients = _gradients(step, reverse)
    values = [(_column_gradient(gradients, column), column.offset) for column in hoisted.columns]
    offset = hoisted.row_size
    for expr in hoisted.others:
        g = gradients[expr]
        if g is not None and step.levels[expr] == "step":
            values.append((g, offset))
            offset += step.width(expr)
    known = dict(reversed(values))
    for product in sorted(reverse.matrices, key=lambda product: step.rank(product.matrix)):
        if product.cotangent not in known:
            known[product.cotangent] = offset
            values.append((product.cotangent, offset))
            offset += step.width(product.cotangent)
    stores = tuple(Store(value, Place(Buffer("cotangents"), "step", offset, first)) for value, first in values)
    return stores, tuple(known.items())


def _sums(step: Step, reverse: Reverse, hoisted: Hoisted) -> Iterator[Store]:
    """What is summed over the steps: the gradients of the columns' constants, and of what does not change from step to step."""
    gradients = _gradients(step, reverse)
    for column in hoisted.columns:
        if column.constants:
            place = Place(Buffer("constants").derivative, "constant", hoisted.row_size, column.offset)
            yield Store(_column_gradient(gradients, column), place, add=True)
    for expr, place in hoisted.others.items():
        g, level = gradients[expr], step.levels[expr]
        if g is not None and level != "step":
            yield Store(g, replace(place, buffer=place.buffer.derivative, level=level), add=True)
