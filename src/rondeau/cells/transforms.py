"""Mechanisms: functions from cell to cell. They compose, as in ``zoneout(layer_norm(lstm()), 0.1)``.

A product reads a state when the state, a part of it, or the state times gates is what it multiplies, alone or in a
concatenation: ``U @ h``, ``U @ (r * h)``, ``W @ concat(h, x)``. Delay lines count as the state that they delay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce

from rondeau.cells import sources
from rondeau.cells.settings import part, probability, whole
from rondeau.errors import InputError
from rondeau.ir import (
    Cell,
    Expr,
    Initial,
    Input,
    Parameter,
    Width,
    filled,
    glorot,
    normalise,
    orthogonal,
    sigmoid,
    uniform,
    verify,
)
from rondeau.ir.declarations import Period
from rondeau.ir.expressions import apply, is_product, node
from rondeau.ir.ops import LEAVES
from rondeau.ir.rewrite import rewrite
from rondeau.ir.step import Equation


def zoneout(cell: Cell, rate: float) -> Cell:
    """Each unit of each state keeps its old value with probability ``rate`` while training; else the mean of both is taken.

    What reads a state within the step, as ``h`` reads ``c`` in an LSTM, reads its value before zoneout.

    Raises:
        InputError: the rate does not lie in [0, 1).
    """
    probability("rate", rate)
    masks = tuple(
        Input(_free(cell, f"keep_{s.name}"), s.width, "mask", "step", rate, 1.0) for s in cell.states if s.role == "state"
    )
    following = dict(zip((s.name for s in cell.states if s.role == "state"), masks))
    changes = {
        s.name: following[s.name].symbol * s.symbol + (1 - following[s.name].symbol) * expr
        for s, expr in zip(cell.states, cell.next)
        if s.name in following
    }
    return _with_states(cell, changes, masks, (), f"with zoneout ({sources.ZONEOUT.short})")


def leaky(cell: Cell, rate: float | None = None) -> Cell:
    """Every state moves only part of the way to its next value: ``s + rate * (next - s)``.

    Args:
        rate: the part, in (0, 1]; learned for each unit, through a sigmoid, if not given.

    Raises:
        InputError: the rate does not lie in (0, 1].
    """
    if rate is not None:
        part("rate", rate)
    moving = [s for s in cell.states if s.role == "state"]
    learned: list[Parameter] = []
    changes = {}
    for s, expr in zip(cell.states, cell.next):
        if s not in moving:
            continue
        share: Expr | float = rate if rate is not None else 0.0
        if rate is None:
            learned.append(_vector(_free(cell, f"rate_{s.name}"), s.width, uniform(-2, 2)))
            share = sigmoid(learned[-1].block())
        changes[s.name] = (1 - share) * s.symbol + share * expr
    return _with_states(cell, changes, (), tuple(learned), "with leaky units")


def dropout(cell: Cell, rate: float, on: str | None = None, per: Period = "sequence") -> Cell:
    """Drops units of what the products read of the states, or of one named value, such as the candidate.

    With ``on`` the units of that value are dropped wherever it is used: ``on="g"`` for an LSTM and ``on="n"`` for a GRU
    spare the memory (Semeniuta et al. 2016); without, those of the states that products read (Gal & Ghahramani 2016).

    Args:
        rate: the probability of dropping a unit; the others are scaled by ``1 / (1 - rate)`` while training.
        on: the name of a value of the cell.
        per: one mask for the whole ``sequence``, the same at every step, or one for each ``step``.

    Raises:
        InputError: the rate does not lie in [0, 1), there is no such value, or no product reads a state.
    """
    probability("rate", rate)
    if per not in ("sequence", "step"):
        raise InputError(f"per is 'sequence' or 'step', not {per!r}")

    def drawn(name: str, width: Width) -> Input:
        return Input(_free(cell, f"drop_{name}"), width, "mask", per, 1 - rate, 1 / (1 - rate))

    return _drop_reads(cell, drawn) if on is None else _drop_value(cell, on, drawn)


def _drop_reads(cell: Cell, drawn: Callable[[str, Width], Input]) -> Cell:
    masks: dict[str, Input] = {}
    states = _states(cell)

    def masked(expr: Expr) -> Expr | None:
        state = expr.args[0] if expr.op == "slice" else expr
        if state not in states:
            return None
        mask = masks.setdefault(states[state], drawn(states[state], state.width)).symbol
        return expr * (node("slice", (mask,), expr.attrs, expr.width) if expr.op == "slice" else mask)

    note = f"with recurrent dropout ({sources.DROPOUT.short})"
    changed = _rewritten(cell, _reading(masked), lambda: tuple(masks.values()), lambda: (), note)
    if not masks:
        raise InputError(f"{cell.name} has no product with a state, so there is nothing that recurrent dropout could drop")
    return changed


def _drop_value(cell: Cell, name: str, drawn: Callable[[str, Width], Input]) -> Cell:
    target = _computed(cell, name)
    mask = drawn(name, target.width)
    cited = "" if name in (s.name for s in cell.states) else f" ({sources.MEMORY_LOSS.short})"
    note = f"with dropout on {name}{cited}"
    return _rewritten(cell, lambda e: e * mask.symbol if e is target else None, lambda: (mask,), lambda: (), note)


def layer_norm(cell: Cell) -> Cell:
    """Normalises every product over its units, each with a gain of its own."""
    gains: dict[Expr, Parameter] = {}

    def rule(expr: Expr) -> Expr | None:
        if not is_product(expr):
            return None
        if expr not in gains:
            name = _free(cell, f"gain{len(gains) + 1}")
            gains[expr] = _vector(name, expr.width, filled(1.0))
        return gains[expr].block() * normalise(expr)

    return _rewritten(cell, rule, lambda: (), lambda: tuple(gains.values()), f"with layer norm ({sources.LAYER_NORM.short})")


def deepen(cell: Cell, depth: int) -> Cell:
    """Puts layers between a state and the products that read it: ``U h`` becomes ``U f(V f(... h))``, any depth.

    A part of a state has layers of its own, so groups of units stay apart.

    Args:
        depth: the number of layers in the transition, the cell's own among them.

    Raises:
        InputError: the depth is not a whole number from 1, or no product reads a state.
    """
    whole("depth", depth, 1, "the number of layers in the transition, the cell's own among them")
    layers: list[Parameter] = []
    deep: dict[Expr, Expr] = {}
    states = _states(cell)

    def transition(start: Expr, name: str) -> Expr:
        value = start
        for i in range(1, depth):
            label = _free(cell, f"deep_{name}{i}", *(layer.name for layer in layers))
            matrix = Parameter(label, ("",), start.width, start.width, orthogonal(), "weight")
            offset = Parameter(_free(cell, f"{label}_bias"), ("",), start.width, None, filled(0.0), "bias")
            layers.extend((matrix, offset))
            value = apply("tanh", apply("matmul", matrix.block(), value) + offset.block())
        return value

    def deepened(expr: Expr) -> Expr | None:
        state = expr.args[0] if expr.op == "slice" else expr
        if state not in states:
            return None
        if expr not in deep:
            deep[expr] = transition(expr, states[state])
        return deep[expr]

    note = f"with transitions of depth {depth}"
    changed = _rewritten(cell, _reading(deepened), lambda: (), lambda: tuple(layers), note)
    if depth > 1 and not layers:
        raise InputError(f"{cell.name} has no product with a state, so there is no transition to deepen")
    return changed


def conditioned(cell: Cell, width: str | int = "context") -> Cell:
    """Adds a context vector, the same at every step, to all that reads the sequence: ``W x`` becomes ``W x + C context``.

    Args:
        width: the width of the context (batch, width), a number or the name of a size.

    Raises:
        InputError: the width is not positive, or no product reads the sequence.
    """
    if not isinstance(width, str):
        whole("width", width, 1, "the width of the context, by the name of a size or as a number")
    extra = Input(_free(cell, "context"), Width.of(width), "context", "sequence")
    matrices: dict[Expr, Parameter] = {}
    reading = _reading(lambda expr: expr if expr is cell.input.symbol else None)

    def rule(expr: Expr) -> Expr | None:
        if reading(expr) is None:
            return None
        if expr not in matrices:
            name = _free(cell, f"C{len(matrices) + 1}")
            matrices[expr] = Parameter(name, ("",), expr.width, extra.width, glorot(), "weight")
        return expr + apply("matmul", matrices[expr].block(), extra.symbol)

    note = "conditioned on a context"
    changed = _rewritten(cell, rule, lambda: (extra,), lambda: tuple(matrices.values()), note)
    if not matrices:
        raise InputError(f"{cell.name} has no product with {cell.input.name}, so there is nothing to add a context to")
    return changed


def residual(cell: Cell) -> Cell:
    """Adds the state before the step to its next value, for the first state: ``h + next``."""
    first = cell.states[0]
    return _with_states(cell, {first.name: first.symbol + cell.next[0]}, (), (), "residual in time")


def perturbed(cell: Cell, *names: str) -> Cell:
    """Adds a context to named values at every step, wherever they are used: ``shift_h`` to ``h``.

    With zeros for it nothing changes, and its gradient is that of the value with all that flows through later steps, which
    the gradient of a traced value is not: ``torch.autograd.grad(loss, shift)`` is dL/dh_t for each t.

    Args:
        cell: the equations.
        names: values that a run can trace: states, gates, other equations.

    Raises:
        InputError: there is no such value, or it is not computed in the step.

    Example:
        >>> from rondeau.cells import gru
        >>> [item.name for item in perturbed(gru(), "h").contexts]
        ['shift_h']
    """
    return reduce(_perturbed, names, cell)


def perturbed_states(cell: Cell) -> Cell:
    """As `perturbed`, for the next value of every state that the step computes, whatever its equations are called.

    Example:
        >>> from rondeau.cells import lstm
        >>> [item.name for item in perturbed_states(lstm()).contexts]
        ['shift_h', 'shift_c']
    """
    for index, state in enumerate(cell.states):
        if state.role == "state" and cell.next[index].op not in LEAVES:
            cell = _shifted(cell, state.name, cell.next[index])
    return cell


def _perturbed(cell: Cell, name: str) -> Cell:
    return _shifted(cell, name, _computed(cell, name))


def _shifted(cell: Cell, name: str, target: Expr) -> Cell:
    shift = Input(_free(cell, f"shift_{name}"), target.width, "context", "step")
    note = f"{name} perturbed"
    return _rewritten(cell, lambda e: e + shift.symbol if e is target else None, lambda: (shift,), lambda: (), note)


def _computed(cell: Cell, name: str) -> Expr:
    """A named value that an equation computes."""
    target = cell.value(name)
    if target.op in LEAVES:
        raise InputError(
            f"{name} of {cell.name} is not computed in the step; name an equation, such as {cell.equations[0].name}"
        )
    return target


def _states(cell: Cell) -> dict[Expr, str]:
    """The states and their delay lines, each with the name of the state."""
    return {s.symbol: s.name.rpartition("_past")[0] if s.role == "past" else s.name for s in cell.states if s.role != "time"}


def _reading(change: Callable[[Expr], Expr | None]) -> Callable[[Expr], Expr | None]:
    """The rule that applies ``change`` to what a product reads, through gates, parts and concatenations."""

    def read(expr: Expr) -> Expr | None:
        changed = change(expr)
        if changed is not None or expr.op not in ("mul", "slice", "concat"):
            return changed
        args = [read(arg) for arg in expr.args]
        if all(arg is None for arg in args):
            return None
        return node(expr.op, tuple(old if new is None else new for new, old in zip(args, expr.args)), expr.attrs, expr.width)

    def rule(expr: Expr) -> Expr | None:
        changed = read(expr.args[1]) if is_product(expr) else None
        return None if changed is None else apply(expr.op, expr.args[0], changed)

    return rule


def _vector(name: str, width: Width, init: Initial) -> Parameter:
    return Parameter(name, ("",), width, None, init, "vector")


def _free(cell: Cell, name: str, *more: str) -> str:
    """``name``, with a number behind it if the cell has it already, or it is among ``more``."""
    taken = {item.name for item in cell.declared}.union(more)
    return name if name not in taken else next(f"{name}_{i}" for i in range(2, 1000) if f"{name}_{i}" not in taken)


def _with_states(
    cell: Cell, changes: dict[str, Expr], inputs: tuple[Input, ...], parameters: tuple[Parameter, ...], note: str
) -> Cell:
    """The cell with other next values for some states. An output that is such a state stays that state."""
    following = tuple(changes.get(s.name, expr) for s, expr in zip(cell.states, cell.next))
    swapped = {old: new for old, new in zip(cell.next, following) if old is not new and old is cell.output}
    output = swapped.get(cell.output, cell.output)
    renamed = {expr: f"{s.name}_new" for s, expr in zip(cell.states, cell.next) if s.name in changes}
    kept = [Equation(_unused(cell, renamed[e.expr]) if e.expr in renamed else e.name, e.expr) for e in cell.equations]
    added = [Equation(s.name, new) for s, new in zip(cell.states, following) if s.name in changes]
    return _settled(cell, output, following, [*kept, *added], inputs, parameters, note)


def _unused(cell: Cell, name: str) -> str:
    taken = {equation.name for equation in cell.equations}
    return name if name not in taken else next(f"{name}{i}" for i in range(2, 1000) if f"{name}{i}" not in taken)


def _rewritten(cell, rule, inputs, parameters, note) -> Cell:
    new = rewrite([*(e.expr for e in cell.equations), *cell.roots], rule)
    equations = [Equation(e.name, new[e.expr]) for e in cell.equations]
    following = tuple(new[expr] for expr in cell.next)
    return _settled(cell, new[cell.output], following, equations, inputs(), parameters(), note)


def _settled(
    cell: Cell,
    output: Expr,
    following: tuple[Expr, ...],
    equations: list[Equation],
    inputs: tuple[Input, ...],
    parameters: tuple[Parameter, ...],
    note: str,
) -> Cell:
    source = cell.source.noting("; ".join(part for part in (cell.source.note, note) if part))
    return verify(
        replace(
            cell,
            inputs=(*cell.inputs, *inputs),
            parameters=(*cell.parameters, *parameters),
            equations=tuple(equations),
            output=output,
            next=following,
            source=source,
        )
    )
