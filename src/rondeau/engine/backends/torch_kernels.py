"""The torch backend: PyTorch's own LSTM, GRU and RNN kernels, when the cell is one of those three."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rondeau.cells import elman, gru, lstm, projected_lstm
from rondeau.engine.backends.double_backward import differentiable_twice
from rondeau.engine.backends.reference import Result
from rondeau.engine.eager.functorch import transforming
from rondeau.engine.eager.padding import reversed_within
from rondeau.engine.scan_inputs import Problem
from rondeau.ir.cell import Cell
from rondeau.ir.expressions import postorder


@dataclass(frozen=True)
class Kernel:
    """One of PyTorch's kernels, and how a cell's parameters become its flat weights (input, hidden, two biases)."""

    function: Callable[..., Any]
    weights: Callable[..., list[Tensor]]


def _single_bias(W: Tensor, U: Tensor, b: Tensor) -> list[Tensor]:
    return [W, U, b, torch.zeros_like(b)]


def _projected(W: Tensor, U: Tensor, b: Tensor, P: Tensor) -> list[Tensor]:
    return [W, U, b, torch.zeros_like(b), P]


def _gru_biases(W: Tensor, U: Tensor, b: Tensor, c: Tensor) -> list[Tensor]:
    return [W, U, b, torch.cat([torch.zeros_like(b[: 2 * len(c)]), c])]


@cache
def _kernels() -> dict[str, Kernel]:
    return {
        signature(lstm()): Kernel(torch.lstm, _single_bias),
        signature(projected_lstm()): Kernel(torch.lstm, _projected),
        signature(gru()): Kernel(torch.gru, _gru_biases),
        signature(elman()): Kernel(torch.rnn_tanh, _single_bias),
        signature(elman("relu")): Kernel(torch.rnn_relu, _single_bias),
    }


@cache
def _lstm() -> str:
    return signature(lstm())


@lru_cache(maxsize=1024)
def signature(cell: Cell) -> str:
    """The equations alone: equal for cells that differ only in names, initial values and prose."""
    names = [item.name for item in cell.declared]
    order = postorder(cell.roots)
    place = {expr: index for index, expr in enumerate(order)}
    gates = {item.name: item.gates for item in cell.parameters}
    lines = []
    for expr in order:
        attrs = list(expr.attrs)
        if expr.op in ("input", "state", "vector", "matrix"):
            attrs[0] = names.index(expr.attrs[0])
        if expr.op in ("vector", "matrix"):
            attrs[1] = gates[expr.attrs[0]].index(expr.attrs[1])
        lines.append((expr.op, [place[arg] for arg in expr.args], [str(a) for a in attrs], str(expr.width)))
    return repr((lines, [place[root] for root in cell.roots], [str(item.width) for item in cell.states]))


def refusal(problem: Problem) -> str | None:
    """Why PyTorch's kernels cannot run the problem, or None when they can."""
    if signature(problem.cell) not in _kernels():
        return f"{problem.cell.name} is not one of PyTorch's LSTM, GRU and RNN"
    if problem.trace:
        return "PyTorch's kernels do not hand out their gates"
    if problem.clip is not None:
        return "PyTorch's kernels do not clip gradients step by step"
    if not problem.batch or not problem.time or not all(size for size in problem.sizes.values()):
        return "PyTorch's kernels refuse empty sequences"
    if problem.sizes.get("projection") == problem.sizes.get("hidden"):
        return "PyTorch takes a projection for none when it is as wide as the hidden state"
    if problem.lengths is not None and problem.x.is_meta:
        return "PyTorch packs no sequences on the device meta"
    if problem.lengths is not None and int(problem.lengths.min()) == 0:
        return "PyTorch's kernels refuse sequences of length 0"
    return transforming(problem.tensors)


def fastest(problem: Problem) -> bool:
    """Whether PyTorch's kernel is the faster one where both apply: its LSTM without a derivative, measured in
    benchmarks/cells.py; its GRU and RNN on the CPU are loops of small operations."""
    if problem.lengths is not None or signature(problem.cell) != _lstm():
        return False
    return not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in problem.tensors))


def run(problem: Problem) -> Result:
    """As `rondeau.engine.backends.reference.run`."""
    y, *state = differentiable_twice(problem, _outputs)
    return y, tuple(state), {}


def _outputs(problem: Problem) -> tuple[Tensor, ...]:
    kernel = _kernels()[signature(problem.cell)]
    weights = kernel.weights(*problem.params.values())
    hidden = tuple(value.unsqueeze(0).contiguous() for value in problem.state)
    initial = hidden if len(hidden) > 1 else hidden[0]
    training = torch.is_grad_enabled()
    x = _turned(problem, problem.x)
    if problem.lengths is None:
        y, *last = kernel.function(x, initial, weights, True, 1, 0.0, training, False, True)
        return (_turned(problem, y), *(value.squeeze(0) for value in last))
    packed = pack_padded_sequence(x, problem.lengths, batch_first=True, enforce_sorted=False)
    order, back_order = packed.sorted_indices, packed.unsorted_indices
    assert order is not None and back_order is not None
    chosen = tuple(value.index_select(1, order) for value in hidden)
    y, *last = kernel.function(
        packed.data,
        packed.batch_sizes,
        chosen if len(chosen) > 1 else chosen[0],
        weights,
        True,
        1,
        0.0,
        training,
        False,
    )
    back = PackedSequence(y, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
    y, _ = pad_packed_sequence(back, batch_first=True, total_length=problem.time)
    return (_turned(problem, y), *(value.squeeze(0).index_select(0, back_order) for value in last))


def _turned(problem: Problem, value: Tensor) -> Tensor:
    if not problem.reverse:
        return value
    return value.flip(1) if problem.lengths is None else reversed_within(value, problem.lengths)
