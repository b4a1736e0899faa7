"""`Step` and `Reverse`: one time step of a cell and what flows back through it, as passes hand them on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from rondeau.engine.compile.levels import Levels
from rondeau.ir.cell import Cell
from rondeau.ir.expressions import Expr, node
from rondeau.ir.widths import Width


@dataclass(frozen=True, eq=False)
class Step:
    """A cell's step in primitive ops.

    ``hoisted`` are the largest expressions below level ``state`` that the loop reads, parameters among them; ``levels`` has
    the level of every expression.
    """

    cell: Cell
    sizes: tuple[tuple[str, int], ...]
    given: frozenset[str]
    output: Expr
    next: tuple[Expr, ...]
    traced: tuple[Expr, ...]
    hoisted: tuple[Expr, ...]
    levels: Levels

    @property
    def roots(self) -> tuple[Expr, ...]:
        """What a step computes: output, next states, traced values."""
        return (self.output, *self.next, *self.traced)

    def width(self, expr: Expr) -> int:
        """The number of features of an expression."""
        return expr.width.bind(self.named_sizes)

    def rank(self, matrix: Expr) -> tuple[int, int]:
        """The place of a matrix among all: its parameter's, and its gate's in that."""
        names = [item.name for item in self.cell.parameters]
        return names.index(matrix.attrs[0]), self.cell.parameter(matrix.attrs[0]).gates.index(matrix.attrs[1])

    @cached_property
    def named_sizes(self) -> dict[str, int]:
        """The sizes by name."""
        return dict(self.sizes)


@dataclass(frozen=True, eq=False)
class ProductGradient:
    """One product of the step: the gradient of ``matrix`` is the sum over steps and rows of ``cotangent`` times ``operand``,
    or the transpose of that where the step multiplied with the matrix ``transposed``."""

    matrix: Expr
    cotangent: Expr
    operand: Expr
    transposed: bool = False


@dataclass(frozen=True, eq=False)
class Reverse:
    """The reverse step. ``states`` and ``hoisted`` are cotangents in the order of the cell's states and of `Step.hoisted`
    (None: nothing flows); ``saved`` are the forward values that it reads."""

    states: tuple[Expr, ...]
    hoisted: tuple[Expr | None, ...]
    matrices: tuple[ProductGradient, ...]
    saved: tuple[Expr, ...]

    @property
    def roots(self) -> tuple[Expr, ...]:
        """All that it computes."""
        return (*self.states, *(e for e in self.hoisted if e is not None), *(m.cotangent for m in self.matrices))


def cotangent(index: int, width: Width) -> Expr:
    """The symbol for what flows back into root ``index`` of a step."""
    return node("cotangent", (), (index,), width)
