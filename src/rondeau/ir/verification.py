"""`verify`: whether a cell is one."""

from __future__ import annotations

import math
import re

from rondeau.errors import CellError
from rondeau.ir.cell import Cell, duplicates
from rondeau.ir.declarations import Input, Parameter, State
from rondeau.ir.expressions import LARGEST, Expr
from rondeau.ir.initial import MOST_VALUES
from rondeau.ir.nodes import postorder
from rondeau.ir.ops import LEAVES, OPS
from rondeau.ir.widths import Width

MOST_NODES, MOST_DECLARED, MOST_GATES = 10_000, 2_000, 1_000
DEEPEST, LONGEST = 150, 10_000
"""How deep an equation may be nested, and how many operations it may hold when those that it shares are written out."""


def verify(cell: Cell) -> Cell:
    """The cell itself, once it is found sound.

    Raises:
        CellError: a name is taken twice, a value is not declared, a width does not fit, or something declared is not used.
    """
    _check_names(cell)
    for item in cell.declared:
        _check_declared(item)
    if [item.role for item in cell.inputs].count("input") != 1 or cell.input.role != "input":
        raise CellError(f"{cell.name} needs exactly one sequence to read; declare it as x=input()")
    if not cell.states or len(cell.next) != len(cell.states):
        raise CellError(f"{cell.name} has {len(cell.states)} states and {len(cell.next)} next states; give one for each")
    for state, expr in zip(cell.states, cell.next):
        if expr.op == "matrix" or (expr.width != state.width and not expr.width.is_one):
            raise CellError(f"the state {state.name} is {state.width} wide, but its next value is {expr.width} wide")
    if cell.output.op == "matrix":
        raise CellError(f"{cell.name} outputs a vector, not the weight {cell.output!r}")
    order = postorder([*(equation.expr for equation in cell.equations), *cell.roots])
    _check_leaves(cell, order)
    _check_lengths(cell, order)
    _check_auxiliary(cell)
    return cell


def _check_names(cell: Cell) -> None:
    clash = duplicates(item.name for item in cell.declared) or duplicates(equation.name for equation in cell.equations)
    if clash is not None:
        raise clash
    if len(cell.declared) > MOST_DECLARED:
        raise CellError(
            f"{cell.name} declares {len(cell.declared):,} inputs, states and parameters; {MOST_DECLARED:,} are the most"
        )
    if not cell.name or not cell.name.isprintable():
        raise CellError(f"the name of a cell is a line of text, not {cell.name[:80]!r}")
    for name in (item.name for item in (*cell.declared, *cell.equations)):
        if not name.isidentifier():
            raise CellError(f"{name[:80]!r} is no name; use letters, digits and underscores, as in Python")


def _check_declared(item: Input | State | Parameter) -> None:
    if isinstance(item, Parameter):
        _check_parameter(item)
        _check_width(item.name, item.rows)
        if item.columns is not None:
            _check_width(item.name, item.columns)
    else:
        _check_width(item.name, item.width)
    if isinstance(item, Input):
        _check_input(item)
    if isinstance(item, State) and item.role not in ("state", "past", "time"):
        raise CellError(f"the state {item.name} has the role {item.role!r}, which is none of state, past and time")


def _check_width(name: str, width: Width) -> None:
    number = width.number
    if number is not None and (number < 1 or number.denominator != 1):
        raise CellError(f"{name} would be {width} wide; a width is a whole number from 1, or a size")


def _check_input(item: Input) -> None:
    if item.role not in ("input", "context", "mask") or item.per not in ("step", "sequence"):
        raise CellError(f"the input {item.name} is {item.role!r} per {item.per!r}, which is no kind of input")
    if item.role == "input" and item.per != "step":
        raise CellError(f"the sequence {item.name} has one vector per step, not per {item.per}")
    plain = item.role == "mask" or (item.probability == 1 and item.scale == 1)
    if not plain or not 0 <= item.probability <= 1 or not math.isfinite(item.scale) or abs(item.scale) > LARGEST:
        raise CellError(
            f"the mask {item.name} is {item.scale!r} with a probability of {item.probability!r}, which cannot be drawn"
        )


