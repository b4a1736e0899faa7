"""Mechanisms: functions from cell to cell. They compose, as in ``zoneout(layer_norm(lstm()), 0.1)``."""

from __future__ import annotations

from dataclasses import replace

from rondeau.cells import sources
from rondeau.cells.lstm import normalised
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
    orthogonal,
    sigmoid,
    uniform,
    verify,
)
from rondeau.ir.cell import Equation
from rondeau.ir.ops import apply
from rondeau.ir.rewrite import rewrite


def zoneout(cell: Cell, rate: float) -> Cell:
    """Each unit of each state keeps its old value with probability ``rate`` while training; else the mean of both is taken.

    Raises:
        InputError: the rate does not lie in [0, 1).
    """
    _check_rate(rate)
    masks = tuple(
        Input(_free(cell, f"keep_{s.name}"), s.width, "mask", "step", rate, 1.0) for s in cell.states if s.role == "state"
    )
    following = dict(zip((s.name for s in cell.states if s.role == "state"), masks))
    changes = {
        s.name: following[s.name].symbol * s.symbol + (1 - following[s.name].symbol) * expr
        for s, expr in zip(cell.states, cell.next)
        if s.name in following
    }
    return _with_states(cell, changes, masks, (), sources.ZONEOUT.title)


def leaky(cell: Cell, rate: float | None = None) -> Cell:
    """Every state moves only part of the way to its next value: ``s + rate * (next - s)``.

    Args:
        rate: the part, in (0, 1]; learned for each unit, through a sigmoid, if not given.

    Raises:
        InputError: the rate does not lie in (0, 1].
    """
    if rate is not None and not 0 < rate <= 1:
        raise InputError(f"rate lies above 0 and up to 1, or is None to be learned; got {rate!r}")
    moving = [s for s in cell.states if s.role == "state"]
    learned: list[Parameter] = []
    changes = {}
    for s, expr in zip(cell.states, cell.next):
        if s not in moving:
            continue
        part: Expr | float = rate if rate is not None else 0.0
        if rate is None:
            learned.append(_vector(_free(cell, f"rate_{s.name}"), s.width, uniform(-2, 2)))
            part = sigmoid(learned[-1].block())
        changes[s.name] = (1 - part) * s.symbol + part * expr
    return _with_states(cell, changes, (), tuple(learned), "leaky units")


def dropout(cell: Cell, rate: float) -> Cell:
    """Drops units of what the products read of the states: one mask for the whole sequence, the same at every step.

    Raises:
        InputError: the rate does not lie in [0, 1), or no product reads a state.
    """
    _check_rate(rate)
    states = {s.symbol: s for s in cell.states if s.role == "state"}
    masks: dict[Expr, Input] = {}

    def rule(expr: Expr) -> Expr | None:
        if expr.op != "matmul" or expr.args[1] not in states:
            return None
        operand = expr.args[1]
        if operand not in masks:
            s = states[operand]
            masks[operand] = Input(_free(cell, f"drop_{s.name}"), s.width, "mask", "sequence", 1 - rate, 1 / (1 - rate))
        return apply("matmul", expr.args[0], operand * masks[operand].symbol)

    changed = _rewritten(cell, rule, lambda: tuple(masks.values()), lambda: (), sources.DROPOUT.title)
    if not masks:
        raise InputError(f"{cell.name} has no product with a state, so there is nothing that recurrent dropout could drop")
    return changed


def layer_norm(cell: Cell) -> Cell:
    """Normalises every product over its units, each with a gain of its own."""
    gains: dict[Expr, Parameter] = {}

    def rule(expr: Expr) -> Expr | None:
        if expr.op != "matmul":
            return None
        if expr not in gains:
            name = _free(cell, f"gain{len(gains) + 1}")
            gains[expr] = _vector(name, expr.width, filled(1.0))
        return gains[expr].block() * normalised(expr)

    return _rewritten(cell, rule, lambda: (), lambda: tuple(gains.values()), sources.LAYER_NORM.title)


def deepen(cell: Cell, depth: int) -> Cell:
    """Puts layers between a state and the products that read it: ``U h`` becomes ``U f(V f(... h))``, any depth.

    Args:
        depth: the number of layers in the transition, the cell's own among them.

    Raises:
        InputError: the depth is less than 1.
    """
    if depth < 1:
        raise InputError(f"depth is at least 1, the cell as it is; got {depth!r}")
    layers: list[Parameter] = []
    deep: dict[Expr, Expr] = {}
    states = {s.symbol: s for s in cell.states if s.role == "state"}

    def transition(symbol: Expr) -> Expr:
        value, s = symbol, states[symbol]
        for i in range(1, depth):
            matrix = Parameter(_free(cell, f"deep_{s.name}{i}"), ("",), s.width, s.width, orthogonal(), "weight")
            offset = Parameter(_free(cell, f"deep_{s.name}{i}_bias"), ("",), s.width, None, filled(0.0), "bias")
            layers.extend((matrix, offset))
            value = apply("tanh", apply("matmul", matrix.block(), value) + offset.block())
        return value

    def rule(expr: Expr) -> Expr | None:
        if expr.op != "matmul" or expr.args[1] not in states:
            return None
        operand = expr.args[1]
        if operand not in deep:
            deep[operand] = transition(operand)
        return apply("matmul", expr.args[0], deep[operand])

    return _rewritten(cell, rule, lambda: (), lambda: tuple(layers), f"transitions of depth {depth}")


def conditioned(cell: Cell, width: str | int = "context") -> Cell:
    """Adds a context vector, the same at every step, to all that reads the sequence: ``W x`` becomes ``W x + C context``."""
    extra = Input(_free(cell, "context"), Width.of(width), "context", "sequence")
    matrices: dict[Expr, Parameter] = {}

    def rule(expr: Expr) -> Expr | None:
        if expr.op != "matmul" or expr.args[1] is not cell.input.symbol:
            return None
        if expr not in matrices:
            name = _free(cell, f"C{len(matrices) + 1}")
            matrices[expr] = Parameter(name, ("",), expr.width, extra.width, glorot(), "weight")
        return expr + apply("matmul", matrices[expr].block(), extra.symbol)

    return _rewritten(cell, rule, lambda: (extra,), lambda: tuple(matrices.values()), "conditioned on a context")


def residual(cell: Cell) -> Cell:
    """Adds the state before the step to its next value, for the first state: ``h + next``."""
    first = cell.states[0]
    return _with_states(cell, {first.name: first.symbol + cell.next[0]}, (), (), "residual in time")


def _check_rate(rate: float) -> None:
    if not 0 <= rate < 1:
        raise InputError(f"rate is a probability from 0 up to but not including 1, not {rate!r}")


def _vector(name: str, width: Width, init: Initial) -> Parameter:
    return Parameter(name, ("",), width, None, init, "vector")


def _free(cell: Cell, name: str) -> str:
    """``name``, with a number behind it if the cell has it already."""
    taken = {item.name for item in cell.declared}
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
    source = cell.source.noting("; ".join(part for part in (cell.source.note, f"with {note}") if part))
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
