"""The machine that this process runs on: its threads, its target and the tiling that suits it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rondeau.engine.compile.target import Processor, Real, Target, Types
from rondeau.engine.compile.tiling import Tiling
from rondeau.engine.llvm.emitter import LLVM
from rondeau.engine.llvm.openmp import available, openmp
from rondeau.engine.llvm.processors import chosen_processor

HEIGHTS = {"AVX-512": (6, 4, 2, 1), "AVX2": (3, 2, 1), "SSE2": (2, 1), "NEON": (5, 4, 2, 1)}
"""The heights of tiles. Of NEON's 32 registers a sixth row would leave too few: unlike AVX-512 it cannot take an operand from
memory; SSE2 needs a register for the product before it is added."""


@dataclass(frozen=True)
class Host:
    """This process's processor, or the one that ``RONDEAU_TARGET`` names, with PyTorch's threads: a
    `rondeau.engine.compile.emitter.Machine`."""

    def threads(self) -> int:
        """How many threads a kernel may run on: one after a fork."""
        return available()

    def teams(self) -> bool:
        """Whether threads can share the units of a step: where PyTorch's OpenMP pool can be reached."""
        return bool(openmp())

    def emitter(self, real: Real, single: bool) -> LLVM:
        """As `host_emitter`."""
        return host_emitter(real, single)


def host_emitter(real: Real, single: bool = False) -> LLVM:
    """What writes and builds kernels of a type for this process; for threads that have a ``single`` sequence each, or any.

    Raises:
        InputError: ``RONDEAU_TARGET`` names no processor.
    """
    return emitter_for(chosen_processor(), real, single)


def emitter_for(processor: Processor, real: Real, single: bool = False) -> LLVM:
    """What writes kernels of one type for a processor."""
    return LLVM(Target(processor, Types.all(real)), tiling_for(processor, single))


def tiling_for(processor: Processor, single: bool = False) -> Tiling:
    """The tallest tiles whose sums stay in registers; of a ``single`` row more units are taken at a time."""
    tiling = Tiling(heights=HEIGHTS[processor.name])
    return replace(tiling, heights=(1,), vectors=8) if single else tiling
