"""The processors that kernels can be written for: the one that this process runs on, and others by name."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache

from rondeau.engine.compile.target import Processor
from rondeau.errors import InputError

TARGET = "RONDEAU_TARGET"
"""The variable that names another processor than this one."""

ARM = "aarch64-unknown-linux-gnu"

PROCESSORS = {
    "avx512": Processor("AVX-512", 512, cpu="x86-64-v4"),
    "avx2": Processor("AVX2", 256, registers=16, cpu="x86-64-v3"),
    "sse2": Processor("SSE2", 128, registers=16, fused=False, cpu="x86-64"),
    "neon": Processor("NEON", 128, triple=ARM, cpu="generic", features="+neon"),
}
"""By the names that RONDEAU_TARGET takes. Those of x86-64 have no triple: they are for this process, and refused elsewhere."""

_V3 = ("avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")
NEEDED = {"AVX-512": (*_V3, "avx512f", "avx512vl", "avx512bw", "avx512cd", "avx512dq"), "AVX2": _V3, "SSE2": ("sse2",)}
"""The features, by LLVM's names, without which a processor of x86-64 cannot run such kernels."""


@cache
def chosen_processor() -> Processor:
    """What kernels are written for in this process: what ``RONDEAU_TARGET`` names, read once, or else its own processor.

    Raises:
        InputError: there is no processor of that name.
    """
    name = os.environ.get(TARGET, "")
    if not name:
        return host_processor()
    if name not in PROCESSORS:
        raise InputError(f"{TARGET} is one of {', '.join(PROCESSORS)}, or unset for this processor, not {name!r}")
    found = PROCESSORS[name]
    return replace(found, triple="") if name == "neon" and _arm() else found


@cache
def host_processor() -> Processor:
    """The processor that this process runs on, as LLVM describes it."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    own = {"cpu": llvm.get_host_cpu_name(), "features": features.flatten(), "triple": ""}
    if _arm():
        return replace(PROCESSORS["neon"], **own)
    name = "avx512" if features.get("avx512f") and features.get("avx512vl") else "avx2"
    if name == "avx2" and not (features.get("avx2") and features.get("fma")):
        name = "sse2"
    return replace(PROCESSORS[name], **own)


def runs_here(processor: Processor) -> bool:
    """Whether this process can run kernels for a processor."""
    import llvmlite.binding as llvm

    if processor == host_processor():
        return True
    if processor.triple or _arm():
        return not processor.triple and processor.name == "NEON"
    features = llvm.get_host_cpu_features()
    return processor.name in NEEDED and all(features.get(feature) for feature in NEEDED[processor.name])


def _arm() -> bool:
    import llvmlite.binding as llvm

    return llvm.get_process_triple().startswith(("aarch64", "arm64"))
