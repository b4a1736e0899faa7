"""Cells as plain text."""

from __future__ import annotations

from rondeau.ir.declarations import State
from rondeau.ir.expressions import Expr
from rondeau.ir.spelling import spell
from rondeau.ir.step import Step


def equations(cell: Step) -> str:
    """The cell's name, its source, and its equations, a line each."""
    head = f"{cell.name}: {cell.source}" if str(cell.source) else cell.name
    return "\n".join([head, *(f"{name} = {text}" for name, text in equation_lines(cell))])


def equation_lines(cell: Step) -> list[tuple[str, str]]:
    """The left and right sides of the cell's equations; next states as ``h[t]``, previous ones as ``h[t-1]``."""
    own, names = _following(cell), equation_names(cell)
    auxiliary = {state.name for state in cell.states if state.role != "state"}
    lines = []
    for equation in cell.equations:
        if equation.name not in auxiliary:
            lines.append((names[equation.expr], spell(equation.expr, names, whole=True)))
    for state, expr in own:
        if names.get(expr) != f"{state.name}[t]":
            lines.append((f"{state.name}[t]", spell(expr, names)))
    return lines


def equation_names(cell: Step) -> dict[Expr, str]:
    """What the lines of a cell are called: next states as ``h[t]``, previous ones as ``h[t-1]``, others by their names."""
    following = {expr: f"{state.name}[t]" for state, expr in reversed(_following(cell))}
    names = {equation.expr: following.get(equation.expr, equation.name) for equation in cell.equations}
    names.update((state.symbol, before(state)) for state in cell.states)
    return names


def _following(cell: Step) -> list[tuple[State, Expr]]:
    """The next states but for delay lines and counters."""
    return [(state, expr) for state, expr in zip(cell.states, cell.next) if state.role == "state"]


def before(state: State) -> str:
    """The value of a state before the step, as ``h[t-1]``, ``h[t-3]`` for a delay line, ``t`` for the step number."""
    if state.role == "past":
        name, _, lag = state.name.rpartition("_past")
        return f"{name}[t-{lag}]"
    return "t" if state.role == "time" else f"{state.name}[t-1]"
