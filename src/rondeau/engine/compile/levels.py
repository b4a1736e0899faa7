"""Levels: how often a value changes, and so where it is computed.

``constant``: parameters and numbers. ``sequence``: fixed for a sequence. ``step``: inputs, and sums that are linear in the
sequence, all steps of which are one large matrix product. ``state``: the rest. Below ``state`` everything leaves the loop over
time. What changes with time but is no such sum stays in it, where it costs no pass over memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from rondeau.engine.compile.linear import linear
from rondeau.ir.cell import Cell
from rondeau.ir.declarations import Input
from rondeau.ir.expressions import Expr
from rondeau.ir.nodes import postorder

Level = Literal["constant", "sequence", "step", "state"]
LEVELS: tuple[Level, ...] = ("constant", "sequence", "step", "state")


class Levels(dict[Expr, Level]):
    """The level of every expression of a cell, each worked out once; ``inside``: no product with the sequence is hoisted."""

    def __init__(self, cell: Cell, roots: Iterable[Expr] = (), inside: bool = False) -> None:
        self.inside = inside
        self.inputs: dict[Expr, Input] = {item.symbol: item for item in cell.inputs}
        self.x = cell.input.symbol
        self.learn(roots)

    def learn(self, roots: Iterable[Expr]) -> None:
        """Works out the levels of everything below ``roots``."""
        for expr in postorder(roots, self):
            self[expr] = self._level(expr)

    def __missing__(self, expr: Expr) -> Level:
        self.learn([expr])
        return self[expr]

    def _level(self, expr: Expr) -> Level:
        if expr.op in ("state", "products") or (expr.op == "spread" and expr.args[0].op != "constant"):
            return "state"  # of a spread number only the number leaves the loop
        if expr in self.inputs:
            return "step" if self.inputs[expr].per == "step" else "sequence"
        highest: Level = max((self[arg] for arg in expr.args), key=LEVELS.index, default="constant")
        return "state" if highest == "step" and (self.inside or linear(expr, self.x, self) is None) else highest
