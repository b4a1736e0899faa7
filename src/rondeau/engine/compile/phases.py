"""`Phases`: when each value of a step can be computed, and which must lie in a buffer until then.

A product needs every feature of its operand, and so does a reduction over the features; each of them therefore starts a new
phase. What a later phase reads is kept in a buffer, or computed again where that is cheap.
"""

from __future__ import annotations

from collections.abc import Callable

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.plan import Place, Store, Work
from rondeau.ir.analysis import is_reduction
from rondeau.ir.expressions import Expr
from rondeau.ir.nodes import postorder
from rondeau.ir.ops import OPS


class Phases:
    """The phase of every value of the ``work``; and ``kept``, the values that lie in a buffer for a later phase.

    ``stores`` are those of the work and of what is kept; ``wanted`` what they are for, in order.
    """

    def __init__(self, work: Work, width: Callable[[Expr], int]) -> None:
        self.loads, self.width = dict(work.loads), width
        self.scratch: dict[Buffer, int] = {}
        self.kept: dict[Expr, Place] = {}
        self.wanted: dict[Expr, None] = {}
        self.phases: dict[Expr, int] = {}
        self.stores = [part for store in work.stores for part in self._pieces(store)]
        self._settle()

    def _pieces(self, store: Store) -> list[Store]:
        """A concatenation is stored part by part; so is a whole one that other places ask for."""
        if store.expr.op != "concat" or store.expr in self.loads:
            return [store]
        pieces, offset = [], 0
        for part in store.expr.args:
            pieces += self._pieces(Store(part, store.place.shifted(offset), store.add))
            offset += self.width(part)
        return pieces

    # phases

    def phase(self, expr: Expr) -> int:
        """The first phase in which the value of ``expr`` can be read."""
        for part in postorder([expr]) if expr not in self.phases else ():
            if part not in self.phases:
                self.phases[part] = self._phase(part)
        return self.phases[expr]

    def _phase(self, expr: Expr) -> int:
        if expr in self.loads or not expr.args:
            return 0
        if expr.op in ("matmul", "matmul_t"):
            operand = expr.args[1]
            return 0 if self.direct(operand) is not None else self.phases[operand] + (operand.op != "concat")
        below = max(self.phases[arg] for arg in expr.args)
        if expr.op == "slice" and self.direct(expr) is not None:
            return 0
        return below + (is_reduction(expr) or expr.op in ("slice", "concat"))

    def direct(self, expr: Expr) -> Place | None:
        """Where ``expr`` lies already, when it is a loaded value or a range of one."""
        if expr in self.loads:
            return self.loads[expr]
        if expr.op == "slice":
            inner = self.direct(expr.args[0])
            return None if inner is None else inner.shifted(start_of(expr, self.width))
        return None

    # what has to be kept

    def _settle(self) -> None:
        """Finds every value that must lie in a buffer for a later phase, from the last use to the first."""
        for store in self.stores:
            self.phase(store.expr)
            owned = not store.add and store.place.buffer.kind != "state"
            if owned and store.expr not in self.loads and store.expr.args:
                self.kept.setdefault(store.expr, store.place)
        seen: set[tuple[Expr, int, int]] = set()
        work = [(s.expr, self.phase(s.expr), self.width(s.expr)) for s in self.stores]
        while work:
            item = work.pop()
            if item not in seen:
                seen.add(item)
                work += self._demands(*item)

    def _demands(self, expr: Expr, phase: int, width: int) -> list[tuple[Expr, int, int]]:
        """What computing ``expr`` in the block (phase, width) asks for; keeps what cannot be had there."""
        if self.direct(expr) is not None or not expr.args:
            return []
        if expr.op == "products":
            if self.phase(expr) != phase or self.width(expr) != width:
                return self._keep(expr)
            return [need for product in expr.args for need in self._operand(product.args[1])]
        if is_reduction(expr):
            return self._keep_reduction(expr)
        if expr.op == "concat":
            return self._keep(expr)
        if expr.op == "slice":
            return self._keep(expr.args[0])
        if expr.op == "spread":
            return self._demands(expr.args[0], phase, width)
        here = self.phase(expr) == phase and self.width(expr) == width
        if not here and not self._cheap(expr, phase, width):
            return self._keep(expr)
        return [(arg, phase, width) for arg in expr.args]

    def _operand(self, expr: Expr) -> list[tuple[Expr, int, int]]:
        if self.direct(expr) is not None:
            return []
        return self._keep(expr.args[0]) if expr.op == "slice" else self._keep(expr)

    def _keep(self, expr: Expr) -> list[tuple[Expr, int, int]]:
        """Makes ``expr`` lie in a buffer, and asks for its computation at home."""
        if self.direct(expr) is not None or not expr.args:
            return []
        if is_reduction(expr):
            return self._keep_reduction(expr)
        if expr not in self.kept:
            self.kept[expr] = self._scratch(self.width(expr))
        if expr not in self.wanted:
            self.wanted[expr] = None
            if expr.op == "concat":
                self.stores += self._pieces(Store(expr, self.kept[expr]))
                return [(s.expr, self.phase(s.expr), self.width(s.expr)) for s in self._pieces(Store(expr, self.kept[expr]))]
            if all(s.expr is not expr or s.place != self.kept[expr] for s in self.stores):
                self.stores.append(Store(expr, self.kept[expr]))
        return [(expr, self.phase(expr), self.width(expr))]

    def _keep_reduction(self, expr: Expr) -> list[tuple[Expr, int, int]]:
        if expr not in self.kept:
            self.kept[expr] = self._scratch(1)
        if expr in self.wanted:
            return []
        self.wanted[expr] = None
        return [(expr.args[0], self.phase(expr), self.width(expr.args[0]))]

    def _scratch(self, width: int) -> Place:
        buffer = Buffer("scratch", len(self.scratch))
        self.scratch[buffer] = width
        return Place(buffer, "sequence", width)

    def _cheap(self, expr: Expr, phase: int, width: int) -> bool:
        """Whether ``expr``, of an earlier phase and this width, is computed again rather than kept."""
        if not _cheap_op(expr) or self.width(expr) != width or expr in self.kept:
            return False
        return all(self._available(arg, phase, width) for arg in expr.args)

    def _available(self, expr: Expr, phase: int, width: int) -> bool:
        if is_reduction(expr) or expr.op == "spread":
            return True
        return self.direct(expr) is not None or not expr.args or expr in self.kept or self._cheap(expr, phase, width)


def _cheap_op(expr: Expr) -> bool:
    return expr.op == "spread" or (expr.op in OPS and OPS[expr.op].cheap)


def start_of(expr: Expr, width: Callable[[Expr], int]) -> int:
    """The first feature of a range, as a number."""
    return width(Expr("extent", (), (), expr.attrs[0]))
