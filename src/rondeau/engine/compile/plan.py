"""A plan: one time step of a kernel as blocks of work in order, and where each value lies."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.levels import Level
from rondeau.ir.expressions import Expr


@dataclass(frozen=True)
class Place:
    """Where a vector lies: in rows of ``row_size`` features of ``buffer``, from feature ``offset``.

    ``level`` says what selects the row: ``step`` (sequence and time), ``sequence``, ``constant`` (there is one row).
    """

    buffer: Buffer
    level: Level
    row_size: int
    offset: int = 0

    def shifted(self, features: int) -> Place:
        """The place ``features`` further on in the row."""
        return replace(self, offset=self.offset + features)


@dataclass(frozen=True, eq=False)
class Store:
    """``expr`` goes to ``place``; with ``add`` it is added to what lies there."""

    expr: Expr
    place: Place
    add: bool = False


@dataclass(frozen=True, eq=False)
class Work:
    """What a kernel computes at each step: ``stores``, from what lies at ``loads``; time may run ``backward``."""

    stores: tuple[Store, ...]
    loads: tuple[tuple[Expr, Place], ...]
    backward: bool = False


@dataclass(frozen=True)
class MatrixBlock:
    """Where a matrix begins in the parameter that it is a part of, whose rows are ``length`` elements long."""

    buffer: Buffer
    row: int
    column: int
    length: int


@dataclass(frozen=True, eq=False)
class Term:
    """One product of an accumulator: ``matrix``, which lies at ``block``, or its transpose, times ``operand``."""

    matrix: Expr
    block: MatrixBlock
    transposed: bool
    operand: Place
    inner: int


@dataclass(frozen=True, eq=False)
class Load:
    """``expr``, of ``width`` features, lies at ``place``."""

    expr: Expr
    place: Place
    width: int


@dataclass(frozen=True, eq=False)
class Group:
    """Accumulators that share a register tile, each a sum of terms."""

    accumulators: tuple[Expr, ...]
    terms: tuple[tuple[Term, ...], ...]


@dataclass(frozen=True, eq=False)
class Block:
    """Work on ``width`` features: products first, then ``order`` pointwise, then stores and sums over the features."""

    phase: int
    width: int
    groups: tuple[Group, ...]
    loads: tuple[Load, ...]
    order: tuple[Expr, ...]
    stores: tuple[Store, ...]
    reductions: tuple[Store, ...] = ()

    @property
    def accumulators(self) -> int:
        """How many sums the groups have together."""
        return sum(len(group.accumulators) for group in self.groups)


@dataclass(frozen=True, eq=False)
class Plan:
    """One time step as blocks in order, then copies of states; the scratch buffers by width; which way time runs."""

    blocks: tuple[Block, ...]
    copies: tuple[tuple[Place, Place, int], ...]
    scratch: tuple[tuple[Buffer, int], ...]
    backward: bool = False
