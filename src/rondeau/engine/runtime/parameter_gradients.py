"""The gradients of all that went into a run, from the cotangents that its backward kernel wrote."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.layout import Layout
from rondeau.engine.compile.plan import Place
from rondeau.engine.compile.step import ProductGradient
from rondeau.engine.eager.autograd import with_autograd
from rondeau.engine.eager.evaluation import evaluated, sum_of
from rondeau.engine.inputs.scan_inputs import ScanInputs
from rondeau.engine.products.multiply import multiply
from rondeau.engine.runtime.batch_rows import BatchRows
from rondeau.engine.runtime.call import Views
from rondeau.engine.runtime.gradient_sums import GradientSums
from rondeau.engine.runtime.hoisted import stacked_matrices
from rondeau.ir.expressions import Expr

COTANGENTS, CONSTANTS = Buffer("cotangents"), Buffer("constants").derivative


@dataclass(frozen=True, eq=False)
class Product:
    """A gradient as one product: the cotangents from ``first`` on, transposed, times the values of ``operand``.

    It is the whole of ``parameter`` where ``matrix`` is None, else that block of it, or the block's transpose.
    """

    parameter: str
    matrix: Expr | None
    first: int
    rows: int
    operand: Expr
    transposed: bool = False


class Recipe:
    """How the gradients of a layout are put together; what follows from the layout alone is worked out once."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.columns_row = sum(layout.step.width(c.expr) for c in layout.columns)

    @cached_property
    def products(self) -> tuple[Product, ...]:
        """One product a parameter where its gates lie side by side, else one a block."""
        found: list[Product] = []
        for item in self.layout.step.cell.parameters:
            mine = [m for m in self.layout.reverse.matrices if m.matrix.attrs[0] == item.name]
            at = [dict(self.layout.cotangents)[m.cotangent] for m in mine]
            if not mine:
                continue
            rows = self.layout.step.width(mine[0].matrix)
            ranked = sorted(zip(at, mine), key=lambda pair: item.gates.index(pair[1].matrix.attrs[1]))
            whole = tuple(m.matrix.attrs[1] for _, m in ranked) == item.gates and all(
                start == ranked[0][0] + i * rows and m.operand is mine[0].operand for i, (start, m) in enumerate(ranked)
            )
            whole = whole and not any(m.transposed for m in mine)
            if whole and mine[0].matrix.attrs[3] == item.columns and item.name != self.layout.matrix:
                found.append(Product(item.name, None, ranked[0][0], rows * len(item.gates), mine[0].operand))
            else:
                found += [self._block(first, m) for first, m in zip(at, mine)]
        return tuple(sorted(found, key=lambda p: p.matrix is not None))

    def _block(self, first: int, m: ProductGradient) -> Product:
        rows = m.matrix.attrs[3] if m.transposed else m.matrix.width
        return Product(m.matrix.attrs[0], m.matrix, first, rows.bind(self.layout.step.named_sizes), m.operand, m.transposed)

    @cached_property
    def operands(self) -> dict[Expr, Place]:
        """Where each operand of a product lies: with what was saved, or as the forward step loaded it."""
        at = {**dict(self.layout.loads), **{store.expr: store.place for store in self.layout.saved}}
        found = {}
        for product in self.products:
            expr, start = product.operand, 0
            while expr.op == "slice":
                start += expr.attrs[0].bind(self.layout.step.named_sizes)
                expr = expr.args[0]
            found[product.operand] = at[expr].shifted(start)
        return found

    @cached_property
    def constants(self) -> tuple[tuple[Expr, bool, int, int], ...]:
        """The constant terms of all columns: the term, whether it is added, and its range of features."""
        found = []
        for c in self.layout.columns:
            found += [(term, plus, c.offset, self.layout.step.width(c.expr)) for plus, term in c.constants]
        return tuple(found)

    @cached_property
    def given(self) -> dict[Expr, Expr | None]:
        """The cotangent of each hoisted value."""
        return dict(zip(self.layout.step.hoisted, self.layout.reverse.hoisted))

    @cached_property
    def vectors(self) -> tuple[Buffer, ...]:
        """The gradients of parameters that the kernel itself summed over the steps."""
        places = (store.place.buffer for store in self.layout.back_stores)
        return tuple(dict.fromkeys(buffer for buffer in places if buffer.gradient and buffer.kind == "parameter"))

    def gradients(self, inputs: ScanInputs, rows: BatchRows, buffers: Views, states: list[Tensor]) -> list[Tensor | None]:
        """Of `ScanInputs.tensors`, in that order; those of the ``states`` the kernel wrote."""
        return _Gradients(self, inputs, rows, buffers).all(states)


