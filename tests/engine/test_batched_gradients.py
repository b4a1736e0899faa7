"""Many gradients at a time: ``is_grads_batched``, vmap over a backward run, vectorized Jacobians."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from rondeau import nn, scan
from rondeau.cells import ALL
from rondeau.nn import Recurrent

CELLS = ["elman", "gru", "lstm", "peephole_lstm_full", "layer_norm_lstm", "clockwork", "min_gru", "projected_lstm"]
OPTIONS: list[dict[str, Any]] = [{}, {"lengths": [5, 0, 3]}, {"lengths": [2, 5, 1], "reverse": True, "clip": 0.05}]


def hold(y: Tensor, leaves: list[Tensor], again: Callable[[], Tensor]) -> None:
    """Batched gradients are those taken one by one, also when they can be differentiated again."""
    many = torch.randn(4, *y.shape, dtype=y.dtype)
    one_by_one = [torch.autograd.grad(y, leaves, v, retain_graph=True, materialize_grads=True) for v in many]
    expected = [torch.stack(values) for values in zip(*one_by_one)]
    how: dict[str, Any] = {"retain_graph": True, "materialize_grads": True}
    ways = [
        torch.autograd.grad(y, leaves, many, is_grads_batched=True, **how),
        torch.func.vmap(lambda v: torch.autograd.grad(y, leaves, v, **how))(many),
        torch.autograd.grad(again(), leaves, many, is_grads_batched=True, create_graph=True, **how),
    ]
    for found in ways:
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("options", OPTIONS, ids=["dense", "lengths", "reverse, clipped"])
@pytest.mark.parametrize("name", CELLS)
def test_recurrent(name: str, options: dict[str, Any]) -> None:
    sizes = {"projection": 3} if "projection" in ALL[name].sizes else {}
    layer = Recurrent(ALL[name], 5, 12, **sizes).double()
    x = torch.randn(3, 5, 5, dtype=torch.float64, requires_grad=True)

    def run() -> Tensor:
        y, state, *_ = scan(layer.cell, layer.params, x, backend="compiled", **options)
        return torch.cat([y.flatten(), *(s.flatten() for s in state)])

    hold(run(), [x, *layer.parameters()], run)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU, nn.RNN])
def test_drop_ins(make: Callable[..., torch.nn.Module], packed: bool) -> None:
    layer = make(5, 6, num_layers=2, bidirectional=True).double()
    x = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=True)

    def run() -> Tensor:
        given = torch.nn.utils.rnn.pack_padded_sequence(x, [4, 2, 1]) if packed else x
        y = layer(given)[0]
        return y.data if packed else y

    hold(run(), [x, *layer.parameters()], run)


@pytest.mark.parametrize("make", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_single_steps(make: Callable[..., torch.nn.Module]) -> None:
    layer = make(5, 6).double()
    x = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)

    def run() -> Tensor:
        out = layer(x)
        return out[0] if isinstance(out, tuple) else out

    hold(run(), [x, *layer.parameters()], run)


@pytest.mark.parametrize("backend", ["compiled", "torch", "reference"])
def test_every_backend(backend: str) -> None:
    layer = Recurrent(ALL["lstm"], 5, 6).double()
    x = torch.randn(3, 5, 5, dtype=torch.float64, requires_grad=True)

    def run() -> Tensor:
        return scan(layer.cell, layer.params, x, backend=backend)[0]

    hold(run(), [x, *layer.parameters()], run)


def test_vectorized_jacobians_and_hessians() -> None:
    layer = nn.GRU(2, 3, batch_first=True).double()
    x = torch.randn(1, 3, 2, dtype=torch.float64)
    for function, value in (
        (torch.autograd.functional.jacobian, lambda x: layer(x)[0]),
        (torch.autograd.functional.hessian, lambda x: layer(x)[0].square().sum()),
    ):
        torch.testing.assert_close(function(value, x, vectorize=True), function(value, x))


@pytest.mark.parametrize("backend", ["compiled", "torch"])
def test_a_gradient_to_differentiate_again_counts_each_path_once(backend: str) -> None:
    """The state of a second chunk depends on the weights of the first, and one matrix may stand in two places."""
    draw = torch.Generator().manual_seed(0)
    W, b, x = (torch.randn(*shape, generator=draw, dtype=torch.float64) for shape in ((4, 4), (4,), (2, 6, 4)))
    for value in (W, b, x):
        value.mul_(0.5).requires_grad_()

    def gradients(backend: str) -> list[Tensor]:
        params = {"W": W, "U": W, "b": b}
        y, state = scan(ALL["elman"], params, x[:, :3], backend=backend)
        z, _ = scan(ALL["elman"], params, x[:, 3:] @ W, state, backend=backend)
        first = torch.autograd.grad((y.square().sum() + z.sin().sum()), [W, b, x], create_graph=True)
        return [*first, *torch.autograd.grad(sum(g.square().sum() for g in first), [W, b, x])]

    for found, expected in zip(gradients(backend), gradients("reference"), strict=True):
        torch.testing.assert_close(found, expected)
