"""Every cell's kernels between forbidden pages, at awkward sizes; `guard_pages` says how to run all tests so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
import guard_pages

from rondeau import scan
from rondeau.cells import ALL
from rondeau.engine.compile.tiling import Tiling

pytestmark = pytest.mark.skipif(sys.platform == "win32" or not guard_pages.possible(), reason="no pages can be forbidden here")
SIZES = [
    {"input": 5, "hidden": 12, "projection": 3, "output": 1, "context": 3},
    {"input": 33, "hidden": 36, "projection": 17, "output": 35, "context": 18},
]
OPTIONS: list[dict[str, Any]] = [{}, {"lengths": [4, 0, 2, 1, 3, 4, 1], "reverse": True, "clip": 0.5}, {"lengths": [1] * 7}]


@pytest.mark.parametrize("side", guard_pages.SIDES)
@pytest.mark.parametrize("name", ALL)
def test_kernels_stay_within_their_buffers(name: str, side: str, monkeypatch) -> None:
    guard_pages.install(monkeypatch, side)
    item = ALL[name]
    for k, sizes in enumerate(SIZES):
        known = {size: sizes[size] for size in item.sizes}
        dtype = (torch.float64, torch.float32)[k]
        params = {p.name: (0.3 * torch.randn(p.shape(known), dtype=dtype)).requires_grad_() for p in item.parameters}
        for batch, options in zip((1, 7, 7), OPTIONS):
            x = torch.randn(batch, 4, known["input"], dtype=dtype)
            lead = {"step": (batch, 4), "sequence": (batch,)}
            context = {c.name: torch.rand(*lead[c.per], c.width.bind(known), dtype=dtype) for c in item.contexts}
            trace = (item.equations[0].name,)
            runs = []
            for backend in ("compiled", "reference"):
                y, state, traces = scan(item, params, x, context=context, trace=trace, backend=backend, **options)
                total = y.square().sum() + sum(s.sum() for s in state) + traces[trace[0]].sum()
                runs.append((y, *torch.autograd.grad(total, [*params.values()], materialize_grads=True)))
            for a, b in zip(*runs):
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", guard_pages.SIDES)
def test_a_team_stays_within_its_buffers(side: str, two_threads, monkeypatch) -> None:
    guard_pages.install(monkeypatch, side)
    monkeypatch.setattr(Tiling, "team_size", lambda *_: 2)
    item = ALL["peephole_lstm"]
    params = {p.name: torch.randn(p.shape({"input": 5, "hidden": 37})).requires_grad_() for p in item.parameters}
    y, _ = scan(item, params, torch.randn(3, 4, 5), backend="compiled")
    torch.autograd.grad(y.sum(), list(params.values()))


SHORT = """
import sys
import torch
import pytest
sys.path.insert(0, sys.argv[1])
import guard_pages
from rondeau import scan
from rondeau.cells import ALL

class Short(guard_pages.Block):
    '''Every matrix of 8 x 8 has a number less than the kernel reads.'''

    def __init__(self, count, side):
        super().__init__(count - 4 * (count == 256), side)
        self.address -= 4 * (count == 256 and side == "start")
        self.bytes = self.bytes if count != 256 else guard_pages.np.zeros(256, guard_pages.np.uint8)

guard_pages.Block = Short
guard_pages.install(pytest.MonkeyPatch(), sys.argv[2])
print("goes", flush=True)
params = {"W": torch.randn(8, 3), "U": torch.randn(8, 8), "b": torch.zeros(8)}
scan(ALL["elman"], params, torch.randn(1, 4, 3), backend="compiled")
print("went")
"""


@pytest.mark.parametrize("side", guard_pages.SIDES)
def test_a_buffer_that_is_a_number_too_short_is_found(side: str) -> None:
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", SHORT, here, side], capture_output=True, text=True, timeout=300)
    assert done.stdout == "goes\n" and done.returncode < 0, done.stderr


def test_what_is_written_beside_a_block_is_seen() -> None:
    for side in guard_pages.SIDES:
        block = guard_pages.Block.of(np.arange(10.0), side)
        assert block.whole()
        block.usable[5 if side == "end" else -5] = 0
        assert not block.whole()
        block.bytes[:] = 0
        np.testing.assert_array_equal(block.bytes, 0)
