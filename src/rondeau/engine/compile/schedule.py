"""`schedule`: from a step's expressions to blocks of work in order.

A product needs every feature of its operand, and so does a sum over the features; each of them therefore starts a new
phase. All that shares a phase and a width is one block: products accumulate in registers, and the pointwise equations
follow on the same features. What a later phase reads is kept in a buffer, or computed again where that is cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.plan import Block, Group, Load, MatrixBlock, Place, Plan, Store, Term, Work
from rondeau.ir.analysis import is_reduction
from rondeau.ir.expressions import Expr
from rondeau.ir.nodes import postorder
from rondeau.ir.ops import OPS


def schedule(work: Work, width: Callable[[Expr], int], block: Callable[[Expr], MatrixBlock], most: int) -> Plan:
    """The plan that does the ``work``. ``block`` says where a matrix lies; a group has ``most`` accumulators at most."""
    builder = _Scheduler(work, width, block)
    builder.settle()
    return builder.plan(most)


class _Scheduler:
    def __init__(self, work: Work, width: Callable[[Expr], int], block: Callable[[Expr], MatrixBlock]) -> None:
        self.loads, self.width, self.block, self.backward = dict(work.loads), width, block, work.backward
        self.scratch: dict[Buffer, int] = {}
        self.kept: dict[Expr, Place] = {}
        self.phases: dict[Expr, int] = {}
        self.stores = [part for store in work.stores for part in self._pieces(store)]

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
            return 0 if self._direct(operand) is not None else self.phases[operand] + (operand.op != "concat")
        below = max(self.phases[arg] for arg in expr.args)
        if expr.op == "slice" and self._direct(expr) is not None:
            return 0
        return below + (is_reduction(expr) or expr.op in ("slice", "concat"))

    def _direct(self, expr: Expr) -> Place | None:
        """Where ``expr`` lies already, when it is a loaded value or a range of one."""
        if expr in self.loads:
            return self.loads[expr]
        if expr.op == "slice":
            inner = self._direct(expr.args[0])
            return None if inner is None else inner.shifted(_start(expr, self.width))
        return None

    # what has to be kept

    def settle(self) -> None:
        """Finds every value that must lie in a buffer for a later phase, from the last use to the first."""
        for store in self.stores:
            self.phase(store.expr)
            owned = not store.add and store.place.buffer.kind != "state"
            if owned and store.expr not in self.loads and store.expr.args:
                self.kept.setdefault(store.expr, store.place)
        self.wanted: dict[Expr, None] = {}
        seen: set[tuple[Expr, int, int]] = set()
        work = [(s.expr, self.phase(s.expr), self.width(s.expr)) for s in self.stores]
        while work:
            item = work.pop()
            if item not in seen:
                seen.add(item)
                work += self._demands(*item)

    def _demands(self, expr: Expr, phase: int, width: int) -> list[tuple[Expr, int, int]]:
        """What computing ``expr`` in the block (phase, width) asks for; keeps what cannot be had there."""
        if self._direct(expr) is not None or not expr.args:
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
        if self._direct(expr) is not None:
            return []
        return self._keep(expr.args[0]) if expr.op == "slice" else self._keep(expr)

    def _keep(self, expr: Expr) -> list[tuple[Expr, int, int]]:
        """Makes ``expr`` lie in a buffer, and asks for its computation at home."""
        if self._direct(expr) is not None or not expr.args:
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
        return self._direct(expr) is not None or not expr.args or expr in self.kept or self._cheap(expr, phase, width)

    # blocks

    def plan(self, tile: int) -> Plan:
        """The blocks, in order."""
        homes: dict[tuple[int, int, int], list[Store]] = {}
        for store in self.stores:
            homes.setdefault((self.phase(store.expr), *self._rank(store.expr)), []).append(store)
        sums: dict[tuple[int, int, int], list[Store]] = {}
        for expr in self.wanted:
            if is_reduction(expr):
                key = (self.phase(expr), 0, self.width(expr.args[0]))
                sums.setdefault(key, []).append(Store(expr, self.kept[expr]))
        keys = sorted(homes.keys() | sums.keys())
        blocks = [self._block(key[0], key[2], homes.get(key, []), sums.get(key, []), tile) for key in keys]
        return self._in_place(Plan(tuple(blocks), (), tuple(self.scratch.items()), self.backward))

    def _rank(self, expr: Expr) -> tuple[int, int]:
        width = self.width(expr)
        return (1 if width == 1 else 2), width

    def _block(self, phase: int, width: int, stores: list[Store], sums: list[Store], tile: int) -> Block:
        loads: dict[Expr, Place] = {}
        order: dict[Expr, None] = {}
        accumulators: dict[Expr, None] = {}
        stack = [(store.expr, False) for store in reversed(stores)] + [(store.expr.args[0], False) for store in reversed(sums)]
        while stack:
            expr, ready = stack.pop()
            if expr in order or expr in loads or expr in accumulators or expr.op == "constant":
                continue
            place = None if ready else self._readable(expr, phase, width, bool(sums))
            if ready:
                order[expr] = None
            elif place is not None:
                loads[expr] = place
            elif expr.op == "products":
                accumulators[expr] = None
            else:
                stack.append((expr, True))
                stack += [(arg, False) for arg in reversed(expr.args)]
        groups = self._groups(list(accumulators), tile)
        read = tuple(Load(expr, place, self.width(expr)) for expr, place in loads.items())
        return Block(phase, width, groups, read, tuple(order), tuple(stores), tuple(sums))

    def _readable(self, expr: Expr, phase: int, width: int, summing: bool) -> Place | None:
        """Where the block (phase, width) reads ``expr``, or None when it computes it."""
        direct = self._direct(expr)
        if direct is not None:
            return direct
        if expr.op == "slice":
            return self.kept[expr.args[0]].shifted(_start(expr, self.width))
        if expr not in self.kept:
            return None
        home = self.phase(expr) == phase and self.width(expr) == width and not summing
        return None if home and not is_reduction(expr) and expr.op != "concat" else self.kept[expr]

    def _groups(self, accumulators: list[Expr], tile: int) -> tuple[Group, ...]:
        """Accumulators in groups of at most ``tile`` that read the same operands."""
        terms = {expr: tuple(self._term(product) for product in expr.args) for expr in accumulators}
        by_operand: dict[tuple[Place, ...], list[Expr]] = {}
        for expr in accumulators:
            by_operand.setdefault(tuple(term.operand for term in terms[expr]), []).append(expr)
        groups = []
        for members in by_operand.values():
            for i in range(0, len(members), tile):
                chosen = tuple(members[i : i + tile])
                groups.append(Group(chosen, tuple(terms[expr] for expr in chosen)))
        return tuple(groups)

    def _term(self, product: Expr) -> Term:
        matrix, operand = product.args
        place = self._direct(operand)
        if place is None:
            place = (
                self.kept[operand.args[0]].shifted(_start(operand, self.width)) if operand.op == "slice" else self.kept[operand]
            )
        return Term(matrix, self.block(matrix), product.op == "matmul_t", place, self.width(operand))

    # states

    def _in_place(self, plan: Plan) -> Plan:
        """States that something reads after they are written go to a buffer first and are copied at the end of the step."""
        copies: list[tuple[Place, Place, int]] = []
        blocks = list(plan.blocks)
        scratch = dict(plan.scratch)
        for buffer in sorted({s.place.buffer for b in blocks for s in b.stores if s.place.buffer.kind == "state"}):
            if not _unsafe(buffer, blocks):
                continue
            size = next(s.place.row_size for b in blocks for s in b.stores if s.place.buffer == buffer)
            following = buffer._replace(kind="next")
            scratch[following] = size
            blocks = [_redirected(block, buffer, following) for block in blocks]
            copies.append((Place(following, "sequence", size), Place(buffer, "sequence", size), size))
        return Plan(tuple(blocks), tuple(sorted(copies, key=lambda c: c[0].buffer)), tuple(scratch.items()), plan.backward)


def _cheap_op(expr: Expr) -> bool:
    return expr.op == "spread" or (expr.op in OPS and OPS[expr.op].cheap)


def _start(expr: Expr, width: Callable[[Expr], int]) -> int:
    """The first feature of a range, as a number."""
    return width(Expr("extent", (), (), expr.attrs[0]))


def _unsafe(buffer: Buffer, blocks: list[Block]) -> bool:
    """Whether a write to the state ``buffer`` could destroy what is still to be read."""
    first = min(i for i, b in enumerate(blocks) if any(s.place.buffer == buffer for s in b.stores))
    for index, block in enumerate(blocks):
        operands = {term.operand.buffer for group in block.groups for terms in group.terms for term in terms}
        if index >= first and buffer in operands:
            return True
        for place in (load.place for load in block.loads):
            if place.buffer == buffer and (index > first or (index == first and not _aligned(place, block, buffer))):
                return True
    return False


def _aligned(place: Place, block: Block, buffer: Buffer) -> bool:
    """Whether the block writes the state at the very features that it reads."""
    return all(s.place.offset == place.offset for s in block.stores if s.place.buffer == buffer)


def _redirected(block: Block, old: Buffer, new: Buffer) -> Block:
    stores = tuple(replace(s, place=replace(s.place, buffer=new)) if s.place.buffer == old else s for s in block.stores)
    return replace(block, stores=stores)
