"""The gradient of every parameter, taken apart by how many steps it went back: dL/dW = term(0) + term(1) + term(2) + ..."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rondeau.diagnostics.runs import Forward, Run, captured, scalar
from rondeau.diagnostics.steps import Rows, Steps
from rondeau.errors import InputError
from rondeau.ir import Cell


@dataclass(frozen=True, eq=False)
class ByLag:
    """The terms of the gradient of every parameter and gate.

    Attributes:
        loss: L, the sum of the losses of all steps.
        lags: (lag,), in steps: a term at lag k is of the weight's use k steps before the loss. Negative lags are what a loss
            draws from later steps, through a layer that reads backward.
        terms: by layer, parameter and gate, such as ``0.U.r``: (lag, *shape), in units of the loss over units of the weight.
            They sum over lags to the gradient.
    """

    loss: float
    lags: np.ndarray
    terms: Mapping[str, np.ndarray]

    def total(self, name: str) -> np.ndarray:
        """The gradient itself: the sum of the terms."""
        found: np.ndarray = self.terms[name].sum(0)
        return found

    def norms(self, name: str) -> np.ndarray:
        """The norm of each term, (lag,)."""
        terms = self.terms[name]
        found: np.ndarray = np.linalg.norm(terms.reshape(len(terms), -1), axis=1)
        return found

    def shares(self, name: str) -> np.ndarray:
        """Which part of the gradient each term makes, along the gradient itself, (lag,): they sum to one, and one that pulls
        against it is negative. Zeros where the gradient is zero."""
        total = self.total(name).ravel()
        square = float(total @ total)
        flat = self.terms[name].reshape(len(self.lags), -1)
        found: np.ndarray = flat @ total / square if square else np.zeros(len(self.lags))
        return found

    def reach(self, name: str, part: float = 0.01) -> int:
        """The largest lag whose term has at least ``part`` of the norm of the largest; 0 where all are zero."""
        norms = self.norms(name)
        large = np.flatnonzero(norms >= part * norms.max()) if norms.any() else np.array([], int)
        return int(np.abs(self.lags[large]).max()) if len(large) else 0


def by_lag(model: nn.Module, losses: Forward) -> ByLag:
    """The gradient of every parameter of a model's recurrent layers, taken apart by lag.

    With one loss a step the lag is counted from the step of the loss, through all layers above. With a loss that is one number
    it is counted in each layer from the step whose output the gradient comes from, so what an upper layer carried back is not
    counted below; for a model with one recurrent layer whose loss reads each output at its own step, both are the same. Costs
    about as many backward passes as there are steps. A clip of the layer is left out.

    Args:
        model: any module with recurrent layers in it.
        losses: runs the model and returns the loss of each step, (time,), summed over the batch; or one number.

    Raises:
        InputError: nothing recurrent ran, or what is returned is no such loss.

    Example:
        >>> from rondeau.nn import Recurrent
        >>> layer = Recurrent("gru", 3, 5)
        >>> found = by_lag(layer, lambda: layer(torch.randn(2, 4, 3))[0].square().sum((0, 2)))
        >>> found.lags.tolist(), found.terms["layer.U.r"].shape
        ([0, 1, 2, 3], (4, 5, 5))
    """
    with torch.enable_grad():
        result, runs = captured(model, losses)
    _check(result)
    arrived = [_Arrived(run) for run in runs]
    for step, loss in enumerate(result) if result.dim() else [(None, scalar(result))]:
        wanted = [tensor for run in runs for tensor in (run.y, *run.last)]
        if loss.requires_grad:
            found = iter(torch.autograd.grad(loss, wanted, retain_graph=True, allow_unused=True))
            for place in arrived:
                place.take(step, next(found), [next(found) for _ in place.run.last])
    terms = {f"{a.run.name}.{name}": values for a in arrived for name, values in _by_gate(a.run, _terms(a)).items()}
    return _aligned(float(result.detach().sum()), terms)


def _check(result: Any) -> None:
    if not isinstance(result, Tensor) or result.dim() > 1 or not result.requires_grad:
        got = f"a tensor {tuple(result.shape)}" if isinstance(result, Tensor) else type(result).__name__
        raise InputError(f"the function should return a loss for each step, (time,), or one number, but returned {got}")


class _Arrived:
    """What of a loss arrives at the outputs and last states of a run, by lag, its steps in the order in which it took them."""

    def __init__(self, run: Run) -> None:
        self.run, self.steps = run, Steps(run)
        self.outputs: dict[int, Tensor] = defaultdict(lambda: torch.zeros_like(run.y))
        self.states: dict[int, list[Tensor]] = defaultdict(lambda: [torch.zeros_like(v) for v in self.steps.before])

    def take(self, step: int | None, output: Tensor | None, last: list[Tensor | None]) -> None:
        """Adds the gradient of a loss at one step, or of one that belongs to no step: its lag is zero wherever it arrives."""
        rows = torch.arange(self.steps.batch)
        if output is not None:
            given = self.steps.in_time(output)
            for at in given.any(-1).any(0).nonzero().flatten().tolist():
                for lag, which in self._lags(step, at):
                    self.outputs[lag][which, at] += given[which, at]
        ends = (self.run.lengths - 1).clamp(min=0)
        for index, gradient in enumerate(last):
            for row in rows[self.run.lengths > 0] if gradient is not None else []:
                at = int(ends[row])
                for lag, which in self._lags(step, at):
                    if row in which:
                        assert gradient is not None
                        self.states[lag][index][row, at] += gradient[row]

    def _lags(self, step: int | None, at: int) -> Iterator[tuple[int, Tensor]]:
        """How far each sequence's step ``at`` lies before the loss: each lag with the sequences that have it."""
        rows = torch.arange(self.steps.batch)
        if step is None:
            yield 0, rows
            return
        lags = self.run.lengths - 1 - step - at if self.run.reverse else torch.full_like(rows, step - at)
        for lag in lags.unique().tolist():
            yield lag, rows[lags == lag]


