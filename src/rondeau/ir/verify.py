"""`verify`: whether a cell is one."""

from __future__ import annotations

from rondeau.errors import CellError
from rondeau.ir.cell import Cell, duplicates
from rondeau.ir.expressions import Expr, postorder
from rondeau.ir.ops import OPS


def verify(cell: Cell) -> Cell:
    """The cell itself, once it is found sound.

    Raises:
        CellError: a name is taken twice, a value is not declared, a width does not fit, or something declared is not used.
    """
    clash = duplicates(item.name for item in cell.declared)
    if clash is not None:
        raise clash
    if [item.role for item in cell.inputs].count("input") != 1 or cell.input.role != "input":
        raise CellError(f"{cell.name} needs exactly one sequence to read; declare it as x=input()")
    if not cell.states or len(cell.next) != len(cell.states):
        raise CellError(f"{cell.name} has {len(cell.states)} states and {len(cell.next)} next states; give one for each")
    for state, expr in zip(cell.states, cell.next):
        if expr.width != state.width and not expr.width.is_one:
            raise CellError(f"the state {state.name} is {state.width} wide, but its next value is {expr.width} wide")
    used = postorder(cell.roots)
    _check_leaves(cell, used)
    return cell


def _check_leaves(cell: Cell, used: list[Expr]) -> None:
    known = {item.symbol for item in cell.inputs} | {item.symbol for item in cell.states}
    known |= {item.block(gate) for item in cell.parameters for gate in item.gates}
    for expr in used:
        if expr.op in ("input", "state", "vector", "matrix") and expr not in known:
            raise CellError(f"{expr!r} is used but not declared as an argument of the cell")
        if expr.op not in OPS and expr.op not in ("input", "state", "vector", "matrix", "constant", "size"):
            raise CellError(f"{expr.op!r} is not in the op table")
    idle = [item for item in cell.parameters if not any(item.block(gate) in used for gate in item.gates)]
    if idle:
        raise CellError(f"the parameter {idle[0].name} is declared but nothing uses it; remove it")
