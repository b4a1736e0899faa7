"""`verify`: whether a plan can be carried out, between `schedule` and `emit`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.plan import Block, Place, Plan
from rondeau.errors import RondeauError
from rondeau.ir.expressions import Expr


class PlanError(RondeauError):
    """A plan that cannot be carried out: a fault of the engine, never of the cell."""


def verify(plan: Plan, width: Callable[[Expr], int]) -> None:
    """Nothing, when the plan is sound.

    Raises:
        PlanError: a value is used before it is computed or stored, or does not fit its place.
    """
    scratch = {name for name, _ in plan.scratch}
    filled: set[Buffer] = set()
    for index, block in enumerate(plan.blocks):
        where = f"block {index}"
        read = [load.place for load in block.loads]
        read += [term.operand for group in block.groups for terms in group.terms for term in terms]
        for place in read:
            _fits(place, 1, where)
            if place.buffer in scratch and place.buffer not in filled:
                raise PlanError(f"{where} reads {place.buffer} before anything is stored there")
        _computed(block, where)
        for store in (*block.stores, *block.reductions):
            _fits(store.place, width(store.expr), where)
        _apart((s.place, width(s.expr)) for s in block.stores if not s.add)
        filled |= {store.place.buffer for store in (*block.stores, *block.reductions)}
    for source, _, _ in plan.copies:
        if source.buffer not in filled:
            raise PlanError(f"{source.buffer} is copied, but nothing is stored there")


def _computed(block: Block, where: str) -> None:
    """Every value of a block from its loads, its products and earlier values."""
    known = {load.expr for load in block.loads} | {expr for group in block.groups for expr in group.accumulators}
    wanted: list[Expr] = [store.expr for store in block.stores]
    wanted += [store.expr.args[0] for store in block.reductions]
    for expr in block.order:
        missing = [arg for arg in expr.args if arg not in known and arg.op != "constant"]
        if missing:
            raise PlanError(f"{where} computes {expr!r} before {missing[0]!r}")
        known.add(expr)
    for expr in wanted:
        if expr not in known and expr.op != "constant":
            raise PlanError(f"{where} stores {expr!r}, which it does not compute")


def _fits(place: Place, count: int, where: str) -> None:
    if place.offset < 0 or place.offset + count > place.row_size:
        raise PlanError(
            f"{where}: {count} features from {place.offset} on do not fit {place.buffer}, which holds {place.row_size}"
        )


def _apart(stores: Iterable[tuple[Place, int]]) -> None:
    """No two values go to the same features."""
    ranges = sorted((place.buffer, place.offset, count) for place, count in stores)
    for (name, start, count), (other, following, _) in zip(ranges, ranges[1:]):
        if name == other and following < start + count:
            raise PlanError(f"two values are stored in feature {following} of {name}")
