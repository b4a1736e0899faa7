"""`processor`: what this machine computes with, for every figure of speed."""

from __future__ import annotations

import platform
import re
import subprocess
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

KINDS: dict[tuple[str, int], tuple[tuple[int, int, str], ...]] = {
    ("AuthenticAMD", 23): ((0, 47, "Zen"), (48, 255, "Zen 2")),
    ("AuthenticAMD", 25): ((0, 15, "Zen 3"), (16, 31, "Zen 4"), (32, 95, "Zen 3"), (96, 127, "Zen 4"), (160, 175, "Zen 4")),
    ("AuthenticAMD", 26): ((0, 255, "Zen 5"),),
    ("GenuineIntel", 6): (
        (85, 85, "Skylake or Cascade Lake"),
        (106, 108, "Ice Lake"),
        (143, 143, "Sapphire Rapids"),
        (173, 174, "Granite Rapids"),
        (207, 207, "Emerald Rapids"),
    ),
}
"""Ranges of models by vendor and family, where the name that a virtual machine shows does not say enough."""


@cache
def processor() -> str:
    """The processor's name and kind, such as ``AMD EPYC (Zen 4, AVX-512)``."""
    if CPUINFO.exists():
        return described(CPUINFO.read_text(encoding="utf-8", errors="replace"))
    return _brand() or platform.processor() or platform.machine()


def described(cpuinfo: str) -> str:
    """The same from the text of ``/proc/cpuinfo``.

    Example:
        >>> described("vendor_id : AuthenticAMD\\ncpu family : 26\\nmodel : 2\\nmodel name : AMD EPYC\\nflags : fma avx2")
        'AMD EPYC (Zen 5, AVX2)'
    """
    facts = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", cpuinfo.split("\n\n")[0], re.M))
    name = facts.get("model name") or facts.get("Model") or platform.processor() or platform.machine()
    flags = facts.get("flags", "").split()
    vector = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else None
    return f"{name} ({', '.join(known)})" if (known := [part for part in (_kind(facts), vector) if part]) else name


def _kind(facts: dict[str, str]) -> str | None:
    family, model = facts.get("cpu family", ""), facts.get("model", "")
    if not (family.isdecimal() and model.isdecimal()):
        return None
    ranges = KINDS.get((facts.get("vendor_id", ""), int(family)), ())
    return next((kind for low, high, kind in ranges if low <= int(model) <= high), None)


def _brand() -> str:
    """What macOS calls its processor; nothing elsewhere."""
    try:
        found = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
