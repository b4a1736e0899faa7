"""Kernels written for other processors than this one, compared with the reference; those of another kind under an emulator.

AVX2 and SSE2 kernels run in this process, on whatever processor of x86-64 has the instructions. NEON kernels become a program
for aarch64: the kernel as an object file, linked with `RUNNER`, which reads an argument table and its buffers from a file,
lays each buffer flush against a forbidden page, runs the kernel and writes the buffers back. ``qemu-aarch64`` runs the program
wherever `missing` finds nothing missing (on Debian the packages qemu-user and gcc-aarch64-linux-gnu with its libraries).

All cells, sizes, types and options: ``python tests/engine/other_processors.py avx2 sse2 neon``. A few are a part of the tests.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
import guard_pages

from rondeau import scan
from rondeau.cells import ALL
from rondeau.engine.backends import compiled
from rondeau.engine.compile.arguments import PARTS, STEPS, STRIDE, TEAM
from rondeau.engine.compile.emitter import Code
from rondeau.engine.compile.target import Processor, Real
from rondeau.engine.llvm.emitter import LLVM
from rondeau.engine.llvm.host import Host, emitter_for
from rondeau.engine.llvm.processors import PROCESSORS, runs_here
from rondeau.engine.runtime import program
from rondeau.engine.runtime.call import Call

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
TOLERANCE = {torch.float32: 2e-4, torch.float64: 1e-9}
SIZES = [
    {"input": 5, "hidden": 12, "projection": 3, "output": 1, "context": 3},
    {"input": 33, "hidden": 35, "projection": 17, "output": 36, "context": 18},
    {"input": 3, "hidden": 1, "projection": 1, "output": 2, "context": 1},
]
RAGGED: dict[str, Any] = {"lengths": [4, 0, 2, 1, 3, 4, 1], "reverse": True, "clip": 0.5}
MODULES = {"clockwork": 4, "hierarchical_rnn": 3}
"""Cells whose units fall into so many parts of one width."""
RUNS: list[tuple[int, dict[str, Any]]] = [(1, {}), (3, {}), (7, RAGGED), (13, {}), (14, {})]
"""Batches that need tiles of every height, and options."""

RUNNER = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void serial(void *);
void parallel(void *);

static FILE *file;

static int64_t word(void) {
    int64_t value;
    if (fread(&value, 8, 1, file) != 1) exit(2);
    return value;
}

static char *block(size_t bytes) { /* flush against a page that nobody may touch */
    size_t page = sysconf(_SC_PAGESIZE), room = (bytes + page) / page * page;
    char *start = mmap(0, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || mprotect(start + room, page, PROT_NONE)) exit(3);
    memset(start, 0xFF, room);
    return start + room - bytes;
}

static int64_t *blocks(int64_t count, int64_t *sizes) {
    int64_t *found = malloc(8 * count + 8);
    for (int64_t i = 0; i < count; i++) {
        sizes[i] = word();
        char *at = block(sizes[i]);
        if (fread(at, 1, sizes[i], file) != (size_t)sizes[i]) exit(4);
        found[i] = (int64_t)at;
    }
    return found;
}

int main(int count, char **names) {
    if (count != 2 || !(file = fopen(names[1], "rb"))) return 1;
    int64_t steps = word(), stride = word(), parts = word(), team = word(), buffers = word();
    int64_t *firsts = malloc(8 * parts), *row_sizes = malloc(16 * parts), *sizes = malloc(8 * buffers);
    for (int64_t k = 0; k < parts; k++) firsts[k] = word();
    int64_t *rows = blocks(2 * parts, row_sizes), *at = blocks(buffers, sizes);
    fclose(file);
    int64_t *table = (int64_t *)block(24 * parts), *words = (int64_t *)block(8 * (7 + buffers));
    for (int64_t k = 0; k < parts; k++) {
        table[3 * k] = firsts[k], table[3 * k + 1] = rows[k], table[3 * k + 2] = rows[parts + k];
    }
    int64_t head[7] = {steps, stride, parts, (int64_t)table, team, 0, 0};
    memcpy(words, head, sizeof head);
    memcpy(words + 7, at, 8 * buffers);
    (parts > 1 || team > 1 ? parallel : serial)(words);
    if (!(file = fopen(names[1], "wb"))) return 5;
    for (int64_t i = 0; i < buffers; i++) {
        if (fwrite((void *)at[i], 1, sizes[i], file) != (size_t)sizes[i]) return 6;
    }
    return fclose(file);
}
"""


