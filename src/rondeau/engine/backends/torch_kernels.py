"""The torch backend: PyTorch's own LSTM, GRU and RNN kernels, when the cell is one of those three."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rondeau.cells import elman, gru, lstm, projected_lstm
from rondeau.engine.backends.double_backward import with_double_backward
from rondeau.engine.eager.functorch import transforming
from rondeau.engine.eager.padding import reversed_within
from rondeau.engine.inputs.scan_inputs import Result, ScanInputs, States
from rondeau.ir.analysis import signature


@dataclass(frozen=True)
class TorchKernel:
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
def _kernels() -> dict[str, TorchKernel]:
    return {
        signature(lstm()): TorchKernel(torch.lstm, _single_bias),
        signature(projected_lstm()): TorchKernel(torch.lstm, _projected),
        signature(gru()): TorchKernel(torch.gru, _gru_biases),
        signature(elman()): TorchKernel(torch.rnn_tanh, _single_bias),
        signature(elman("relu")): TorchKernel(torch.rnn_relu, _single_bias),
    }


def refusal(inputs: ScanInputs) -> str | None:
    """Why PyTorch's kernels cannot do this run, or None when they can."""
    if signature(inputs.cell) not in _kernels():
        return f"{inputs.cell.name} is not one of PyTorch's LSTM, GRU and RNN"
    if inputs.trace:
        return "PyTorch's kernels do not return their gates"
    if inputs.clip is not None:
        return "PyTorch's kernels do not clip gradients step by step"
    if not inputs.batch or not inputs.time or not all(size for size in inputs.sizes.values()):
        return "PyTorch's kernels refuse empty sequences"
    if inputs.sizes.get("projection") == inputs.sizes.get("hidden"):
        return "PyTorch takes a projection for none when it is as wide as the hidden state"
    if inputs.lengths is not None and inputs.x.is_meta:
        return "PyTorch packs no sequences on the device meta"
    if inputs.lengths is not None and int(inputs.lengths.min()) == 0:
        return "PyTorch's kernels refuse sequences of length 0"
    return transforming(inputs.tensors)


def run(inputs: ScanInputs) -> Result:
    """As every backend's `run`, through PyTorch's kernels."""
    y, *state = with_double_backward(inputs, _outputs)
    return y, tuple(state), {}


def _outputs(inputs: ScanInputs) -> tuple[Tensor, ...]:
    """The output and the last states."""
    kernel = _kernels()[signature(inputs.cell)]
    weights = kernel.weights(*inputs.params.values())
    hidden = tuple(value.unsqueeze(0).contiguous() for value in inputs.state)
    x = _reversed(inputs, inputs.x)
    if inputs.lengths is None:
        y, *last = _dense(kernel, x, hidden, weights)
    else:
        y, *last = _packed(kernel, x, inputs.lengths, hidden, weights)
    return (_reversed(inputs, y), *last)


def _dense(kernel: TorchKernel, x: Tensor, hidden: States, weights: list[Tensor]) -> tuple[Tensor, ...]:
    """A run over sequences of one length."""
    y, *last = kernel.function(x, _alone(hidden), weights, True, 1, 0.0, torch.is_grad_enabled(), False, True)
    return (y, *(value.squeeze(0) for value in last))


def _packed(kernel: TorchKernel, x: Tensor, lengths: Tensor, hidden: States, weights: list[Tensor]) -> tuple[Tensor, ...]:
    """A run over a `PackedSequence`, which lies sorted by length."""
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    order, back_order = packed.sorted_indices, packed.unsorted_indices
    assert order is not None and back_order is not None
    initial = _alone(tuple(value.index_select(1, order) for value in hidden))
    y, *last = kernel.function(packed.data, packed.batch_sizes, initial, weights, True, 1, 0.0, torch.is_grad_enabled(), False)
    padded, _ = pad_packed_sequence(
        PackedSequence(y, packed.batch_sizes, order, back_order), batch_first=True, total_length=x.shape[1]
    )
    return (padded, *(value.squeeze(0).index_select(0, back_order) for value in last))


def _alone(hidden: States) -> Any:
    """Several states as PyTorch's kernels take them, or the only one."""
    return hidden if len(hidden) > 1 else hidden[0]


def _reversed(inputs: ScanInputs, value: Tensor) -> Tensor:
    if not inputs.reverse:
        return value
    return value.flip(1) if inputs.lengths is None else reversed_within(value, inputs.lengths)
