"""Expressions and cells as plain text."""

from __future__ import annotations

from collections.abc import Mapping

from rondeau.ir.cell import Cell
from rondeau.ir.declarations import State
from rondeau.ir.expressions import Expr, postorder
from rondeau.ir.ops import OPS, Op

ATOM, PART, COMPARISON = 9, 8, 1
BRIEF = 30
"""The operations of a part from which on a message leaves it out."""


def spell(expr: Expr, names: Mapping[Expr, str] | None = None) -> str:
    """One expression as text; those in ``names`` by name. Brackets stand only where they are needed.

    Example:
        >>> from rondeau.ir.tracing import state
        >>> h = state().named("h").symbol
        >>> spell(h * (1 - h))
        'h[t-1] * (1 - h[t-1])'
    """
    return _spell(expr, names or {})[0]


def brief(expr: Expr) -> str:
    """One expression as a line of bounded length, for messages: what is long in it is left out."""
    lengths: dict[Expr, int] = {}
    for part in postorder([expr]):
        lengths[part] = min(1 + sum(lengths[arg] for arg in part.args), BRIEF)
    line = spell(expr, {part: "..." for part in lengths if lengths[part] >= BRIEF and part is not expr})
    return line if len(line) <= 8 * BRIEF else f"{line[: 4 * BRIEF]} ... {line[-2 * BRIEF :]}"


def equations(cell: Cell) -> str:
    """The cell's name, its source, and its equations, a line each."""
    head = f"{cell.name}: {cell.source}" if str(cell.source) else cell.name
    return "\n".join([head, *(f"{name} = {text}" for name, text in equation_lines(cell))])


def equation_lines(cell: Cell) -> list[tuple[str, str]]:
    """The left and right sides of the cell's equations; next states as ``h[t]``, previous ones as ``h[t-1]``."""
    own = [(state, expr) for state, expr in zip(cell.states, cell.next) if state.role == "state"]
    following = {expr: f"{state.name}[t]" for state, expr in reversed(own)}
    names = {equation.expr: following.get(equation.expr, equation.name) for equation in cell.equations}
    names.update((state.symbol, before(state)) for state in cell.states)
    auxiliary = {state.name for state in cell.states if state.role != "state"}
    lines = []
    for equation in cell.equations:
        if equation.name not in auxiliary:
            lines.append((names[equation.expr], _spell(equation.expr, names, whole=True)[0]))
    for state, expr in own:
        if names.get(expr) != f"{state.name}[t]":
            lines.append((f"{state.name}[t]", _spell(expr, names)[0]))
    return lines


def before(state: State) -> str:
    """The value of a state before the step, as ``h[t-1]``, ``h[t-3]`` for a delay line, ``t`` for the step number."""
    if state.role == "past":
        name, _, lag = state.name.rpartition("_past")
        return f"{name}[t-{lag}]"
    return "t" if state.role == "time" else f"{state.name}[t-1]"


def _spell(expr: Expr, names: Mapping[Expr, str], whole: bool = False) -> tuple[str, int]:
    """An expression as text, and how strongly that binds; the ``whole`` of it even where it has a name."""
    if expr in names and not whole:
        return names[expr], ATOM
    leaf = _leaf(expr)
    if leaf is not None:
        return leaf, ATOM
    if expr.op not in OPS:
        return " + ".join(_bracket(_spell(arg, names), 5) for arg in expr.args), 4
    row = OPS[expr.op]
    parts = [_spell(arg, names) for arg in expr.args]
    if expr.op == "slice":
        return f"{_bracket(parts[0], PART)}[{expr.attrs[0]}:{expr.attrs[1]}]", row.rank
    if row.rank == ATOM:
        texts = [text for text, _ in parts]
        return row.text.format(*texts, args=", ".join(texts)), ATOM
    return row.text.format(*map(_bracket, parts, needed(row))), row.rank


def needed(row: Op) -> tuple[int, ...]:
    """How strongly each operand of an op must bind to stand without brackets."""
    if row.kind == "product":
        return PART, PART
    chains = row.name in ("add", "mul", "and", "or")
    compares = row.rank == COMPARISON
    return row.rank + compares, row.rank + (not chains)


def _bracket(part: tuple[str, int], rank: int) -> str:
    text, own = part
    return text if own >= rank else f"({text})"


def _leaf(expr: Expr) -> str | None:
    if expr.op == "cotangent":
        return f"d{expr.attrs[0]}"
    if expr.op == "input":
        return str(expr.attrs[0])
    if expr.op == "state":
        return f"{expr.attrs[0]}[t-1]"
    if expr.op in ("vector", "matrix"):
        return ".".join(filter(None, expr.attrs[:2]))
    if expr.op == "constant":
        return f"{expr.attrs[0]:g}" if expr.attrs[0] == float(f"{expr.attrs[0]:g}") else repr(expr.attrs[0])
    return f"size({expr.attrs[0]})" if expr.op == "size" else None
