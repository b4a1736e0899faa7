"""The processor that this process runs on, as a target, and the tiling that suits it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from rondeau.engine.compile.target import Real, Target, Types
from rondeau.engine.compile.tiling import Tiling
from rondeau.engine.llvm.emitter import LLVM


def host_emitter(real: Real, single: bool = False) -> LLVM:
    """What writes and builds kernels of a type for this processor; for threads that have a ``single`` sequence each, or any."""
    target = host_target(real)
    return LLVM(target, host_tiling(target, single))


@cache
def host_target(real: Real) -> Target:
    """This processor, one type for everything."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    if features.get("avx512f") and features.get("avx512vl"):
        return Target("AVX-512", Types.all(real), 512)
    if features.get("avx2") and features.get("fma"):
        return Target("AVX2", Types.all(real), 256)
    return Target("a plain processor", Types.all(real), 128)


def host_tiling(target: Target, single: bool = False) -> Tiling:
    """The heights of the tiles follow from the number of registers; of a ``single`` row more units are taken at a time."""
    tiling = Tiling(rows={512: (6, 4, 2, 1), 256: (3, 2, 1)}.get(target.vector_bits, (4, 2, 1)))
    return replace(tiling, rows=(1,), vectors=8) if single else tiling
