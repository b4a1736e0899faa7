"""From the cotangents that a backward kernel wrote to the gradients of all that went into the run."""

from __future__ import annotations

import torch
from torch import Tensor

from rondeau.engine.hoist import evaluated, stacked
from rondeau.engine.layout import Layout
from rondeau.engine.problem import Problem
from rondeau.engine.rows import Rows
from rondeau.engine.twice import with_tensors
from rondeau.ir.expressions import Expr


class Blocks(dict[Expr, tuple[str, int, int, int]]):
    """Each matrix block as parameter buffer, first row, first column and row length."""

    def __init__(self, layout: Layout) -> None:
        self.cell, self.sizes = layout.step.cell, dict(layout.step.sizes)

    def __missing__(self, matrix: Expr) -> tuple[str, int, int, int]:
        name, gate, start, _ = matrix.attrs
        item = self.cell.parameter(name)
        assert item.columns is not None
        row = item.gates.index(gate) * item.rows.bind(self.sizes)
        self[matrix] = (f"param:{name}", row, start.bind(self.sizes), item.columns.bind(self.sizes))
        return self[matrix]


class Gradients:
    """From the cotangents that the backward kernel wrote to the gradients of all that went in."""

    def __init__(self, layout: Layout, problem: Problem, rows: Rows, buffers: dict[str, Tensor]) -> None:
        self.layout, self.problem, self.rows, self.buffers = layout, problem, rows, buffers
        self.blocks = Blocks(layout)
        self.params: dict[str, Tensor] = {}
        self.x: Tensor | None = None
        self.extras: dict[str, Tensor] = {}

    def all(self) -> list[Tensor | None]:
        """In the order of `Problem.tensors`."""
        self._matrices()
        self._columns()
        self._vectors()
        self._others()
        p = self.problem
        x = None if self.x is None else self.rows.from_rows(self.x)
        x = self._plus(x, self.extras.get("x:"))
        states = [self.rows.from_slots(self.buffers[f"state{i}"]) for i in range(len(p.state))]
        params = [self.params.get(name) for name in p.params]
        return [x, *states, *params, *(self.extras.get(name) for name in p.extras)]

    @staticmethod
    def _plus(a: Tensor | None, b: Tensor | None) -> Tensor | None:
        return b if a is None else a if b is None else a + b

    def _parameter(self, name: str) -> Tensor:
        if name not in self.params:
            self.params[name] = torch.zeros_like(self.problem.params[name])
        return self.params[name]

    def _matrices(self) -> None:
        """One product a parameter where its gates lie side by side, else one a block."""
        at = dict(self.layout.cotangents)
        cell, width = self.problem.cell, self.layout.step.width
        for item in cell.parameters:
            mine = [m for m in self.layout.reverse.matrices if m.matrix.attrs[0] == item.name]
            if not mine or item.columns is None:
                continue
            rows = width(mine[0].matrix)
            by_gate = {m.matrix.attrs[1]: m for m in mine}
            first = at[by_gate[item.gates[0]].cotangent] if item.gates[0] in by_gate else -1
            side_by_side = len(mine) == len(item.gates) == len(by_gate) and all(
                at[by_gate[g].cotangent] == first + i * rows and by_gate[g].operand is mine[0].operand
                for i, g in enumerate(item.gates)
            )
            if side_by_side and mine[0].matrix.attrs[3] == item.columns and item.name not in self.params:
                left = self.buffers["D"][:, first : first + rows * len(item.gates)]
                self.params[item.name] = torch.mm(left.t(), self._operand(mine[0].operand))
                continue
            for m in mine:
                left = self.buffers["D"][:, at[m.cotangent] : at[m.cotangent] + rows]
                self._block(m.matrix).add_(torch.mm(left.t(), self._operand(m.operand)))

    def _block(self, matrix: Expr) -> Tensor:
        _, row, column, _ = self.blocks[matrix]
        rows, columns = self.layout.step.width(matrix), matrix.attrs[3].bind(dict(self.layout.step.sizes))
        return self._parameter(matrix.attrs[0])[row : row + rows, column : column + columns]

    def _operand(self, expr: Expr) -> Tensor:
        """All values of an operand, (rows, width)."""
        start, width = 0, self.layout.step.width(expr)
        while expr.op == "slice":
            start += expr.attrs[0].bind(dict(self.layout.step.sizes))
            expr = expr.args[0]
        for store in self.layout.kept:
            if store.expr is expr:
                at = store.place.offset + start
                return self.buffers[store.place.buffer][:, at : at + width]
        place = dict(self.layout.loads)[expr]
        value = self.buffers[place.buffer]
        if place.level == "step":
            return value[:, place.offset + start : place.offset + start + width]
        if place.level == "slot":
            return self.rows.spread_slots(value)[:, start : start + width]
        wide = value.reshape(-1)[place.offset + start : place.offset + start + width]
        return wide.expand(self.rows.count, width)

    def _columns(self) -> None:
        columns = self.layout.columns
        if not columns:
            return
        row = sum(self.layout.step.width(c.expr) for c in columns)
        left, x = self.buffers["D"][:, :row], self.rows.to_rows(self.problem.x)
        W = stacked(self.layout, self.problem)
        if self.problem.x.requires_grad:
            self.x = torch.mm(left, W)
        whole = torch.mm(left.t(), x)
        name = columns[0].matrices[0].attrs[0]
        if W.data_ptr() == self.problem.params[name].data_ptr() and name not in self.params:
            self.params[name] = whole
        else:
            for c in columns:
                part = whole[c.offset : c.offset + self.layout.step.width(c.expr)]
                for matrix in c.matrices:
                    self._block(matrix).add_(part)
        if "db" in self.buffers:
            self._still(self.buffers["db"].sum(0))

    def _still(self, total: Tensor) -> None:
        """The gradients of the sums that do not move, handed to their terms."""
        others: list[tuple[Expr, Tensor]] = []
        for c in self.layout.columns:
            g = total[c.offset : c.offset + self.layout.step.width(c.expr)]
            for plus, term in c.still:
                if term.op == "vector":
                    self._vector(term).add_(g if plus else -g)
                else:
                    others.append((term, g if plus else -g))
        if others:
            self._through(others)

    def _vector(self, expr: Expr) -> Tensor:
        item = self.problem.cell.parameter(expr.attrs[0])
        width = self.layout.step.width(expr)
        first = item.gates.index(expr.attrs[1]) * width
        return self._parameter(item.name)[first : first + width]

    def _vectors(self) -> None:
        for name, value in self.buffers.items():
            if name.startswith("dparam:"):
                self._parameter(name.removeprefix("dparam:")).add_(value.sum(0))

    def _others(self) -> None:
        """Hoisted values that are not linear in the sequence: their gradients by autograd through the reference."""
        given = dict(zip(self.layout.step.hoisted, self.layout.reverse.hoisted))
        found: list[tuple[Expr, Tensor]] = []
        offset = sum(self.layout.step.width(c.expr) for c in self.layout.columns)
        for expr, place in self.layout.other:
            g = given[expr]
            if g is None:
                continue
            if place.level == "step":
                width = self.layout.step.width(expr)
                found.append((expr, self.rows.from_rows(self.buffers["D"][:, offset : offset + width])))
                offset += width
            elif expr.op != "vector":
                value = self.buffers[f"dh:{place.buffer}"]
                found.append((expr, value.sum(0) if place.level == "const" else self.rows.from_slots(value).unsqueeze(1)))
        if found:
            self._through(found)

    def _through(self, pairs: list[tuple[Expr, Tensor]]) -> None:
        p = self.problem
        with torch.enable_grad():
            leaves = tuple(t.detach().requires_grad_() for t in p.tensors)
            inner = with_tensors(p, leaves)
            values = evaluated([expr for expr, _ in pairs], inner)
            outputs = [values[expr] for expr, _ in pairs]
            grads = [
                g.reshape(v.shape) if g.numel() == v.numel() else g.sum_to_size(v.shape) for v, (_, g) in zip(outputs, pairs)
            ]
            live = [(v, g) for v, g in zip(outputs, grads) if v.requires_grad]
            found = torch.autograd.grad([v for v, _ in live], leaves, [g for _, g in live], allow_unused=True)
        n, m = len(p.state), len(p.params)
        if found[0] is not None:
            self.extras["x:"] = self._plus(self.extras.get("x:"), found[0])  # type: ignore[assignment]
        for name, g in zip(p.params, found[1 + n : 1 + n + m]):
            if g is not None:
                self._parameter(name).add_(g)
        for name, g in zip(p.extras, found[1 + n + m :]):
            if g is not None:
                self.extras[name] = self._plus(self.extras.get(name), g)  # type: ignore[assignment]
