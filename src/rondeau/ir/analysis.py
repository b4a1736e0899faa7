"""Questions asked of equations alone: what depends on what, how large a step is, whether two cells are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from rondeau.ir.cell import Cell
from rondeau.ir.expressions import Expr
from rondeau.ir.nodes import postorder
from rondeau.ir.ops import OPS
from rondeau.ir.rewrite import primitive


def depends_on(roots: Sequence[Expr], op: str) -> set[Expr]:
    """The expressions under ``roots`` that depend on a node of this op, those nodes among them."""
    found: set[Expr] = set()
    for expr in postorder(roots):
        if expr.op == op or any(arg in found for arg in expr.args):
            found.add(expr)
    return found


def is_reduction(expr: Expr) -> bool:
    """Whether this is one value of all features of another."""
    return expr.op in OPS and OPS[expr.op].kind == "reduction"


@dataclass(frozen=True)
class StepSize:
    """How large a step is: its primitive operations, the longest chain of them, and its reductions over features."""

    operations: int
    depth: int
    reductions: int


@lru_cache(maxsize=1024)
def step_size(cell: Cell) -> StepSize:
    """How large a step of a cell is."""
    program = primitive(cell.roots)
    depths: dict[Expr, int] = {}
    for expr in postorder([program[root] for root in cell.roots]):
        depths[expr] = 1 + max((depths[arg] for arg in expr.args), default=0)
    return StepSize(len(depths), max(depths.values(), default=0), sum(is_reduction(expr) for expr in depths))


@lru_cache(maxsize=1024)
def signature(cell: Cell) -> str:
    """The equations alone: equal for cells that differ only in names, initial values and prose."""
    names = [item.name for item in cell.declared]
    order = postorder(cell.roots)
    place = {expr: index for index, expr in enumerate(order)}
    gates = {item.name: item.gates for item in cell.parameters}
    lines = []
    for expr in order:
        attrs = list(expr.attrs)
        if expr.op in ("input", "state", "vector", "matrix"):
            attrs[0] = names.index(expr.attrs[0])
        if expr.op in ("vector", "matrix"):
            attrs[1] = gates[expr.attrs[0]].index(expr.attrs[1])
        lines.append((expr.op, [place[arg] for arg in expr.args], [str(a) for a in attrs], str(expr.width)))
    return repr((lines, [place[root] for root in cell.roots], [str(item.width) for item in cell.states]))
