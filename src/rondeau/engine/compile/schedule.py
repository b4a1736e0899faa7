"""`schedule`: from a step's expressions to blocks of work in order.

All that shares a phase (`rondeau.engine.compile.phases`) and a width is one block: products accumulate in registers, and the
pointwise equations follow on the same features.
"""

from __future__ import annotations

from collections.abc import Callable

from rondeau.engine.compile.in_place import in_place
from rondeau.engine.compile.phases import Phases, start_of
from rondeau.engine.compile.plan import Block, Group, Load, MatrixBlock, Place, Plan, Store, Term, Work
from rondeau.ir.analysis import is_reduction
from rondeau.ir.expressions import Expr

Key = tuple[int, int, int]
"""The order of blocks: phase; whether it reduces, has one feature, or several; features."""


def schedule(work: Work, width: Callable[[Expr], int], block: Callable[[Expr], MatrixBlock], most: int) -> Plan:
    """The plan that does the ``work``. ``block`` says where a matrix lies; a group has ``most`` accumulators at most."""
    phases = Phases(work, width)
    blocks = _Blocks(phases, block, most).all()
    return in_place(Plan(blocks, (), tuple(phases.scratch.items()), work.backward))


class _Blocks:
    def __init__(self, phases: Phases, block: Callable[[Expr], MatrixBlock], most: int) -> None:
        self.phases, self.width, self.block, self.most = phases, phases.width, block, most

    def all(self) -> tuple[Block, ...]:
        """The blocks, in order."""
        stores: dict[Key, list[Store]] = {}
        for store in self.phases.stores:
            stores.setdefault(self._key(store.expr), []).append(store)
        reductions: dict[Key, list[Store]] = {}
        for expr in self.phases.wanted:
            if is_reduction(expr):
                key = (self.phases.phase(expr), 0, self.width(expr.args[0]))
                reductions.setdefault(key, []).append(Store(expr, self.phases.kept[expr]))
        keys = sorted(stores.keys() | reductions.keys())
        return tuple(self._block(key[0], key[2], stores.get(key, []), reductions.get(key, [])) for key in keys)

    def _key(self, expr: Expr) -> Key:
        width = self.width(expr)
        return self.phases.phase(expr), 1 if width == 1 else 2, width

    def _block(self, phase: int, width: int, stores: list[Store], reductions: list[Store]) -> Block:
        loads: dict[Expr, Place] = {}
        order: dict[Expr, None] = {}
        accumulators: dict[Expr, None] = {}
        stack = [(store.expr, False) for store in reversed(stores)]
        stack += [(store.expr.args[0], False) for store in reversed(reductions)]
        while stack:
            expr, ready = stack.pop()
            if expr in order or expr in loads or expr in accumulators or expr.op == "constant":
                continue
            place = None if ready else self._readable(expr, phase, width, bool(reductions))
            if ready:
                order[expr] = None
            elif place is not None:
                loads[expr] = place
            elif expr.op == "products":
                accumulators[expr] = None
            else:
                stack.append((expr, True))
                stack += [(arg, False) for arg in reversed(expr.args)]
        groups = self._groups(list(accumulators))
        read = tuple(Load(expr, place, self.width(expr)) for expr, place in loads.items())
        return Block(phase, width, groups, read, tuple(order), tuple(stores), tuple(reductions))

    def _readable(self, expr: Expr, phase: int, width: int, reducing: bool) -> Place | None:
        """Where the block (phase, width) reads ``expr``, or None when it computes it."""
        direct = self.phases.direct(expr)
        if direct is not None:
            return direct
        if expr.op == "slice":
            return self._kept(expr)
        if expr not in self.phases.kept:
            return None
        home = self.phases.phase(expr) == phase and self.width(expr) == width and not reducing
        return None if home and not is_reduction(expr) and expr.op != "concat" else self.phases.kept[expr]

    def _groups(self, accumulators: list[Expr]) -> tuple[Group, ...]:
        """Accumulators in groups that read the same operands."""
        terms = {expr: tuple(self._term(product) for product in expr.args) for expr in accumulators}
        by_operand: dict[tuple[Place, ...], list[Expr]] = {}
        for expr in accumulators:
            by_operand.setdefault(tuple(term.operand for term in terms[expr]), []).append(expr)
        groups = []
        for members in by_operand.values():
            for i in range(0, len(members), self.most):
                chosen = tuple(members[i : i + self.most])
                groups.append(Group(chosen, tuple(terms[expr] for expr in chosen)))
        return tuple(groups)

    def _term(self, product: Expr) -> Term:
        matrix, operand = product.args
        place = self.phases.direct(operand) or self._kept(operand)
        return Term(matrix, self.block(matrix), product.op == "matmul_t", place, self.width(operand))

    def _kept(self, expr: Expr) -> Place:
        """Where a kept value lies, or a range of one."""
        if expr.op == "slice":
            return self.phases.kept[expr.args[0]].shifted(start_of(expr, self.width))
        return self.phases.kept[expr]
