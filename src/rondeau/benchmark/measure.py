"""Measuring: competitors that do the same work, whose results are compared first, then timed in turn in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from rondeau.benchmark.processor import processor
from rondeau.engine import BackendChoice, scan
from rondeau.engine.compile.levels import Levels
from rondeau.errors import RunError
from rondeau.ir.cell import Cell
from rondeau.ir.nodes import postorder
from rondeau.ir.rewrite import primitive

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}
"""How far results may lie apart: the norm of the difference over the norm."""
STEPS = 20
"""The steps on which results are compared: over a hundred, some amplify the rounding of float32 without bound."""


@dataclass(frozen=True)
class Shape:
    """The size of a run; ``others`` are sizes of the cell beside ``input`` and ``hidden``, by name."""

    time: int
    batch: int
    input: int
    hidden: int
    others: tuple[tuple[str, int], ...] = ()

    @property
    def numbers(self) -> list[int]:
        """Time, batch, input and hidden."""
        return [self.time, self.batch, self.input, self.hidden]

    def sizes(self, cell: Cell) -> dict[str, int]:
        """The named sizes of a cell; those that are not given are as large as the hidden state."""
        given = {"input": self.input, **dict(self.others)}
        return {name: given.get(name, self.hidden) for name in cell.sizes}


@dataclass(frozen=True)
class Competitor:
    """One way to do the work. ``train`` returns the output and all gradients by name, ``infer`` the output."""

    name: str
    train: Callable[[], Mapping[str, Tensor]]
    infer: Callable[[], Tensor] | None = None


@dataclass(frozen=True)
class Timing:
    """The seconds of each repeat."""

    seconds: tuple[float, ...]

    @property
    def least(self) -> float:
        """The shortest, in milliseconds."""
        return min(self.seconds) * 1e3

    @property
    def median(self) -> float:
        """The one in the middle, in milliseconds."""
        return statistics.median(self.seconds) * 1e3


@dataclass(frozen=True)
class Work:
    """A cell's run on random data: ``gradient`` is that of the output; contexts and masks are drawn as in training."""

    cell: Cell
    params: Mapping[str, Tensor]
    x: Tensor  # (batch, time, input)
    extras: Mapping[str, Tensor]
    gradient: Tensor  # (batch, time, output)

    def on(self, backend: BackendChoice) -> Competitor:
        """This work on a backend of `rondeau.scan`."""
        return Competitor(backend, lambda: self._train(backend), lambda: self._infer(backend))

    def first(self, steps: int = STEPS) -> Work:
        """The same work on the first steps only."""
        moving = {item.name for item in self.cell.inputs if item.per == "step"}
        extras = {name: value[:, :steps] if name in moving else value for name, value in self.extras.items()}
        x = self.x.detach()[:, :steps].clone().requires_grad_()
        return replace(self, x=x, extras=extras, gradient=self.gradient[:, :steps])

    def options(self) -> dict[str, Any]:
        """The contexts and masks as `rondeau.scan` takes them."""
        given: dict[str, dict[str, Tensor]] = {"context": {}, "mask": {}}
        for item in self.cell.inputs[1:]:
            given[item.role][item.name] = self.extras[item.name]
        return {"context": given["context"] or None, "masks": given["mask"] or None}

    def _scan(self, backend: BackendChoice) -> Tensor:
        return scan(self.cell, self.params, self.x, backend=backend, **self.options())[0]

    def _train(self, backend: BackendChoice) -> dict[str, Tensor]:
        return gradients(self._scan(backend), {"x": self.x, **self.params}, self.gradient)

    def _infer(self, backend: BackendChoice) -> Tensor:
        with torch.no_grad():
            return self._scan(backend)