def missing() -> str:
    """What NEON kernels need here and is not there; empty if nothing."""
    absent = [tool for tool in (COMPILER, EMULATOR) if shutil.which(tool) is None]
    return f"NEON kernels need {' and '.join(absent)} here" if absent else ""


@dataclass(frozen=True)
class Executable:
    """A kernel as a program for another processor."""

    path: Path

    def __call__(self, data: bytes) -> bytes:
        """What the program makes of its buffers."""
        file = self.path.with_suffix(".data")
        file.write_bytes(data)
        ran = subprocess.run([EMULATOR, str(self.path), str(file)], capture_output=True, text=True, timeout=300)
        assert ran.returncode == 0, f"{EMULATOR} ended with {ran.returncode}: {ran.stderr}"
        return file.read_bytes()


@dataclass(frozen=True)
class Cross(LLVM):
    """Builds kernels as programs in a folder."""

    folder: Path = Path()

    def build(self, code: Code) -> Any:
        """The kernel linked with `RUNNER`."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        (folder / "kernel.o").write_bytes(self.object(code))
        compiler("-static", "-o", folder / "kernel", self.runner(), folder / "kernel.o", "-lgomp", "-lm")
        return Executable(folder / "kernel")

    def runner(self) -> Path:
        """The object file of `RUNNER`."""
        text, made = self.folder / "runner.c", self.folder / "runner.o"
        if not made.exists():
            text.write_text(RUNNER)
            compiler("-O1", "-c", "-o", made, text)
        return made


def compiler(*arguments: str | Path) -> None:
    """Runs the compiler or linker for aarch64."""
    subprocess.run([COMPILER, *map(str, arguments)], check=True, capture_output=True, timeout=120)


class Emulated(Call):
    """A call whose kernel is an `Executable`; its buffers travel through a file."""

    def __init__(self, call: Call, seen: guard_pages.Seen) -> None:
        super().__init__(call.kernel, call.words, call.given)
        object.__setattr__(self, "seen", seen)

    def __call__(self) -> None:
        _, rows, arrays = self.seen
        execute: Any = self.kernel
        values = [np.ascontiguousarray(value) for value in arrays.values()]
        counts = [self.words[i] for i in (STEPS, STRIDE, PARTS, TEAM)]
        head = np.array([*counts, len(values), *rows.table[:, 0]], dtype=np.int64).tobytes()
        blobs = [np.ascontiguousarray(value).tobytes() for value in (*rows.owners, *values)]
        data = execute(head + b"".join(len(blob).to_bytes(8, sys.byteorder) + blob for blob in blobs))
        for value in arrays.values():
            size = value.nbytes
            value.view(np.uint8).reshape(-1)[:] = np.frombuffer(data[:size], np.uint8)
            data = data[size:]
        assert not data


@contextmanager
def written_for(processor: Processor, folder: Path) -> Iterator[None]:
    """Within, kernels are for this processor: run under an emulator if this one cannot, else between forbidden pages."""

    class Other(Host):
        def emitter(self, real: Real, single: bool) -> LLVM:
            plain = emitter_for(processor, real, single)
            return plain if runs_here(processor) else Cross(plain.target, plain.tiling, folder)

    with mock.patch.object(compiled, "PROGRAMS", program.Programs(Other(), 8)):
        kind = guard_pages.Guarded if runs_here(processor) else Emulated
        call = guard_pages.guarded(program.Program._call, "end", kind)
        with mock.patch.object(program.Program, "_call", call):
            yield


def compared(name: str, sizes: Mapping[str, int], dtype: torch.dtype, batch: int, options: Mapping[str, Any]) -> float:
    """The largest difference of results and gradients from the reference, over the largest element or 1; of one cell."""
    item, time = ALL[name], 4
    known = {size: sizes[size] for size in item.sizes}
    if name in MODULES:
        known["hidden"] += -known["hidden"] % MODULES[name]
    draw = torch.Generator().manual_seed(batch)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=dtype, generator=draw)

    params = {p.name: (0.3 * normal(*p.shape(known))).requires_grad_() for p in item.parameters}
    x, lead = normal(batch, time, known["input"]).requires_grad_(), {"step": (batch, time), "sequence": (batch,)}
    state = [
        torch.full((batch, 1), 2.0, dtype=dtype) if s.role == "time" else normal(batch, s.width.bind(known))
        for s in item.states
    ]
    moving = [value.requires_grad_() for value, s in zip(state, item.states) if s.role != "time"]  # time has no gradient
    context = {c.name: normal(*lead[c.per], c.width.bind(known)).abs().requires_grad_() for c in item.contexts}
    masks = {m.name: torch.ones(*lead[m.per], m.width.bind(known), dtype=dtype) for m in item.masks}
    given = {"context": context, "masks": masks, **options}
    results = []
    for backend in ("compiled", "reference"):
        y, after = scan(item, params, x, state, backend=backend, **given)
        total = (y * torch.linspace(-1, 1, y.shape[-1], dtype=dtype)).sum() + sum(
            value.sum() for value, s in zip(after, item.states) if s.role != "time"
        )
        leaves = [x, *moving, *params.values(), *context.values()]
        found = torch.autograd.grad(total, leaves, materialize_grads=True)
        with torch.no_grad():  # the kernel that keeps nothing
            only, _ = scan(item, params, x, state, backend=backend, **given)
        results.append([y, *after, *found, only])
    return max(_distance(a, b) for a, b in zip(*results, strict=True))


def _distance(found: Tensor, expected: Tensor) -> float:
    if not found.numel():
        return 0.0
    assert torch.isfinite(found).all() and torch.isfinite(expected).all()
    return ((found - expected).abs().max() / expected.abs().max().clamp(min=1)).item()


def main(names: list[str], cells: list[str]) -> int:
    """Compares everything; the number of comparisons that were too far off."""
    wrong = 0
    for name in names:
        processor = PROCESSORS[name]
        if not runs_here(processor) and (name != "neon" or missing()):
            print(f"{name}: skipped, {missing() or 'this processor has no such instructions'}")
            continue
        for cell in cells:
            with tempfile.TemporaryDirectory() as folder, written_for(processor, Path(folder)):
                wrong += _everything(name, cell)
    print(f"{wrong} comparisons too far off")
    return wrong


def _everything(name: str, cell: str) -> int:
    """Compares one cell at all types, sizes and options, and prints a line."""
    far, largest, count = [], dict.fromkeys(TOLERANCE, 0.0), 0
    for dtype, sizes, (batch, options) in itertools.product(TOLERANCE, SIZES, RUNS):
        distance = compared(cell, sizes, dtype, batch, options)
        count, largest[dtype] = count + 1, max(largest[dtype], distance)
        if not distance <= TOLERANCE[dtype]:
            far.append(f"\n  off by {distance:.1e}: {dtype}, {sizes}, batch {batch}, {options}")
    most = ", ".join(f"{dtype} {distance:.1e}" for dtype, distance in largest.items())
    print(f"{name} {cell}: {count} comparisons, {len(far)} too far off; at most {most}", *far, flush=True)
    return len(far)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("processors", nargs="+", choices=list(PROCESSORS))
    parser.add_argument("--cell", action="append", default=[], choices=list(ALL))
    given = parser.parse_args()
    sys.exit(bool(main(given.processors, given.cell or list(ALL))))
