"""What a small run costs: ``python benchmarks/small_runs.py [--repeats N]``.

Recurrent layers against PyTorch's, in microseconds, the least over repeats in which the two take turns in one process on one
thread: a step without gradients, and forward with all gradients. A step through ``layer.stepper()`` is in stepper.py.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from common import write
from torch import Tensor, nn

from rondeau.benchmark.processor import processor
from rondeau.nn import Recurrent

STEP = (1, 1, 64, 64)
TRAINED = [(1, 1, 64, 64), (30, 32, 8, 32), (50, 128, 16, 64)]
"""Time, batch, input, hidden."""
REPEATS = 2000


def least(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Microseconds of each, the least of so many turns."""
    found = dict.fromkeys(runs, float("inf"))
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter_ns()
            run()
            found[name] = min(found[name], (time.perf_counter_ns() - start) / 1e3)
    return found


def pair(name: str, input_size: int, hidden: int) -> dict[str, nn.Module]:
    """PyTorch's layer and ours, on the same weights."""
    theirs: nn.RNNBase = {"lstm": nn.LSTM, "gru": nn.GRU}[name](input_size, hidden, batch_first=True)
    return {"torch": theirs, "rondeau": Recurrent.from_torch(theirs)}


def trained(layer: nn.Module, x: Tensor, g: Tensor) -> None:
    """A run forward and back; the gradients add up."""
    layer(x)[0].backward(g)


def measured(what: str, name: str, shape: tuple[int, int, int, int], repeats: int) -> dict[str, Any]:
    """One line of results: equal outputs first, then the times."""
    steps, batch, width, hidden = shape
    training = what == "train"
    layers = pair(name, width, hidden)
    x, g = torch.randn(batch, steps, width), torch.randn(batch, steps, hidden)
    torch.testing.assert_close(*(layer(x)[0] for layer in layers.values()))
    x.requires_grad_(training)
    runs = {kind: partial(trained, layer, x, g) if training else partial(layer, x) for kind, layer in layers.items()}
    with torch.set_grad_enabled(training):
        found = least(runs, max(20, repeats // (steps * max(1, batch // 8))))
    return {"run": what, "cell": name, "shape": shape, **found, "ratio": found["torch"] / found["rondeau"]}


def main() -> None:
    """Measures, prints and keeps all lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS, help="turns at the smallest size")
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(processor())
    for name in ("lstm", "gru"):
        for what, shape in (("step", STEP), *(("train", shape) for shape in TRAINED)):
            write("small_runs", measured(what, name, shape, repeats))


if __name__ == "__main__":
    main()
