"""Initial values of parameters: frozen descriptions. Drawing them is the business of `rondeau.nn`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Union

from rondeau.errors import CellError
from rondeau.ir.arrays import Array

KINDS = {
    "zeros": 0, "filled": 1, "orthogonal": 1, "glorot": 1, "uniform": 2, "normal": 1, "identity": 1, "hidden_uniform": 0,
    "values": -1,
}  # fmt: skip
"""The kinds, each with how many numbers set it; ``values`` are as many as its shape holds."""
MOST_VALUES = 50_000
"""The most numbers that a parameter may be given to start with."""


@dataclass(frozen=True)
class Initial:
    """How a parameter starts.

    ``kind`` is one of `KINDS`; ``numbers`` are its settings; ``gates`` names the gates that start otherwise. The numbers of
    ``values`` are those of an array of the given ``shape``, row by row.

    Raises:
        CellError: there is no such kind, or it is not set by such numbers.
    """

    kind: str
    numbers: tuple[float, ...] = ()
    gates: tuple[tuple[str, Initial], ...] = ()
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        wanted = math.prod(self.shape) if self.kind == "values" else KINDS.get(self.kind)
        if wanted is None or (self.shape and self.kind != "values"):
            raise CellError(f"a parameter starts as one of {', '.join(KINDS)}, not {self.kind!r}")
        if len(self.numbers) != wanted or wanted > MOST_VALUES:
            raise CellError(f"{self.kind} of a parameter is set by {min(wanted, MOST_VALUES)} numbers, not {len(self.numbers)}")
        if not all(math.isfinite(number) for number in self.numbers):
            raise CellError(f"{self.kind} of a parameter takes finite numbers")
        if any(other.gates for _, other in self.gates):
            raise CellError("what one gate starts with has no gates of its own")
        if self.kind == "uniform" and self.numbers[0] > self.numbers[1]:
            raise CellError(f"uniform runs from the lower to the upper bound, not from {self.numbers[0]} to {self.numbers[1]}")
        if self.kind == "normal" and self.numbers[0] < 0:
            raise CellError(f"the standard deviation is not negative, as {self.numbers[0]} is")

    def gate(self, name: str) -> Initial:
        """The initial value of one gate."""
        return dict(self.gates).get(name, Initial(self.kind, self.numbers, (), self.shape))


Start = Union[Initial, float, Array, Sequence[float], Sequence[Sequence[float]]]
"""What ``init=`` takes."""


def initial(value: Start) -> Initial:
    """What ``init=`` stands for: an `Initial`, a number for all, or an array, tensor or nested list of numbers.

    Raises:
        CellError: it is none of those, or its rows are of different length.
    """
    if isinstance(value, Initial):
        return value
    if isinstance(value, Real):
        return filled(float(value))
    listed: Any = value.tolist() if isinstance(value, Array) else value
    shape: list[int] = []
    part = listed
    while isinstance(part, (list, tuple)) and part:
        shape.append(len(part))
        part = part[0]
    if math.prod(shape) > MOST_VALUES:
        raise CellError(f"init takes up to {MOST_VALUES:,} numbers, not {math.prod(shape):,}; set larger weights on the layer")
    if not shape or len(shape) > 2:
        raise CellError(
            f"init is a rule such as rd.orthogonal(), a number, or an array of 1 or 2 dimensions, not {type(value).__name__}"
        )
    return Initial("values", tuple(_flat(listed, shape)), (), tuple(shape))


def _flat(value: Any, shape: list[int]) -> Iterator[float]:
    if not shape:
        if not isinstance(value, Real):
            raise CellError(f"init holds real numbers, not {value!r}")
        yield float(value)
        return
    if not isinstance(value, (list, tuple)) or len(value) != shape[0]:
        raise CellError("init holds rows of different length; make them equal")
    for part in value:
        yield from _flat(part, shape[1:])


def _make(kind: str, numbers: tuple[float, ...], gates: dict[str, Start]) -> Initial:
    return Initial(kind, tuple(map(float, numbers)), tuple((name, initial(value)) for name, value in gates.items()))


def zeros(**gates: Start) -> Initial:
    """All zeros, but for the gates given: ``zeros(f=1.0)`` is a forget bias of one."""
    return _make("zeros", (), gates)


def filled(value: float, **gates: Start) -> Initial:
    """All ``value``, but for the gates given."""
    return _make("filled", (value,), gates)


def orthogonal(gain: float = 1.0, **gates: Start) -> Initial:
    """Each gate's block a random orthogonal matrix times ``gain``. Source: Saxe et al. 2014, arXiv:1312.6120."""
    return _make("orthogonal", (gain,), gates)


def glorot(gain: float = 1.0, **gates: Start) -> Initial:
    """Uniform within ``gain * sqrt(6 / (rows + columns))``, per gate's block. Source: Glorot & Bengio 2010."""
    return _make("glorot", (gain,), gates)


def uniform(low: float, high: float, **gates: Start) -> Initial:
    """Uniform between ``low`` and ``high``."""
    return _make("uniform", (low, high), gates)


def normal(deviation: float = 1.0, **gates: Start) -> Initial:
    """Normal with mean zero and the given standard deviation."""
    return _make("normal", (deviation,), gates)


def identity(scale: float = 1.0, **gates: Start) -> Initial:
    """Each gate's block ``scale`` times the identity. Source: Le, Jaitly & Hinton 2015, arXiv:1504.00941."""
    return _make("identity", (scale,), gates)


def hidden_uniform(**gates: Start) -> Initial:
    """Uniform within ``1 / sqrt(hidden)``, as in PyTorch's recurrent layers."""
    return _make("hidden_uniform", (), gates)
