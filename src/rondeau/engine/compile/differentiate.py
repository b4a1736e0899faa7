"""`differentiate`: one step of backpropagation through time, from the op table's derivatives.

It reads the cotangents of the output, of the next states and of the traced values, and whatever the forward step saved. It
yields the cotangents of the previous states, of every hoisted value, and of each product, from which the gradients of the
matrices follow after the loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rondeau.engine.compile.levels import Level
from rondeau.engine.compile.regroup import regroup
from rondeau.engine.compile.split_sums import split_sums
from rondeau.engine.compile.step import ProductGradient, Reverse, Step, cotangent
from rondeau.ir.expressions import Expr, constant, features, node, spread
from rondeau.ir.functions import concat, maximum, minimum, total
from rondeau.ir.nodes import postorder
from rondeau.ir.ops import OPS
from rondeau.ir.widths import Width


def differentiate(step: Step, clip: float | None = None) -> Reverse:
    """The reverse of ``step``; with ``clip`` the cotangents of the states are bounded element by element."""
    tape = _Tape(step)
    for index, root in enumerate(step.roots):
        tape.add(
            root, cotangent(index, root.width if index == 0 or index > len(step.next) else step.cell.states[index - 1].width)
        )
    matrices: list[ProductGradient] = []
    for expr in reversed(postorder(step.roots)):
        g = tape.gradient(expr)
        if g is None or step.levels[expr] != "state":
            continue
        if expr.op == "products":
            for product in expr.args:
                matrix, operand = product.args
                transposed = product.op == "matmul_t"
                matrices.append(ProductGradient(matrix, g, operand, transposed))
                if tape.moves(operand):
                    tape.add(operand, node("matmul" if transposed else "matmul_t", (matrix, g), (), operand.width))
        else:
            tape.propagate(expr, g)
    states = _state_gradients(tape, step)
    hoisted = [tape.gradient(expr) if tape.moves(expr) else None for expr in step.hoisted]
    if clip is not None:
        states = [minimum(maximum(value, -clip), clip) for value in states]
    return _finish(step, states, hoisted, matrices)


def _state_gradients(tape: _Tape, step: Step) -> list[Expr]:
    found = [tape.gradient(item.symbol) for item in step.cell.states]
    return [constant(0) if value is None else value for value in found]


class _Tape:
    """Cotangents collected so far, whole ones and those of ranges of features."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.counters = {item.symbol for item in step.cell.states if item.role == "time"}
        self.whole: dict[Expr, list[Expr]] = {}
        self.parts: dict[Expr, list[tuple[Width, Width, Expr]]] = {}

    def moves(self, expr: Expr) -> bool:
        """Whether a derivative with respect to the expression is wanted: not for numbers and the step counter."""
        return expr.op != "constant" and expr not in self.counters

    def add(self, expr: Expr, g: Expr) -> None:
        """Adds a contribution, summed over the features if ``expr`` was stretched."""
        if not self.moves(expr):
            return
        wide = expr.width.is_one and not g.width.is_one
        value = total(g) if wide else g
        if value.width.is_one and not expr.width.is_one:
            value = spread(value, expr.width)
        self.whole.setdefault(expr, []).append(value)

    def propagate(self, expr: Expr, g: Expr) -> None:
        """Hands the cotangent of a node on to its arguments."""
        if expr.op == "concat":
            start = Width.of(0)
            for arg in expr.args:
                self.add(arg, features(g, slice(start, start + arg.width)))
                start = start + arg.width
        elif expr.op == "slice":
            self.parts.setdefault(expr.args[0], []).append((*expr.attrs, g))
        elif expr.op in OPS:
            derivative = OPS[expr.op].derivative
            assert derivative is not None, expr.op
            for arg, value in zip(expr.args, derivative(g, expr, *expr.args)):
                if value is not None:
                    self.add(arg, value)

    def gradient(self, expr: Expr) -> Expr | None:
        """The whole cotangent of an expression, or None when nothing flows to it."""
        pieces = list(self.whole.get(expr, ()))
        if expr in self.parts:
            pieces.append(self._assembled(expr, self.parts[expr]))
        result: Expr | None = None
        for piece in pieces:
            result = piece if result is None else result + piece
        return result

    def _assembled(self, expr: Expr, parts: list[tuple[Width, Width, Expr]]) -> Expr:
        sizes = dict(self.step.sizes)
        bounds = {w.bind(sizes): w for start, stop, _ in parts for w in (start, stop)}
        bounds |= {0: Width.of(0), expr.width.bind(sizes): expr.width}
        cuts = sorted(bounds)
        return concat(*(self._segment(a, b, bounds, parts, sizes) for a, b in zip(cuts, cuts[1:])))

    def _segment(
        self, a: int, b: int, bounds: dict[int, Width], parts: list[tuple[Width, Width, Expr]], sizes: dict[str, int]
    ) -> Expr:
        result: Expr | None = None
        for start, stop, g in parts:
            if start.bind(sizes) <= a and b <= stop.bind(sizes):
                piece = features(g, slice(bounds[a] - start, bounds[b] - start))
                result = piece if result is None else result + piece
        return spread(constant(0), bounds[b] - bounds[a]) if result is None else result


