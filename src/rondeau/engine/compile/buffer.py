"""`Buffer`: a piece of memory that kernels read and write, as a value."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal[
    "y", "state", "trace", "parameter", "input", "hoisted", "columns", "previous", "saved", "operand", "cotangents",
    "constants", "next", "scratch", "packed",
]  # fmt: skip
"""What lies in it.

y           the output, a row a step
state       a state, before a step and then after it
trace       a value that is handed out, a row a step
parameter   a parameter, by name
input       what the equations read as it is given, by name
hoisted     a value computed before the loop
columns     all values before the loop that are linear in the sequence, side by side; saved values may overwrite theirs
previous    a state before each step, for the reverse step
saved       forward values that the reverse step cannot compute again cheaply, side by side
operand     what a matrix multiplies in each step, for the matrix's gradient alone
cotangents  what flows back into columns, inputs and products at each step, side by side: the gradients of matrices are
            products with it
constants   the constants in the columns; only their gradients are ever stored, summed over all steps
next        a state after a step, until nothing reads the old one
scratch     what a later block of the same step reads
packed      matrices in the order in which products read them
"""

GIVEN = frozenset({"y", "state", "trace", "parameter", "input", "hoisted"})
RESULTS = frozenset({"y", "state", "trace"})


class Buffer(NamedTuple):
    """A buffer of a kind, by number or name where there are several; or the ``gradient`` of one."""

    kind: Kind
    key: int | str | None = None
    gradient: bool = False

    def __str__(self) -> str:
        key = "" if self.key is None else f":{self.key}" if isinstance(self.key, str) else self.key
        return f"{'d' * self.gradient}{self.kind}{key}"

    @property
    def derivative(self) -> Buffer:
        """The gradient of what lies in it."""
        return self._replace(gradient=True)

    @property
    def external(self) -> bool:
        """Whether it is a tensor of its own, given or returned, rather than a part of the engine's memory."""
        return self.kind in (RESULTS if self.gradient else GIVEN)

    @property
    def summed(self) -> bool:
        """Whether each step adds to it, so that it begins as zeros."""
        return self.gradient and not self.external
