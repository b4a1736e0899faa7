"""What kernels are written for on this processor."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch

from rondeau.engine.llvm.writer import Machine

CACHE = 3 << 19
"""Bytes of weights beyond which they do not stay in a core's own cache from step to step."""


@cache
def machine_for(dtype: torch.dtype, single: bool = False) -> Machine:
    """The vectors and register tiles that suit the processor, for float32 or float64.

    A tile of a ``single`` row takes more units at a time, since each sum has to wait for itself.
    """
    import llvmlite.binding as llvm

    if single:
        return replace(machine_for(dtype), rows=(1,), tile=8)

    features = llvm.get_host_cpu_features()
    real, size = ("float", 4) if dtype == torch.float32 else ("double", 8)
    if features.get("avx512f") and features.get("avx512vl"):
        return Machine(real, 64 // size, (6, 4, 2, 1), 4)
    if features.get("avx2") and features.get("fma"):
        return Machine(real, 32 // size, (3, 2, 1), 4)
    return Machine(real, 16 // size, (4, 2, 1), 4)
