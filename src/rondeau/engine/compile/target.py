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
class Processor:
    """A kind of processor: the name of its instructions, and its vector registers: bits of one, and how many there are.

    ``fused``: whether one instruction multiplies and adds. ``triple``, ``cpu`` and ``features`` are how LLVM describes it; no
    triple means that of this process.
    """

    name: str
    vector_bits: int
    registers: int = 32
    fused: bool = True
    triple: str = ""
    cpu: str = ""
    features: str = ""


@dataclass(frozen=True)
class Target:
    """A processor, and the types of a kernel."""

    processor: Processor
    types: Types

    def __str__(self) -> str:
        return f"{self.types.storage.name} on {self.processor.name}, vectors of {self.processor.vector_bits} bits"

    @property
    def lanes(self) -> int:
        """Elements of a vector register."""
        return self.processor.vector_bits // self.types.compute.bits
