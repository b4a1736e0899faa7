"""`Target`: what kernels are written for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Real:
    """A type of floating-point numbers; its name is the one that PyTorch gives it."""

    name: str
    bits: int

    @property
    def bytes(self) -> int:
        """Bytes of one element."""
        return self.bits // 8


FLOAT32, FLOAT64 = Real("float32", 32), Real("float64", 64)
REALS = {real.name: real for real in (FLOAT32, FLOAT64)}


@dataclass(frozen=True)
class Types:
    """The types of elements in memory, of pointwise arithmetic, and of the sums in matrix products."""

    storage: Real
    compute: Real
    accumulator: Real

    @classmethod
    def all(cls, real: Real) -> Types:
        """One type for everything."""
        return cls(real, real, real)


@dataclass(frozen=True)
class Target:
    """A processor by the name of its instructions, the types of a kernel, and the bits of a vector register."""

    processor: str
    types: Types
    vector_bits: int

    def __str__(self) -> str:
        return f"{self.types.storage.name} on {self.processor}, vectors of {self.vector_bits} bits"

    @property
    def lanes(self) -> int:
        """Elements of a vector register."""
        return self.vector_bits // self.types.compute.bits