def _finish(step: Step, states: list[Expr], hoisted: list[Expr | None], matrices: list[ProductGradient]) -> Reverse:
    """Regroups the reverse sums and settles what the forward step must save."""
    apart = split_sums([*states, *(e for e in hoisted if e is not None), *(m.cotangent for m in matrices)], step.width)
    states, hoisted = [apart[e] for e in states], [None if e is None else apart[e] for e in hoisted]
    matrices = [replace(m, cotangent=apart[m.cotangent]) for m in matrices]
    roots = [*states, *(e for e in hoisted if e is not None), *(m.cotangent for m in matrices)]
    new = regroup(roots, _reverse_levels(roots))
    changed = [replace(m, cotangent=new[m.cotangent]) for m in matrices]
    placed_states = tuple(new[e] for e in states)
    placed_hoisted = tuple(None if e is None else new[e] for e in hoisted)
    everything = [*placed_states, *(e for e in placed_hoisted if e is not None), *(m.cotangent for m in changed)]
    return Reverse(placed_states, placed_hoisted, tuple(changed), to_save(everything))


def _reverse_levels(roots: Iterable[Expr]) -> dict[Expr, Level]:
    """Cotangents, and what is computed from them, are at level ``state``; the forward values are there before the loop."""
    levels: dict[Expr, Level] = {}
    for expr in postorder(roots):
        moves = expr.op == "cotangent" or any(levels[arg] == "state" for arg in expr.args)
        levels[expr] = "state" if moves else "step"
    return levels


def to_save(roots: Iterable[Expr]) -> tuple[Expr, ...]:
    """The forward values that the reverse step cannot cheaply compute again from previous states and hoisted values.

    A value that needs a product is saved after its nonlinearity where that is all the reverse step reads; whatever follows
    from saved values by cheap arithmetic, or by one more function, is computed again.
    """
    order = postorder(roots)
    backward = {e for e in order if e.op == "cotangent"}
    for expr in order:
        if any(arg in backward for arg in expr.args):
            backward.add(expr)
    read = dict.fromkeys(arg for expr in order if expr in backward for arg in expr.args if arg not in backward)
    read |= dict.fromkeys(e for e in roots if e not in backward)
    saved: dict[Expr, None] = {}
    for expr in [e for e in order if e in read]:
        _demand(expr, saved)
    return tuple(saved)


def _demand(expr: Expr, saved: dict[Expr, None]) -> None:
    if expr in saved or not _needs_product(expr, saved):
        return
    direct = any(arg.op == "products" for arg in expr.args)
    if _expensive(expr) or (direct and expr.op in ("add", "sub")):
        saved[expr] = None
        return
    for arg in expr.args:
        _demand(arg, saved)


def _expensive(expr: Expr) -> bool:
    row = OPS.get(expr.op)
    return expr.op == "products" or (row is not None and row.kind == "pointwise" and not row.cheap)


def _needs_product(expr: Expr, saved: dict[Expr, None]) -> bool:
    seen: set[Expr] = set()
    stack = [expr]
    while stack:
        item = stack.pop()
        if item in saved or item in seen:
            continue
        if item.op == "products":
            return True
        seen.add(item)
        stack.extend(item.args)
    return False
