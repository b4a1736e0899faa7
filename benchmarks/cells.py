"""Cells against PyTorch's own layers, forward and all gradients, or inference: ``python benchmarks/cells.py``.

Equality is asserted first; the competitors take turns in one process; the ratio is the competitor's time over ours, so above 1
is faster than PyTorch. Results are appended to benchmarks/results/cells.jsonl.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import torch

from rondeau import nn

SHAPES = (
    (100, 1, 64, 64), (100, 16, 64, 128), (100, 64, 128, 128), (100, 32, 256, 256), (100, 64, 512, 512), (35, 20, 650, 650),
    (1000, 32, 123, 320),
)  # fmt: skip
KINDS = ("LSTM", "GRU", "RNN")


def pair(
    kind: str, time_: int, batch: int, inputs: int, hidden: int
) -> tuple[Callable[[], None], Callable[[], None], Callable[[], None], Callable[[], None]]:
    """Ours and theirs, training and inference, on the same weights and data."""
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(inputs, hidden)
    ours = getattr(nn, kind)(inputs, hidden)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(time_, batch, inputs, requires_grad=True)
    g = torch.randn(time_, batch, hidden)

    def train(module: torch.nn.Module) -> list[torch.Tensor]:
        module.zero_grad()
        x.grad = None
        y, _ = module(x)
        y.backward(g)
        return [y.detach(), x.grad, *(p.grad for p in module.parameters())]  # type: ignore[list-item]

    def infer(module: torch.nn.Module) -> None:
        with torch.no_grad():
            module(x)

    for a, b in zip(train(ours), [t.clone() for t in train(theirs)]):
        error = (a - b).norm() / (b.norm() + 1e-20)
        assert error < 1e-4, error
    return (lambda: train(ours) and None, lambda: train(theirs) and None, lambda: infer(ours), lambda: infer(theirs))


def clock(functions: tuple[Callable[[], None], ...], seconds: float) -> list[list[float]]:
    """Times of each function, taking turns until so many seconds are over."""
    for function in functions:
        function()
    times: list[list[float]] = [[] for _ in functions]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 5:
        for function, own in zip(functions, times):
            begin = time.perf_counter()
            function()
            own.append(time.perf_counter() - begin)
    return times


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rows", type=int, nargs="*", default=range(len(SHAPES)))
    options = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    out = Path(__file__).parent / "results" / "cells.jsonl"
    out.parent.mkdir(exist_ok=True)
    for row in options.rows:
        for kind in options.kinds:
            shape = SHAPES[row]
            times = clock(pair(kind, *shape), options.seconds)
            least, middle = [min(t) * 1e3 for t in times], [statistics.median(t) * 1e3 for t in times]
            line = {
                "kind": kind, "shape": shape, "train": least[1] / least[0], "train_median": middle[1] / middle[0],
                "infer": least[3] / least[2], "infer_median": middle[3] / middle[2], "ours_ms": least[0], "theirs_ms": least[1],
                "threads": torch.get_num_threads(), "torch": torch.__version__, "machine": platform.machine(), "commit": commit,
            }  # fmt: skip
            with out.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(f"{kind:<5}{shape!s:<24} train {line['train']:.2f} ({line['train_median']:.2f})  infer {line['infer']:.2f} "
                  f"({line['infer_median']:.2f})  ours {least[0]:.2f} ms, theirs {least[1]:.2f} ms", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
