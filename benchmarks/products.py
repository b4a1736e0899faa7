"""Large matrix products by every way to them: ``python benchmarks/products.py [--threads 1] [--seconds 2] [--seed 0]``.

The three layouts of a 2048 x 2048 square, then the four products that leave an LSTM's loop at each size of cells.py. Equality
is asserted first; the ways take turns; GFLOP/s of the least time of each, and which way `rondeau` takes. One thread is timed by
its own clock, which other work on the machine moves little. Results are appended to benchmarks/results/products.jsonl.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from common import write
from torch import Tensor

from cells import SHAPES
from rondeau.benchmark.measure import Shape
from rondeau.benchmark.processor import processor
from rondeau.engine.products import choice
from rondeau.engine.products.ways import WAYS, Name, possible
from rondeau.errors import RunError

LIMIT = 1e-5
Product = tuple[str, Tensor, Tensor]


def squares(size: int = 2048) -> Iterator[Product]:
    """A square, each operand as it lies or transposed."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    yield from (("square NN", left, right), ("square NT", left, right.t()), ("square TN", left.t(), right))


def outside(shape: Shape) -> Iterator[Product]:
    """What leaves an LSTM's loop: the projection, the gradient of the input, of its weights, and of the recurrent weights."""
    rows, wide = shape.time * shape.batch, 4 * shape.hidden
    x, h, cotangent = torch.randn(rows, shape.input), torch.randn(rows, shape.hidden), torch.randn(rows, wide)
    W = torch.randn(wide, shape.input)
    yield from (("W x", x, W.t()), ("dx", cotangent, W), ("dW", cotangent.t(), x), ("dU", cotangent.t(), h))


def measured(left: Tensor, right: Tensor, seconds: float) -> dict[Name, float]:
    """GFLOP/s of each way, all into the same memory."""
    out, wanted = left.new_empty(len(left), right.shape[1]), left.double() @ right.double()
    runs: dict[Name, Callable[[], Tensor]] = {
        name: lambda way=WAYS[name]: way(left, right, out, None)  # type: ignore[misc]
        for name in possible(left.dtype)
    }
    for name, run in runs.items():
        apart = float((run() - wanted).norm() / wanted.norm())
        if not apart <= LIMIT:
            raise RunError(f"{name} is off by {apart:.1e}; its time means nothing")
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    least, end = dict.fromkeys(runs, float("inf")), time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, run in runs.items():
            begin = clock()
            run()
            least[name] = min(least[name], clock() - begin)
    return {name: 2e-9 * left.numel() * right.shape[1] / took for name, took in least.items()}


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    print(processor(), f"{options.threads} threads", flush=True)
    sizes: list[tuple[Any, Iterator[Product]]] = [(None, squares()), *((s, outside(Shape(*s))) for s in SHAPES)]
    for shape, products in sizes:
        for name, left, right in products:
            speeds = {way: round(speed, 1) for way, speed in measured(left, right, options.seconds).items()}
            taken = choice.chosen(choice.Shape.of(left, right))
            size = [*left.shape, right.shape[1]]
            write("products", {"shape": shape, "product": name, "size": size, "gflops": speeds, "taken": taken})


if __name__ == "__main__":
    main()
