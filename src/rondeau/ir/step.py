"""What a step of a cell computes, as its printers read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rondeau.ir.declarations import Input, State
from rondeau.ir.expressions import Expr
from rondeau.ir.source import Source


@dataclass(frozen=True, eq=False)
class Equation:
    """A named line of a cell."""

    name: str
    expr: Expr

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Equation) and self.name == other.name and self.expr is other.expr

    def __hash__(self) -> int:
        return hash((self.name, self.expr))


class Step(Protocol):
    """The equations of a cell and what they are about, each as `rondeau.ir.Cell` has it."""

    @property
    def name(self) -> str:
        """The name of the cell."""
        ...

    @property
    def source(self) -> Source:
        """Where it comes from."""
        ...

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What it reads."""
        ...

    @property
    def states(self) -> tuple[State, ...]:
        """What one step hands to the next."""
        ...

    @property
    def equations(self) -> tuple[Equation, ...]:
        """Its named lines."""
        ...

    @property
    def output(self) -> Expr:
        """What a step outputs."""
        ...

    @property
    def next(self) -> tuple[Expr, ...]:
        """The next states."""
        ...
