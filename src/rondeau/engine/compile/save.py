"""`save`: what a training run keeps for its backward run, and where."""

from __future__ import annotations

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.hoist import Hoisted
from rondeau.engine.compile.plan import Place, Store
from rondeau.engine.compile.step import Reverse, Step
from rondeau.ir.expressions import Expr
from rondeau.ir.nodes import postorder, same


def save(step: Step, reverse: Reverse, hoisted: Hoisted) -> tuple[Store, ...]:
    """The stores of the states before each step, of the forward values that the reverse step reads, and of what matrices
    multiply."""
    read = _read_backward(step, reverse, hoisted)
    stores = _previous_states(step, reverse, read)
    stores += _saved_values(step, reverse, hoisted, _free_columns(step, reverse, hoisted, read))
    kept = {store.expr for store in stores} | hoisted.places.keys()
    for product in reverse.matrices:
        base = base_of(product.operand)
        if base not in kept and base.op != "constant":
            kept.add(base)
            stores.append(Store(base, Place(Buffer("operand", len(stores)), "step", step.width(base))))
    return tuple(stores)


def base_of(operand: Expr) -> Expr:
    """What an operand is, or is a range of."""
    return base_of(operand.args[0]) if operand.op == "slice" else operand


def _previous_states(step: Step, reverse: Reverse, read: set[Expr]) -> list[Store]:
    wanted = read | {base_of(product.operand) for product in reverse.matrices}
    index = {state.symbol: i for i, state in enumerate(step.cell.states)}
    order = postorder([*reverse.roots, *(product.operand for product in reverse.matrices)])
    states = [expr for expr in order if expr in index and expr in wanted]
    return [Store(expr, Place(Buffer("previous", index[expr]), "step", step.width(expr))) for expr in states]


def _saved_values(step: Step, reverse: Reverse, hoisted: Hoisted, free: dict[Expr, Place]) -> list[Store]:
    fresh = [expr for expr in reverse.saved if expr not in hoisted.places]
    row_size, offset = sum(step.width(expr) for expr in fresh if expr not in free), 0
    stores = []
    for expr in fresh:
        stores.append(Store(expr, free.get(expr, Place(Buffer("saved"), "step", row_size, offset))))
        offset += 0 if expr in free else step.width(expr)
    return stores


def _read_backward(step: Step, reverse: Reverse, hoisted: Hoisted) -> set[Expr]:
    """The states and hoisted values that the reverse step reads once the saved values stand for themselves."""
    states, saved = {state.symbol for state in step.cell.states}, set(reverse.saved)
    found: set[Expr] = set()
    stack, seen = list(reverse.roots), set()
    while stack:
        expr = stack.pop()
        if expr in seen:
            continue
        seen.add(expr)
        if expr in states or expr in hoisted.places:
            found.add(expr)
        if expr not in saved and expr not in hoisted.places:
            stack.extend(expr.args)
    return found


def _free_columns(step: Step, reverse: Reverse, hoisted: Hoisted, read: set[Expr]) -> dict[Expr, Place]:
    """Saved values that may overwrite the hoisted column that went into them, since nothing else reads it."""
    uses: dict[Expr, list[Expr]] = {}
    for expr in postorder(step.roots):
        for arg in expr.args:
            uses.setdefault(arg, []).append(expr)
    needed = read | set(step.roots)
    columns = {column.expr for column in hoisted.columns} - needed
    found: dict[Expr, Place] = {}
    for saved in reverse.saved:
        summed = saved if saved.op == "add" else saved.args[0] if len(saved.args) == 1 else None
        if summed is None or summed.op not in ("add", "sub") or (summed is not saved and not same(uses[summed], [saved])):
            continue
        for arg in summed.args:
            alone = arg in columns and same(uses[arg], [summed]) and step.width(arg) == step.width(saved)
            if alone and hoisted.places[arg] not in found.values():
                found[saved] = hoisted.places[arg]
    return found
