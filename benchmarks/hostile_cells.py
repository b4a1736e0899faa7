"""Cells that a stranger wrote, and random changes of sound ones: ``python benchmarks/hostile_cells.py``.

Every hostile document of ``tests/ir/hostile.py`` must be refused in a line, within a second and 200 MB; of ``--count`` random
changes none may be believed silently, end in a traceback or hang; and what loads after a change must run: the compiled backend
agrees with the reference, or both refuse, for the first ``--runs`` of them. Exits with 1 when anything of that fails.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import torch

from rondeau import InputError, nn
from rondeau.cells import ALL
from rondeau.ir import Cell, from_json, to_json

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "ir"))
from hostile import DOCUMENTS, changed, verdict

TEXTS = [to_json(cell) for cell in ALL.values()]
SECONDS, BYTES = 1.0, 200 * 2**20
SIZES = {"projection": 3, "output": 4, "context": 2}


def documents() -> list[str]:
    """Reads every hostile document twice, for the time and for the memory; what is wrong."""
    faults = []
    slowest, largest = 0.0, 0
    for name, text in DOCUMENTS.items():
        begin = time.perf_counter()
        found = verdict(text)
        seconds = time.perf_counter() - begin
        tracemalloc.start()
        verdict(text)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        slowest, largest = max(slowest, seconds), max(largest, peak)
        if found != "refused" or seconds > SECONDS or peak > BYTES:
            faults.append(f"{name}: {found}, {seconds:.2f} s, {peak / 2**20:.0f} MB")
    print(f"{len(DOCUMENTS)} hostile documents, at most {slowest:.2f} s and {largest / 2**20:.0f} MB; {len(faults)} faults")
    return faults


def changes(count: int, seed: int) -> tuple[list[str], list[Cell]]:
    """Reads so many random changes; what is wrong, and the cells that loaded though they are not what was changed."""
    faults, loaded, told = [], [], Counter()
    slowest = 0.0
    for number in range(seed, seed + count):
        pick = random.Random(number)
        before = pick.choice(TEXTS)
        text = changed(before, pick)
        begin = time.perf_counter()
        found = verdict(text)
        slowest = max(slowest, time.perf_counter() - begin)
        told[found] += 1
        if found not in ("refused", "same"):
            faults.append(f"change {number}: {found}")
        elif found == "same" and from_json(text) != from_json(before):
            loaded.append(from_json(text))
    print(f"{count} changes: {dict(told)}, at most {slowest:.2f} s; {len(faults)} faults")
    return faults, loaded


def agreement(cells: list[Cell]) -> list[str]:
    """Runs cells on both backends; where they differ."""
    faults, ran = [], 0
    for cell in cells:
        sizes = {size: SIZES.get(size, 4) for size in cell.sizes if size not in ("input", "hidden")}
        try:
            layer = nn.Recurrent(cell, 4, 12, **sizes).eval()
        except InputError:
            continue
        context = {c.name: torch.ones(2, *((3,) if c.per == "step" else ()), c.width.bind(layer.sizes)) for c in cell.contexts}
        found = []
        for backend in ("reference", "compiled"):
            layer.backend = backend
            torch.manual_seed(0)
            found.append(layer(torch.randn(2, 3, 4), context=context)[0].detach())
        ran += 1
        if not torch.allclose(*found, rtol=1e-3, atol=1e-4, equal_nan=True):
            faults.append(f"{cell}\ndiffers by {(found[0] - found[1]).abs().max():g}")
    print(f"{ran} changed cells ran on both backends; {len(faults)} faults")
    return faults


def main() -> None:
    """Reads, runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    faults = documents()
    more, loaded = changes(options.count, options.seed)
    faults += more + agreement(loaded[: options.runs])
    print("\n".join(faults))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
