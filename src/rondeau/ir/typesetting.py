"""Cells as LaTeX."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from rondeau.ir.declarations import State
from rondeau.ir.expressions import Expr
from rondeau.ir.nodes import postorder
from rondeau.ir.ops import OPS
from rondeau.ir.spelling import ATOM, needed
from rondeau.ir.step import Step
from rondeau.ir.widths import Width

GREEK = frozenset({
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi", "pi",
    "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
})  # fmt: skip
OWN_BRACKETS = frozenset({"div", "where", "lt", "le", "eq", "ne"})


def latex(cell: Step) -> str:
    """The cell's equations as an ``aligned`` environment, for use in display mathematics.

    What changes from step to step has the subscript ``t``.

    Example:
        >>> from rondeau.cells import elman
        >>> print(latex(elman()))
        \\begin{aligned}
        h_{t} &= \\tanh\\left(W x_{t} + U h_{t-1} + b\\right)
        \\end{aligned}
    """
    own = [(state, expr) for state, expr in zip(cell.states, cell.next) if state.role == "state"]
    names = _names(cell)
    auxiliary = {state.name for state in cell.states if state.role != "state"}
    lines = []
    for equation in cell.equations:
        if equation.name in auxiliary:
            continue
        lines.append(f"{names[equation.expr]} &= {_spell(equation.expr, names, whole=True)[0]}")
    for state, expr in own:
        if names.get(expr) != symbol(state.name, "t"):
            lines.append(f"{symbol(state.name, 't')} &= {_spell(expr, names)[0]}")
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def _names(cell: Step) -> dict[Expr, str]:
    """The symbols of equations, states and inputs."""
    auxiliary = {state.name for state in cell.states if state.role != "state"}
    moving = _moving(cell)
    names = {e.expr: symbol(e.name, "t" if e.expr in moving else "") for e in cell.equations if e.name not in auxiliary}
    for state, expr in reversed(list(zip(cell.states, cell.next))):
        if state.role == "state" and expr in names:
            names[expr] = symbol(state.name, "t")
    names |= {state.symbol: _before(state) for state in cell.states}
    return names | {item.symbol: symbol(item.name, "t" if item.per == "step" else "") for item in cell.inputs}


def _moving(cell: Step) -> set[Expr]:
    """What changes from step to step."""
    found = {item.symbol for item in cell.inputs if item.per == "step"} | {state.symbol for state in cell.states}
    for expr in postorder([cell.output, *cell.next, *(equation.expr for equation in cell.equations)]):
        if any(arg in found for arg in expr.args):
            found.add(expr)
    return found


def symbol(name: str, *below: str) -> str:
    """A name as a symbol with subscripts; what follows an underscore or a number in the name becomes one."""
    head, _, tail = "".join(map(_letter, name)).partition("_")
    stem = head.rstrip("0123456789") or head
    marks = [part for part in (head[len(stem) :], *tail.split("_"), *below) if part]
    letter = f"\\{stem}" if stem in GREEK else stem if len(stem) == 1 else rf"\mathrm{{{stem}}}"
    marks = [rf"\mathrm{{{mark}}}" if len(mark) > 1 and mark.isalpha() else mark for mark in marks]
    return f"{letter}_{{{','.join(marks)}}}" if marks else letter


def _letter(letter: str) -> str:
    """A letter as LaTeX's mathematics knows it: Greek ones by name, accents left out, others by their number."""
    plain = unicodedata.normalize("NFKD", letter)[0]
    if plain.isascii():
        return plain
    kind = unicodedata.name(letter, "").lower().removeprefix("greek small letter ")
    return f"{kind}" if kind in GREEK else f"u{ord(letter):x}"


def _before(state: State) -> str:
    if state.role == "time":
        return "t"
    name, _, lag = state.name.rpartition("_past") if state.role == "past" else (state.name, "", "1")
    return symbol(name, f"t-{lag}")


def _spell(expr: Expr, names: Mapping[Expr, str], whole: bool = False) -> tuple[str, int]:
    if expr in names and not whole:
        return names[expr], ATOM
    if expr.op in ("vector", "matrix"):
        return symbol(expr.attrs[0], *(part for part in expr.attrs[1:2] for part in part.split("_"))), ATOM
    if expr.op == "constant":
        return _number(expr.attrs[0])
    if expr.op == "size":
        return _width(expr.attrs[0]), OPS["add"].rank if len(expr.attrs[0].terms) > 1 else ATOM
    row = OPS[expr.op]
    parts = [_spell(arg, names) for arg in expr.args]
    if expr.op == "slice":
        bounds = {"start": _width(expr.attrs[0]), "stop": _width(expr.attrs[1])}
        return row.latex.format(_bracket(parts[0], ATOM), **bounds), ATOM
    if row.rank == ATOM or expr.op in OWN_BRACKETS:
        texts = [text for text, _ in parts]
        return row.latex.format(*texts, args="; ".join(texts)), ATOM
    scaled = expr.op == "mul" and any(arg.op == "constant" for arg in expr.args)
    template = row.latex.replace(r"\odot", r"\cdot") if scaled else row.latex
    return template.format(*map(_bracket, parts, needed(row))), row.rank


def _bracket(part: tuple[str, int], rank: int) -> str:
    text, own = part
    return text if own >= rank else rf"\left({text}\right)"


def _number(value: float) -> tuple[str, int]:
    mantissa, _, exponent = f"{value:.6g}".partition("e")
    rank = ATOM if value >= 0 else OPS["add"].rank
    if not exponent:
        return mantissa, rank
    power = f"10^{{{int(exponent)}}}"
    return (power, rank) if mantissa == "1" else (rf"{mantissa} \cdot {power}", min(rank, OPS["mul"].rank))


def _width(width: Width) -> str:
    return " + ".join(_term(name, factor.numerator, factor.denominator) for name, factor in reversed(width.terms)) or "0"


def _term(name: str, times: int, over: int) -> str:
    head = "" if times == 1 and name else str(times)
    tail = "" if over == 1 else f"/{over}"
    return (rf"{head}\," if head and name else head) + (rf"\mathrm{{{name}}}" if name else "") + tail
