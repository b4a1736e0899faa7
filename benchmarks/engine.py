"""The engine's figures: ``python benchmarks/engine.py [FIGURE ...]``.

Each function measures one figure and appends lines to benchmarks/results/engine.jsonl. Times are the least over repeats, in
milliseconds, of competitors that take turns in one process; what needs a fresh process is in probes.py.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch
from common import fitting, write, zoo_work
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rondeau import scan
from rondeau.cells import ALL
from rondeau.engine.measure import Competitor, Shape, Timing, Work, assert_equal, gradients, interleave, operations
from rondeau.engine.normalise import levels_of
from rondeau.ir import Cell
from rondeau.ir.expressions import postorder

Lines = Iterator[dict[str, Any]]
SMALL, LARGE = Shape(100, 16, 64, 128), Shape(100, 32, 256, 256)
BUILT = ("lstm", "gru", "peephole_lstm", "highway_rnn", "layer_norm_lstm", "min_gru")


def zoo() -> Lines:
    """Every cell's time per operation in its matrix products, over the LSTM's at the same sizes."""
    for shape in (LARGE, SMALL):
        lstm = zoo_work("lstm", shape)
        for name, cell in ALL.items():
            own = fitting(cell, shape)
            work = zoo_work(name, own)
            ours = work.on("compiled")
            assert_equal([work.first().on(backend) for backend in ("reference", "compiled")])
            times = interleave({"lstm": lstm.on("compiled").train, "cell": ours.train}, seconds=1, repeats=9)
            flops, base = 3 * operations(cell, own), 3 * operations(ALL["lstm"], shape)
            least, lstm_least = times["cell"].least, times["lstm"].least
            ratio = (least / flops) / (lstm_least / base)
            yield {"cell": name, "shape": sizes(own), "ms": least, "gflops": flops / least / 1e6, "per_flop": ratio}


def diagonal() -> Lines:
    """Cells without a product with a state: over their matrix products in PyTorch, and one copy of what goes into the loop
    and comes out of it."""
    for name, cell in ALL.items():
        if has_state_product(cell):
            continue
        for shape in (LARGE, SMALL):
            work = zoo_work(name, shape)
            ours = work.on("compiled")
            assert_equal([work.first().on(backend) for backend in ("reference", "compiled")])
            runs = {
                "ours": ours.train,
                "products": projections(work.x, work.params["W"]),
                "pass": copying(shape, work.params["W"]),
            }
            t = interleave(runs, seconds=2)
            ratio = t["ours"].least / (t["products"].least + t["pass"].least)
            yield {"cell": name, "shape": sizes(shape), **leasts(t), "ratio": ratio}


def has_state_product(cell: Cell) -> bool:
    """Whether a matrix multiplies something that depends on a state."""
    levels = levels_of(cell.roots, cell)
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


def roof() -> Lines:
    """The LSTM's share of the speed of a large matrix product; and what its own large products, outside the loop, take."""
    for shape in (LARGE, Shape(100, 64, 512, 512), Shape(35, 32, 650, 650), Shape(1000, 32, 123, 320)):
        work = zoo_work("lstm", shape)
        a, b, out = torch.randn(2048, 2048), torch.randn(2048, 2048), torch.empty(2048, 2048)
        square: Callable[[], object] = lambda a=a, b=b, out=out: torch.mm(a, b, out=out)  # noqa: E731
        t = interleave({"ours": work.on("compiled").train, "square": square, "outside": outside(shape)}, seconds=5)
        flops, large = 3 * operations(work.cell, shape), 2 * 2048**3
        ours, top = flops / t["ours"].least / 1e6, large / t["square"].least / 1e6
        yield {"shape": sizes(shape), **leasts(t), "gflops": ours, "square_gflops": top, "share": ours / top}


def outside(shape: Shape) -> Callable[[], None]:
    """The products that leave an LSTM's loop: those of a projection, and the gradient of the recurrent weights."""
    rows, wide = shape.time * shape.batch, 4 * shape.hidden
    W, h, cotangent = torch.randn(wide, shape.input), torch.randn(rows, shape.hidden), torch.randn(rows, wide)
    project, dU = projections(torch.randn(rows, shape.input), W), torch.empty(wide, shape.hidden)

    def run() -> None:
        project()
        torch.mm(cotangent.t(), h, out=dU)

    return run


def ragged() -> Lines:
    """Lengths drawn evenly from 1 to all steps: time per step that counts, over that of a full batch; and PyTorch's time on
    a sequence packed beforehand, over ours on the padded one."""
    for shape in (LARGE, Shape(100, 64, 128, 128), Shape(200, 64, 64, 256)):
        work = zoo_work("lstm", shape)
        lengths = torch.randint(1, shape.time + 1, (shape.batch,))
        lengths[0] = shape.time
        ours, theirs = padded(work, lengths), Packed(work, lengths)
        assert_equal([Competitor("rondeau", ours), Competitor("PyTorch", theirs.padded)])
        t = interleave({"full": work.on("compiled").train, "ours": ours, "theirs": theirs.train}, seconds=6)
        share = int(lengths.sum()) / (shape.time * shape.batch)
        cost = t["ours"].least / t["full"].least / share
        ratio = t["theirs"].least / t["ours"].least
        yield {"shape": sizes(shape), **leasts(t), "steps": share, "cost": cost, "against_packed": ratio}


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


def build() -> Lines:
    """What the first training step of a cell takes beyond the second, in a fresh process that has run another cell: with an
    empty cache, then from the cache that this leaves."""
    for cell in BUILT:
        for _ in range(3):
            with tempfile.TemporaryDirectory() as folder:
                first, later = (probe("build", cell, "64", "128", cache=folder) for _ in range(2))
            yield {"cell": cell, "shape": [64, 128], "first": first["seconds"], "cached": later["seconds"]}


def memory() -> Lines:
    """The peak of a process that takes three training steps of an LSTM, in MiB, and by how much they raised it."""
    for shape in (LARGE, Shape(100, 64, 512, 512), Shape(1000, 32, 123, 320)):
        ours, theirs = (probe("memory", which, *map(str, sizes(shape))) for which in ("rondeau", "torch"))
        yield {"shape": sizes(shape), "ours": ours, "theirs": theirs, "ratio": ours["after"] / theirs["after"]}


def imports() -> Lines:
    """Seconds that the import of rondeau adds to that of torch."""
    found = [probe("imports") for _ in range(5)]
    yield {name: min(one[name] for one in found) for name in ("torch", "rondeau")}


def probe(name: str, *arguments: str, cache: str | None = None) -> dict[str, float]:
    """What a function of probes.py measured in a process of its own."""
    command = [sys.executable, str(Path(__file__).parent / "probes.py"), name, *arguments]
    environment = os.environ | ({"RONDEAU_CACHE": cache} if cache else {})
    return json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def sizes(shape: Shape) -> list[int]:
    """Time, batch, input, hidden."""
    return list(astuple(shape))


def leasts(times: dict[str, Timing]) -> dict[str, float]:
    """The shortest time of each competitor."""
    return {name: timing.least for name, timing in times.items()}


FIGURES: dict[str, Callable[[], Lines]] = {
    "zoo": zoo, "diagonal": diagonal, "roof": roof, "ragged": ragged, "build": build, "memory": memory, "imports": imports,
}  # fmt: skip


def main() -> None:
    """Measures the figures named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, []], metavar="FIGURE", help=", ".join(FIGURES))
    for name in parser.parse_args().figures or FIGURES:
        for line in FIGURES[name]():
            write("engine", {"figure": name, **line})


if __name__ == "__main__":
    main()