def work(cell: Cell, params: Mapping[str, Tensor], shape: Shape) -> Work:
    """A run of ``cell`` on random data, of the type of its parameters, which are given by name.

    Raises:
        InputError: the cell's widths do not come out whole at this shape.
    """
    sizes = shape.sizes(cell)
    like = next(iter(params.values()))
    x = torch.randn(shape.batch, shape.time, shape.input, dtype=like.dtype, requires_grad=True)
    extras = {}
    for item in cell.inputs[1:]:
        lead = (shape.batch, shape.time) if item.per == "step" else (shape.batch,)
        value = torch.rand(*lead, item.width.bind(sizes), dtype=like.dtype)
        extras[item.name] = (value < item.probability).to(like.dtype) * item.scale if item.role == "mask" else value
    gradient = torch.randn(shape.batch, shape.time, cell.output.width.bind(sizes), dtype=like.dtype)
    return Work(cell, {name: value.detach().clone().requires_grad_() for name, value in params.items()}, x, extras, gradient)


def layer(name: str, module: torch.nn.Module, x: Tensor, gradient: Tensor) -> Competitor:
    """A module that returns its output first, as a competitor on ``x``, whose gradient is taken too."""
    leaves = {"x": x, **dict(module.named_parameters())}

    def infer() -> Tensor:
        with torch.no_grad():
            return module(x)[0]

    return Competitor(name, lambda: gradients(module(x)[0], leaves, gradient), infer)


def gradients(y: Tensor, leaves: Mapping[str, Tensor], gradient: Tensor) -> dict[str, Tensor]:
    """The output, and by name the gradients of the leaves from that of the output."""
    found = torch.autograd.grad(y, list(leaves.values()), gradient)
    return {"the output": y.detach(), **{f"the gradient of {name}": g for name, g in zip(leaves, found)}}


def assert_equal(competitors: Sequence[Competitor]) -> None:
    """Compares every competitor's results with those of the first.

    Raises:
        RunError: they differ; the message says where and by how much.
    """
    first, *others = competitors
    wanted = _results(first)
    for other in others:
        for what, got in _results(other).items():
            apart = float((wanted[what] - got).norm() / (wanted[what].norm() + 1e-20))
            if not apart <= TOLERANCE[got.dtype]:
                raise RunError(f"{first.name} and {other.name} differ in {what} by {apart:.1e}; their times mean nothing")


def _results(competitor: Competitor) -> dict[str, Tensor]:
    inferred = {} if competitor.infer is None else {"the output of inference": competitor.infer()}
    return {**competitor.train(), **inferred}


def interleave(
    runs: Mapping[str, Callable[[], object]], seconds: float = 0.0, repeats: int = 5, warm: int = 0
) -> dict[str, Timing]:
    """Times functions that take turns, at least ``repeats`` rounds and until ``seconds`` are over.

    A round before is not counted. ``warm`` runs precede each timed one: threads of another library's pool go on spinning on
    the same cores for a while after its turn.
    """
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    end, rounds = time.perf_counter() + seconds, 0
    while time.perf_counter() < end or rounds < repeats:
        rounds += 1
        for name, run in runs.items():
            for _ in range(warm):
                run()
            begin = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begin)
    return {name: Timing(tuple(own)) for name, own in times.items()}


def operations(cell: Cell, shape: Shape) -> int:
    """The multiplications and additions in the matrix products of a run forward; all gradients take twice as many more.

    Products of what stays the same for a sequence, such as a context, count once for the sequence.

    Example:
        >>> from rondeau.cells import lstm
        >>> operations(lstm(), Shape(time=10, batch=2, input=3, hidden=5)) == 2 * 10 * 2 * (4 * 5 * 3 + 4 * 5 * 5)
        True
    """
    sizes = shape.sizes(cell)
    program = primitive(cell.roots)
    roots = [program[root] for root in cell.roots]
    levels = Levels(cell, roots)
    times = {"constant": 1, "sequence": shape.batch, "step": shape.batch * shape.time, "state": shape.batch * shape.time}
    products = [expr for expr in postorder(roots) if expr.op == "matmul"]
    return sum(2 * e.width.bind(sizes) * e.args[1].width.bind(sizes) * times[levels[e]] for e in products)


def circumstances() -> dict[str, Any]:
    """What a figure depends on besides the code."""
    return {"threads": torch.get_num_threads(), "torch": torch.__version__, "machine": processor()}
