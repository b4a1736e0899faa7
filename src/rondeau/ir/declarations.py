"""What a cell declares: inputs, states and parameters, each a frozen description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rondeau.errors import CellError
from rondeau.ir.expressions import Expr, node
from rondeau.ir.initial import Initial
from rondeau.ir.widths import Width

InputRole = Literal["input", "context", "mask"]
Period = Literal["step", "sequence"]
StateRole = Literal["state", "past", "time"]
ParameterRole = Literal["weight", "bias", "vector"]


@dataclass(frozen=True)
class Input:
    """A vector that comes from outside.

    ``role`` is ``input`` (the sequence), ``context`` (given by name) or ``mask`` (random while training). ``per`` is
    ``step`` (one vector per step) or ``sequence`` (one for all steps). A mask is ``scale`` with ``probability``, else zero.
    """

    name: str
    width: Width
    role: InputRole = "input"
    per: Period = "step"
    probability: float = 1.0
    scale: float = 1.0

    @property
    def expected(self) -> float:
        """The mean of a mask, its value outside training."""
        return self.probability * self.scale

    @property
    def symbol(self) -> Expr:
        """The expression that stands for it."""
        return node("input", (), (self.name,), self.width)


@dataclass(frozen=True)
class State:
    """A vector that one step hands to the next. ``role`` is ``state``, ``past`` (a delay line) or ``time`` (a counter)."""

    name: str
    width: Width
    role: StateRole = "state"

    @property
    def symbol(self) -> Expr:
        """The expression that stands for its value before the step."""
        return node("state", (), (self.name,), self.width)


@dataclass(frozen=True)
class Parameter:
    """A learned matrix (``columns`` given) or vector, packed by gate: shape ``(gates * rows[, columns])``.

    ``gates`` names the blocks in order; a parameter of one unnamed block has ``("",)``.
    """

    name: str
    gates: tuple[str, ...]
    rows: Width
    columns: Width | None
    init: Initial
    role: ParameterRole

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape of the packed tensor for the given sizes."""
        rows = len(self.gates) * self.rows.bind(sizes)
        return (rows,) if self.columns is None else (rows, self.columns.bind(sizes))

    def block(self, gate: str = "") -> Expr:
        """The expression that stands for one gate's block.

        Raises:
            CellError: there is no such gate.
        """
        if gate not in self.gates:
            known = ", ".join(f"{self.name}.{name}" for name in self.gates if name)
            raise CellError(f"{self.name} has no gate {gate!r}; it has {known or 'one unnamed block: write ' + self.name}")
        if self.columns is None:
            return node("vector", (), (self.name, gate), self.rows)
        return node("matrix", (), (self.name, gate, Width.of(0), self.columns), self.rows)
