"""What looking costs: a step of training with `rondeau.diagnostics.gradient_flow` against one without, interleaved.

Writes one line of JSON a case: milliseconds (minimum over repetitions), and their ratio.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import torch

from rondeau import nn
from rondeau.diagnostics import gradient_flow

CASES = (("elman", 64, 128), ("gru", 32, 128), ("lstm", 32, 256), ("peephole_lstm", 32, 128), ("layer_norm_lstm", 32, 128))


def timed(function: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - start)


def case(cell: str, batch: int, hidden: int, steps: int, repetitions: int) -> dict[str, object]:
    """One cell and size: both kinds of step, in turn."""
    torch.manual_seed(0)
    layer, x = nn.Recurrent(cell, hidden, hidden), torch.randn(batch, steps, hidden)

    def plain() -> None:
        layer.zero_grad()
        layer(x)[0].square().mean().backward()

    def looking() -> None:
        layer.zero_grad()
        gradient_flow(layer, lambda: layer(x)[0].square().mean(), backward=True)

    for function in (plain, looking, plain, looking):
        function()
    pairs = [(timed(plain), timed(looking)) for _ in range(repetitions)]
    without, with_it = (min(values) for values in zip(*pairs))
    sizes = {"cell": cell, "batch": batch, "steps": steps, "hidden": hidden, "threads": torch.get_num_threads()}
    return {**sizes, "plain_ms": round(without, 2), "flow_ms": round(with_it, 2), "ratio": round(with_it / without, 3)}


def main() -> None:
    """Prints a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repetitions", type=int, default=15)
    given = parser.parse_args()
    for cell, batch, hidden in CASES:
        print(json.dumps(case(cell, batch, hidden, given.steps, given.repetitions)))


if __name__ == "__main__":
    main()
