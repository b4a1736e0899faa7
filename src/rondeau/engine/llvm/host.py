"""The target of kernels in this process, and the tiling that suits it."""

from __future__ import annotations

from dataclasses import replace

from rondeau.engine.compile.target import Processor, Real, Target, Types
from rondeau.engine.compile.tiling import Tiling
from rondeau.engine.llvm.emitter import LLVM
from rondeau.engine.llvm.processors import chosen_processor

HEIGHTS = {"AVX-512": (6, 4, 2, 1), "AVX2": (3, 2, 1), "SSE2": (2, 1), "NEON": (5, 4, 2, 1)}
"""The heights of tiles. Of NEON's 32 registers a sixth row would leave too few: unlike AVX-512 it cannot take an operand from
memory; SSE2 needs a register for the product before it is added."""


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
    tiling = Tiling(rows=HEIGHTS[processor.name])
    return replace(tiling, rows=(1,), vectors=8) if single else tiling