def _terms(arrived: _Arrived) -> dict[int, dict[str, Tensor]]:
    """The gradient of every parameter by lag.

    The gradient that reaches the states k steps before the loss, at all steps at once, is pulled back by one step: into the
    parameters, which is the term of lag k, and into the states k + 1 steps before it.
    """
    steps = arrived.steps
    if not steps.batch or not steps.time:
        return {}
    rows, found = steps.rows(), {}
    reached = [torch.zeros_like(value) for value in steps.before]
    known = {*arrived.outputs, *arrived.states}
    lag = min(known, default=0)
    while lag <= max(known, default=-1) or any(bool(value.any()) for value in reached):
        output = arrived.outputs.get(lag)
        more = arrived.states.get(lag)
        states = [a + b for a, b in zip(reached, more)] if more else reached
        below, found[lag] = _pulled(rows, output, states)
        reached = [_earlier(value, like) for value, like in zip(below, steps.before)]
        lag += 1
    return found


def _pulled(rows: Rows, output: Tensor | None, states: list[Tensor]) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    flat = None if output is None else output.reshape(len(rows.x), -1)
    return rows.pull(flat, [value.reshape(len(rows.x), -1) for value in states])


def _earlier(value: Tensor, like: Tensor) -> Tensor:
    """What reaches the states before each step, as what reaches those after the step before it."""
    return torch.cat([value.reshape(like.shape)[:, 1:], torch.zeros_like(like[:, :1])], 1)


def _by_gate(run: Run, terms: dict[int, dict[str, Tensor]]) -> dict[str, dict[int, Tensor]]:
    """The terms of each gate of each parameter."""
    found: dict[str, dict[int, Tensor]] = defaultdict(dict)
    for lag, values in terms.items():
        for label, part in gates_of(run.cell, values):
            found[label][lag] = part
    return found


def gates_of(cell: Cell, values: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The blocks of packed parameters, each under its name, such as ``U.r``, or ``b`` where there is one without a name."""
    for item in cell.parameters:
        for gate, part in zip(item.gates, values[item.name].chunk(len(item.gates))):
            yield f"{item.name}.{gate}" if gate else item.name, part


def _aligned(loss: float, terms: dict[str, dict[int, Tensor]]) -> ByLag:
    """All terms over the same lags, from the first that is not zero to the last."""
    kept = sorted({lag for values in terms.values() for lag, term in values.items() if bool(term.any())})
    lags = np.arange(kept[0], kept[-1] + 1) if kept else np.arange(1)
    full = {}
    for name, values in terms.items():
        zero = torch.zeros_like(next(iter(values.values())))
        full[name] = torch.stack([values.get(int(lag), zero) for lag in lags]).cpu().numpy()
    return ByLag(loss, lags, full)
