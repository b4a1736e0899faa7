"""Cells as LaTeX."""

from __future__ import annotations

from collections.abc import Mapping

from rondeau.ir.cell import Cell
from rondeau.ir.declarations import State
from rondeau.ir.expressions import Expr
from rondeau.ir.ops import OPS

GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "pi",
        "rho",
        "sigma",
        "tau",
        "phi",
        "chi",
        "psi",
        "omega",
    ]
)
OWN_BRACKETS = frozenset({"div", "where"})


def latex(cell: Cell) -> str:
    """The cell's equations as an ``aligned`` environment, for use in display mathematics.

    Example:
        >>> from rondeau.cells import elman
        >>> print(latex(elman()))
        \\begin{aligned}
        h_{t} &= \\tanh\\left(W x_{t} + U h_{t-1} + b\\right)
        \\end{aligned}
    """
    own = [(state, expr) for state, expr in zip(cell.states, cell.next) if state.role == "state"]
    auxiliary = {state.name for state in cell.states if state.role != "state"}
    following = {expr: symbol(state.name, "t") for state, expr in reversed(own)}
    names = {e.expr: following.get(e.expr, symbol(e.name, "t")) for e in cell.equations if e.name not in auxiliary}
    names |= {state.symbol: _before(state) for state in cell.states}
    names |= {item.symbol: symbol(item.name, "t" if item.per == "step" else "") for item in cell.inputs}
    lines = []
    for equation in cell.equations:
        if equation.name in auxiliary:
            continue
        others = {expr: name for expr, name in names.items() if expr is not equation.expr}
        lines.append(f"{names[equation.expr]} &= {_spell(equation.expr, others)[0]}")
    for state, expr in own:
        if names.get(expr) != symbol(state.name, "t"):
            lines.append(f"{symbol(state.name, 't')} &= {_spell(expr, names)[0]}")
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def symbol(name: str, *below: str) -> str:
    """A name as a symbol with subscripts; what follows an underscore or a number in the name becomes one."""
    head, _, tail = name.partition("_")
    stem = head.rstrip("0123456789") or head
    marks = [part for part in (head[len(stem) :], tail.replace("_", r"\_"), *below) if part]
    letter = f"\\{stem}" if stem in GREEK else stem if len(stem) == 1 else rf"\mathrm{{{stem}}}"
    marks = [rf"\mathrm{{{mark}}}" if len(mark) > 1 and mark.replace(r"\_", "").isalpha() else mark for mark in marks]
    return f"{letter}_{{{','.join(marks)}}}" if marks else letter


def _before(state: State) -> str:
    if state.role == "time":
        return "t"
    name, _, lag = state.name.rpartition("_past") if state.role == "past" else (state.name, "", "1")
    return symbol(name, f"t-{lag}")


def _spell(expr: Expr, names: Mapping[Expr, str]) -> tuple[str, int]:
    if expr in names:
        return names[expr], 9
    if expr.op in ("vector", "matrix"):
        return symbol(expr.attrs[0], *filter(None, expr.attrs[1:2])), 9
    if expr.op == "constant":
        return f"{expr.attrs[0]:.6g}", 9 if expr.attrs[0] >= 0 else 5
    if expr.op == "size":
        return rf"\left|{expr.attrs[0]}\right|", 9
    row = OPS[expr.op]
    parts = [_spell(arg, names) for arg in expr.args]
    if expr.op == "slice":
        bounds = {"start": expr.attrs[0], "stop": expr.attrs[1]}
        return row.latex.format(_bracket(parts[0], 9), **bounds), 9
    if row.rank == 9 or expr.op in OWN_BRACKETS:
        texts = [text for text, _ in parts]
        return row.latex.format(*texts, args="; ".join(texts)), 9
    tight = [row.rank + (1 if i and expr.op not in ("add", "mul") else 0) for i in range(len(parts))]
    return row.latex.format(*map(_bracket, parts, tight)), row.rank


def _bracket(part: tuple[str, int], rank: int) -> str:
    text, own = part
    return text if own >= rank else rf"\left({text}\right)"
