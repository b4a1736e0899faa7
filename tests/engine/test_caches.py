"""What the engine remembers is bounded, and letting it go does no harm to what is still in use."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import rondeau
from rondeau import cells, scan
from rondeau.engine import Stepper
from rondeau.engine.backends import compiled
from rondeau.engine.llvm import build
from rondeau.engine.llvm.host import Host
from rondeau.engine.runtime import batch_rows as rows
from rondeau.engine.runtime import program

CONSTANT = {
    "rondeau.engine.llvm.build.machine",
    "rondeau.engine.llvm.build._passes",
    "rondeau.engine.llvm.build._versions",
    "rondeau.engine.backends.torch_kernels._kernels",
    "rondeau.engine.compile.printing.debug_level",
    "rondeau.engine.llvm.processors.chosen_processor",
    "rondeau.engine.llvm.processors.host_processor",
    "rondeau.engine.llvm.openmp._pool",
    "rondeau.engine.llvm.openmp.yield_address",
    "rondeau.engine.llvm.openmp.openmp",
    "rondeau.engine.products.ways._kernel",
    "rondeau.engine.products.ways._has_onednn",
}
"""Caches without a bound, of which there are but a few values ever."""


def test_every_cache_has_a_bound() -> None:
    found = {}
    for module in pkgutil.walk_packages(rondeau.__path__, "rondeau."):
        if not module.name.endswith("__main__"):
            for value in vars(importlib.import_module(module.name)).values():
                if hasattr(value, "cache_parameters"):
                    found[f"{value.__module__}.{value.__qualname__}"] = value.cache_parameters()["maxsize"]
    assert {name for name, most in found.items() if most is None and name.startswith("rondeau.engine")} == CONSTANT
    bounds = {name: 1024 if name.startswith("rondeau.engine") else 1 << 17 for name in found}
    assert all(most <= bounds[name] for name, most in found.items() if most is not None)
    assert compiled.PROGRAMS.made.cache_parameters()["maxsize"] == program.PROGRAMS <= 128


@pytest.fixture
def few(monkeypatch) -> Iterator[None]:
    """Three programs at most."""
    build._built.clear()
    monkeypatch.setattr(compiled, "PROGRAMS", program.Programs(Host(), 3))
    yield
    gc.collect()


def started(hidden: int, seed: int = 0) -> tuple[Tensor, list[Tensor]]:
    draw = torch.Generator().manual_seed(seed)
    weights = [torch.randn(4 * hidden, width, generator=draw) for width in (3, hidden)] + [torch.zeros(4 * hidden)]
    leaves = [torch.randn(2, 5, 3, generator=draw), *weights]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    y, _ = scan(cells.lstm(), dict(zip("WUb", leaves[1:])), leaves[0], backend="compiled")
    return y.square().sum(), leaves


def finished(total: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(total, leaves))


def test_kernels_of_changing_sizes_are_let_go(few) -> None:
    gc.disable()  # nothing waits for it
    try:
        for hidden in range(4, 14):
            finished(*started(hidden))
            assert len(build._built) <= 2 * 3
        assert len(build._built) == 2 * 3
        compiled.PROGRAMS.made.cache_clear()
        assert len(build._built) == 0
    finally:
        gc.enable()


def test_a_graph_keeps_its_kernels(few) -> None:
    expected = finished(*started(4))
    waiting = started(4)
    for hidden in range(5, 12):
        finished(*started(hidden))
    gc.collect()
    for a, b in zip(finished(*waiting), expected, strict=True):
        assert torch.equal(a, b)


def test_a_stepper_keeps_its_kernels(few) -> None:
    params = {"W": torch.eye(2), "U": torch.zeros(2, 2), "b": torch.zeros(2)}
    stepper = Stepper(cells.elman("relu"), params, torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    for hidden in range(5, 12):
        finished(*started(hidden))
    gc.collect()
    assert stepper.step(1).tolist() == [0.0, 2.0]


def test_threads_let_go_what_others_run(few) -> None:
    expected = {hidden: finished(*started(hidden)) for hidden in range(4, 12)}
    wrong: list[int] = []

    def work(first: int) -> None:
        for k in range(30):
            hidden = 4 + (first + k) % 8
            found = finished(*started(hidden))
            wrong.extend([hidden] * (not all(map(torch.equal, found, expected[hidden]))))

    workers = [threading.Thread(target=work, args=(first,)) for first in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


def test_a_program_remembers_few_frames() -> None:
    params = {"W": torch.randn(4, 3), "U": torch.randn(4, 4), "b": torch.zeros(4)}
    for time in range(1, program.FRAMES + 20):
        scan(cells.elman(), params, torch.randn(1, time, 3), backend="compiled")
    found = [p for p in gc.get_objects() if type(p) is program.Program]
    assert found and all(len(p.framed) <= program.FRAMES for p in found)


def test_long_tables_of_rows_are_not_remembered() -> None:
    rows._dense.cache_clear()
    assert rows.dense(2, rows.REMEMBERED + 1, False, 1, 1, False).count == 2 * (rows.REMEMBERED + 1)
    assert rows._dense.cache_info().currsize == 0
    assert rows.dense(2, 5, False, 1, 1, False) is rows.dense(2, 5, False, 1, 1, False)


GROWTH = """
import gc
import torch
from rondeau import cells
from rondeau.engine.backends import compiled
from rondeau.engine.llvm.host import Host
from rondeau.engine.runtime.program import Programs
from rondeau.nn import Recurrent

compiled.PROGRAMS = Programs(Host(), 4)

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def train(hidden):
    y, _ = Recurrent(cells.elman(), 3, hidden)(torch.randn(2, 3, 3))
    y.sum().backward()

for hidden in range(4, 28):
    train(hidden)
gc.collect()
before = resident()
for hidden in range(28, 64):
    train(hidden)
gc.collect()
print((resident() - before) / 36)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not say how much memory a process has")
def test_memory_stands_still_while_sizes_change(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RONDEAU_CACHE", str(tmp_path))
    source: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 600, "check": True}
    grown = float(subprocess.run([sys.executable, "-c", GROWTH], **source).stdout)
    assert grown < 100_000  # bytes a cell of a new size; each takes some 500,000 while it is kept