class _Gradients:
    """One backward run's gradients: products of the cotangents with what they multiplied, and sums over steps."""

    def __init__(self, recipe: Recipe, inputs: ScanInputs, rows: BatchRows, buffers: Views) -> None:
        self.recipe, self.inputs, self.rows, self.buffers = recipe, inputs, rows, buffers
        self.layout = recipe.layout
        self.gradients = GradientSums(recipe.layout, inputs)

    def all(self, states: list[Tensor]) -> list[Tensor | None]:
        self._matrices()
        if self.layout.columns:
            self._columns()
        self._vectors()
        self._others()
        return self.gradients.in_order(states)

    def _matrices(self) -> None:
        for p in self.recipe.products:
            left = self.buffers.part(COTANGENTS, p.first, p.rows)
            operand = self._operand(p.operand)
            if p.matrix is None:
                self.gradients.add_whole(p.parameter, multiply(left.t(), operand))
            else:
                block = self.gradients.block(p.matrix)
                multiply(*((operand.t(), left) if p.transposed else (left.t(), operand)), block, block)

    def _operand(self, expr: Expr) -> Tensor:
        """All values of an operand, (rows, width)."""
        place, width = self.recipe.operands[expr], self.layout.step.width(expr)
        if place.level == "step":
            return self.buffers.part(place.buffer, place.offset, width)
        value = self.buffers[place.buffer]
        if place.level == "sequence":
            return self.rows.repeat(value)[:, place.offset : place.offset + width]
        return value.reshape(-1)[place.offset : place.offset + width].expand(self.rows.count, width)

    def _columns(self) -> None:
        layout, rows = self.layout, self.rows
        left = self.buffers.part(COTANGENTS, 0, self.recipe.columns_row)
        if self.inputs.x.requires_grad:
            self.gradients.add_x(rows.from_rows(multiply(left, stacked_matrices(layout, self.inputs))))
        whole = multiply(left.t(), rows.to_rows(self.inputs.x))
        if layout.matrix is not None:
            self.gradients.add_whole(layout.matrix, whole)
        else:
            for c in layout.columns:
                part = whole[c.offset : c.offset + layout.step.width(c.expr)]
                for matrix in c.matrices:
                    self.gradients.block(matrix).add_(part)
        if CONSTANTS in self.buffers:
            self._constants(self.buffers[CONSTANTS].sum(0))

    def _constants(self, total: Tensor) -> None:
        """Gives the gradients of the sums of constants to their terms."""
        if self.layout.bias is not None:
            self.gradients.add_whole(self.layout.bias, total)
            return
        others: list[tuple[Expr, Tensor]] = []
        for term, plus, start, width in self.recipe.constants:
            g = total[start : start + width]
            if term.op == "vector":
                self.gradients.vector(term).add_(g, alpha=1 if plus else -1)
            else:
                others.append((term, g if plus else -g))
        if others:
            self._by_autograd(others)

    def _vectors(self) -> None:
        for buffer in self.recipe.vectors:
            self.gradients.add_whole(str(buffer.key), self.buffers[buffer].sum(0))

    def _others(self) -> None:
        """Hoisted values that are not linear in the sequence: their gradients by autograd through the reference."""
        found: list[tuple[Expr, Tensor]] = []
        offset = self.recipe.columns_row
        for expr, place in self.layout.other:
            g = self.recipe.given[expr]
            if g is None:
                continue
            if place.level == "step":  # an input
                width = self.layout.step.width(expr)
                self._input(expr.attrs[0], self.rows.from_rows(self.buffers.part(COTANGENTS, offset, width)))
                offset += width
            elif expr.op != "vector":
                value = self.buffers[place.buffer.derivative]
                found.append((expr, value.sum(0) if place.level == "constant" else self.rows.unsort(value).unsqueeze(1)))
        if found:
            self._by_autograd(found)

    def _input(self, name: str, gradient: Tensor) -> None:
        """Adds the gradient of an input, which may lie in the run's workspace."""
        if name == self.inputs.cell.input.name:
            self.gradients.add_x(gradient.clone() if self.gradients.x is None else gradient)
        else:
            self.gradients.add_extra(name, gradient.clone())

    def _by_autograd(self, pairs: list[tuple[Expr, Tensor]]) -> None:
        """Adds what the gradients of hoisted values give for what they were computed from."""
        p = self.inputs
        found = with_autograd(partial(self._vjp, pairs))
        n, m = len(p.state), len(p.params)
        if found[0] is not None:
            self.gradients.add_x(found[0])
        for name, g in zip(p.params, found[1 + n : 1 + n + m]):
            if g is not None:
                self.gradients.parameter(name).add_(g)
        for name, g in zip(p.extras, found[1 + n + m :]):
            if g is not None:
                self.gradients.add_extra(name, g)

    def _vjp(self, pairs: list[tuple[Expr, Tensor]]) -> tuple[Tensor | None, ...]:
        """The gradients of `ScanInputs.tensors` through hoisted values, from the values' own."""
        with torch.enable_grad():
            leaves = tuple(t.detach().requires_grad_() for t in self.inputs.tensors)
            values = evaluated([expr for expr, _ in pairs], self.inputs.with_tensors(leaves))
            # as one number: with gradients given, torch.autograd.grad imports a third of a second's worth of modules
            total = sum_of([(values[expr] * _like(values[expr], g)).sum() for expr, g in pairs])
            if not total.requires_grad:
                return (None,) * len(leaves)
            return torch.autograd.grad(total, leaves, allow_unused=True)


def _like(value: Tensor, g: Tensor) -> Tensor:
    return g.reshape(value.shape) if g.numel() == value.numel() else g.sum_to_size(value.shape)
