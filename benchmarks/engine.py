"""The engine's figures: ``python benchmarks/engine.py [FIGURE ...]``.

A function measures a figure for one case; its lines are appended to benchmarks/results/engine.jsonl. Times are the least over
repeats, in milliseconds, of competitors that take turns in one process; what needs a fresh process is in probes.py.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from common import fitting, undisturbed, write, zoo_work
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rondeau import scan
from rondeau.benchmark.measure import Competitor, Shape, Timing, Work, assert_equal, gradients, interleave, operations
from rondeau.cells import ALL
from rondeau.engine.compile.levels import Levels
from rondeau.engine.products.multiply import multiply
from rondeau.engine.products.ways import WAYS, possible
from rondeau.ir import Cell
from rondeau.ir.nodes import postorder

Line = dict[str, Any]
SMALL, LARGE = Shape(100, 16, 64, 128), Shape(100, 32, 256, 256)
BUILT = ("lstm", "gru", "peephole_lstm", "highway_rnn", "layer_norm_lstm", "min_gru")


def zoo(shape: Shape, name: str) -> Line:
    """A cell's time per operation in its matrix products, over the LSTM's at the same sizes."""
    own = fitting(ALL[name], shape)
    lstm, work = zoo_work("lstm", shape), zoo_work(name, own)
    assert_equal([work.first().on(backend) for backend in ("reference", "compiled")])
    times = interleave({"lstm": lstm.on("compiled").train, "cell": work.on("compiled").train}, repeats=15)
    flops, base = 3 * operations(work.cell, own), 3 * operations(lstm.cell, shape)
    least, lstm_least = times["cell"].least, times["lstm"].least
    per_flop = (least / flops) / (lstm_least / base)
    return {"cell": name, "shape": sizes(own), "ms": least, "gflops": flops / least / 1e6, "per_flop": per_flop}


def diagonal(shape: Shape, name: str) -> Line:
    """A cell without a product with a state: over its matrix products in PyTorch, and one copy of what goes into the loop
    and comes out of it."""
    work = zoo_work(name, shape)
    assert_equal([work.first().on(backend) for backend in ("reference", "compiled")])
    W = work.params["W"]
    t = interleave(
        {"ours": work.on("compiled").train, "products": projections(work.x, W), "pass": copying(shape, W)}, seconds=1.5
    )
    ratio = t["ours"].least / (t["products"].least + t["pass"].least)
    return {"cell": name, "shape": sizes(shape), **leasts(t), "ratio": ratio}


def has_state_product(cell: Cell) -> bool:
    """Whether a matrix multiplies something that depends on a state."""
    levels = Levels(cell, cell.roots)
    return any(expr.op == "matmul" and levels[expr] == "state" for expr in postorder(cell.roots))


def projections(x: Tensor, W: Tensor) -> Callable[[], None]:
    """The products of a projection and its gradients: W x for all steps, dx and dW."""
    rows, weight = x.detach().reshape(-1, x.shape[-1]), W.detach()
    out, dx, dW = rows.new_empty(len(rows), len(weight)), torch.empty_like(rows), torch.empty_like(weight)
    cotangent = torch.randn_like(out)

    def run() -> None:
        torch.mm(rows, weight.t(), out=out)
        torch.mm(cotangent, weight, out=dx)
        torch.mm(cotangent.t(), rows, out=dW)

    return run


def copying(shape: Shape, W: Tensor) -> Callable[[], object]:
    """One copy of the projected inputs and the outputs."""
    source = torch.randn(shape.time * shape.batch, len(W) + shape.hidden)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def roof(shape: Shape) -> Line:
    """The LSTM's share of the speed of a large matrix product by the fastest way to it on this machine; and what its own large
    products, outside the loop, take."""
    work = zoo_work("lstm", shape)
    a, b, out = torch.randn(2048, 2048), torch.randn(2048, 2048), torch.empty(2048, 2048)
    squares = {name: partial(WAYS[name], a, b, out, None) for name in possible(a.dtype)}
    t = interleave({"ours": work.on("compiled").train, "outside": outside(shape), **squares}, seconds=2)
    flops, large = 3 * operations(work.cell, shape), 2 * 2048**3
    fastest = min(squares, key=lambda name: t[name].least)
    ours, top = flops / t["ours"].least / 1e6, large / t[fastest].least / 1e6
    speeds = {"gflops": ours, "square_gflops": top, "square_by": fastest, "share": ours / top}
    return {"shape": sizes(shape), **leasts(t), **speeds}


def outside(shape: Shape) -> Callable[[], None]:
    """The products that leave an LSTM's loop: those of a projection, and the gradient of the recurrent weights."""
    rows, wide = shape.time * shape.batch, 4 * shape.hidden
    W, h, cotangent = torch.randn(wide, shape.input), torch.randn(rows, shape.hidden), torch.randn(rows, wide)
    x = torch.randn(rows, shape.input)

    def run() -> None:
        for left, right in ((x, W.t()), (cotangent, W), (cotangent.t(), x), (cotangent.t(), h)):
            multiply(left, right)

    return run