def _check_parameter(item: Parameter) -> None:
    matrix = item.columns is not None
    if item.role not in ("weight", "bias", "vector") or matrix != (item.role == "weight"):
        raise CellError(f"the parameter {item.name} has the role {item.role!r}, but is a {'matrix' if matrix else 'vector'}")
    names = item.gates if item.gates != ("",) else ()
    if not item.gates or not all(name.isidentifier() for name in names) or len(set(item.gates)) != len(item.gates):
        raise CellError(f"the gates of {item.name} are different names, or one without a name")
    if len(item.gates) > MOST_GATES:
        raise CellError(f"{item.name} has {len(item.gates):,} gates; {MOST_GATES:,} are the most")
    unknown = [name for name, _ in item.init.gates if name not in item.gates]
    if unknown or len(dict(item.init.gates)) != len(item.init.gates):
        raise CellError(f"{item.name} starts otherwise for gates that it does not have, or for one gate twice")


def _check_leaves(cell: Cell, order: list[Expr]) -> None:
    if len(order) > MOST_NODES:
        raise CellError(f"{cell.name} has {len(order):,} operations; {MOST_NODES:,} are the most")
    known = {item.symbol for item in cell.inputs} | {item.symbol for item in cell.states}
    known |= {item.block(gate) for item in cell.parameters for gate in item.gates}
    sizes = set(cell.sizes)
    for expr in order:
        if expr.op in ("input", "state", "vector", "matrix") and expr not in known:
            raise CellError(f"{expr!r} is used but not declared as an argument of the cell")
        if expr.op not in OPS and expr.op not in LEAVES:
            raise CellError(f"{expr.op!r} is not in the op table")
        strange = _names(expr) - sizes
        if strange:
            raise CellError(f"{expr!r} has a width of {min(strange)}, which is the size of nothing that the cell declares")
    used = set(postorder(cell.roots))
    idle = [item for item in cell.parameters if not any(item.block(gate) in used for gate in item.gates)]
    if idle:
        raise CellError(f"the parameter {idle[0].name} is declared but nothing uses it; remove it")
    values = sum(len(init.numbers) for p in cell.parameters for init in (p.init, *(other for _, other in p.init.gates)))
    if values > MOST_VALUES:
        raise CellError(f"{cell.name} starts with {values:,} given numbers; {MOST_VALUES:,} are the most")


def _names(expr: Expr) -> frozenset[str]:
    return expr.width.names.union(*(attr.names for attr in expr.attrs if isinstance(attr, Width)))


def _check_lengths(cell: Cell, order: list[Expr]) -> None:
    """Refuses equations that could not be printed: what has no name of its own is written out wherever it is used."""
    named = {equation.expr for equation in cell.equations}
    depths, lengths = dict.fromkeys(order, 0), dict.fromkeys(order, 1)
    for expr in order:
        below = [arg for arg in expr.args if arg not in named]
        depths[expr] = 1 + max((depths[arg] for arg in below), default=0)
        lengths[expr] = 1 + len(expr.args) + sum(lengths[arg] for arg in below)
        if depths[expr] > DEEPEST or lengths[expr] > LONGEST:
            raise CellError(
                f"an equation of {cell.name} is nested {depths[expr]} deep and {lengths[expr]:,} operations long; give parts "
                f"of it names of their own (up to {DEEPEST} deep and {LONGEST:,} long can be printed)"
            )


def _check_auxiliary(cell: Cell) -> None:
    """Delay lines hold what their state was, and counters count."""
    symbols = {state.name: state.symbol for state in cell.states}
    for state, expr in zip(cell.states, cell.next):
        if state.role == "time" and expr is not state.symbol + 1:
            raise CellError(f"the counter {state.name} does not count; its next value is itself and one")
        if state.role == "past":
            match = re.fullmatch(r"(.+)_past([2-9]|[1-9]\d{1,3})", state.name)
            owner, lag = (match[1], int(match[2])) if match else ("", 0)
            before = owner if lag == 2 else f"{owner}_past{lag - 1}"
            if before not in symbols or expr is not symbols[before]:
                raise CellError(f"{state.name} is no delay line; its next value is the state one step nearer")