def ragged(shape: Shape) -> Line:
    """Lengths drawn evenly from 1 to all steps: time per step that counts, over that of a full batch; and PyTorch's time on
    a sequence packed beforehand, over ours on the padded one."""
    work = zoo_work("lstm", shape)
    lengths = torch.randint(1, shape.time + 1, (shape.batch,))
    lengths[0] = shape.time
    ours, theirs = padded(work, lengths), Packed(work, lengths)
    assert_equal([Competitor("rondeau", ours), Competitor("PyTorch", theirs.padded)])
    t = interleave({"full": work.on("compiled").train, "ours": ours, "theirs": theirs.train}, seconds=3)
    share = int(lengths.sum()) / (shape.time * shape.batch)
    cost = t["ours"].least / t["full"].least / share
    ratio = t["theirs"].least / t["ours"].least
    return {"shape": sizes(shape), **leasts(t), "steps": share, "cost": cost, "against_packed": ratio}


def padded(work: Work, lengths: Tensor) -> Callable[[], dict[str, Tensor]]:
    """An LSTM over the padded batch with lengths."""

    def train() -> dict[str, Tensor]:
        y = scan(work.cell, work.params, work.x, lengths=lengths, backend="compiled")[0]
        return gradients(y, {"x": work.x, **work.params}, work.gradient)

    return train


class Packed:
    """PyTorch's LSTM on the same weights and steps, packed before the clock starts."""

    def __init__(self, work: Work, lengths: Tensor) -> None:
        self.module = torch.nn.LSTM(work.x.shape[-1], work.gradient.shape[-1])
        weights = {"weight_ih_l0": "W", "weight_hh_l0": "U", "bias_ih_l0": "b"}
        given = {own: work.params[name].detach() for own, name in weights.items()}
        self.module.load_state_dict({**given, "bias_hh_l0": torch.zeros_like(given["bias_ih_l0"])})
        self.x, self.gradient = (
            pack_padded_sequence(value.detach(), lengths, batch_first=True, enforce_sorted=False)
            for value in (work.x, work.gradient)
        )
        self.x.data.requires_grad_()
        self.leaves = {"x": self.x.data, **{name: getattr(self.module, own) for own, name in weights.items()}}

    def train(self) -> dict[str, Tensor]:
        """The output and all gradients, packed."""
        return gradients(self.module(self.x)[0].data, self.leaves, self.gradient.data)

    def padded(self) -> dict[str, Tensor]:
        """The same, padded as ours."""
        found = self.train()
        for what in ("the output", "the gradient of x"):
            found[what] = pad_packed_sequence(self.x._replace(data=found[what]), batch_first=True)[0]
        return found


def build(cell: str) -> Line:
    """What the first training step of a cell takes beyond the second, in a fresh process that has run another cell: with an
    empty cache, then from the cache that this leaves. The least of three, in milliseconds."""
    found = [built(cell) for _ in range(3)]
    first, cached = (min(column) * 1e3 for column in zip(*found))
    return {"cell": cell, "shape": [64, 128], "first": first, "cached": cached}


def built(cell: str) -> tuple[float, float]:
    """Seconds with an empty cache, and after."""
    with tempfile.TemporaryDirectory() as folder:
        first, cached = (probe("build", cell, "64", "128", cache=folder)["seconds"] for _ in range(2))
    return first, cached


def memory(shape: Shape) -> Line:
    """The peak of a process that takes three training steps of an LSTM, in MiB, and by how much they raised it."""
    ours, theirs = (probe("memory", which, *map(str, sizes(shape))) for which in ("rondeau", "torch"))
    return {"shape": sizes(shape), "ours": ours, "theirs": theirs, "ratio": ours["after"] / theirs["after"]}


def imports() -> Line:
    """The import of torch, and what rondeau with all its layers adds to it, in milliseconds."""
    found = [probe("imports") for _ in range(5)]
    return {f"{name}_ms": min(one[name] for one in found) * 1e3 for name in ("torch", "rondeau")}


def probe(name: str, *arguments: str, cache: str | None = None) -> dict[str, float]:
    """What a function of probes.py measured in a process of its own."""
    command = [sys.executable, str(Path(__file__).parent / "probes.py"), name, *arguments]
    environment = os.environ | ({"RONDEAU_CACHE": cache} if cache else {})
    return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def sizes(shape: Shape) -> list[int]:
    """Time, batch, input, hidden."""
    return shape.numbers


def leasts(times: dict[str, Timing]) -> dict[str, float]:
    """The shortest time of each competitor."""
    return {name: timing.least for name, timing in times.items()}


ZOO, DIAGONAL = tuple(ALL), tuple(name for name, cell in ALL.items() if not has_state_product(cell))
LONG = Shape(1000, 32, 123, 320)
FIGURES: dict[str, tuple[Callable[..., Line], Iterable[tuple[Any, ...]]]] = {
    "zoo": (zoo, product((LARGE, SMALL), ZOO)),
    "diagonal": (diagonal, product((LARGE, SMALL), DIAGONAL)),
    "roof": (roof, zip((LARGE, Shape(100, 64, 512, 512), Shape(35, 32, 650, 650), LONG))),
    "ragged": (ragged, zip((LARGE, Shape(100, 64, 128, 128), Shape(200, 64, 64, 256)))),
    "build": (build, zip(BUILT)),
    "memory": (memory, zip((LARGE, Shape(100, 64, 512, 512), LONG))),
    "imports": (imports, ((),)),
}
"""Each figure, and the arguments for which it is measured."""


def main() -> None:
    """Measures the figures named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, []], metavar="FIGURE", help=", ".join(FIGURES))
    for name in parser.parse_args().figures or FIGURES:
        figure, cases = FIGURES[name]
        for case in cases:
            write("engine", {"figure": name, **undisturbed(partial(figure, *case))})


if __name__ == "__main__":
    main()
