"""What comes out of a layer may be changed in place, as after PyTorch's layers, and the gradients stay right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from rondeau import nn, scan
from rondeau.cells import get


def zeroed(value: Tensor) -> Tensor:
    value[0] = 0
    return value


def without_first(value: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(value[:1]), value[1:]])


CHANGES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "add": (lambda v: v.add_(1), lambda v: v + 1),
    "assign": (zeroed, without_first),
    "relu": (torch.nn.ReLU(inplace=True), torch.nn.ReLU()),
    "view": (lambda v: v.transpose(0, -1)[1:].mul_(3), lambda v: v.transpose(0, -1)[1:] * 3),
}
LAYERS = {
    "LSTM": {}, "GRU": {}, "RNN": {}, "relu": {"nonlinearity": "relu"}, "projected": {"proj_size": 2},
}  # fmt: skip


def layer(kind: str, **options: Any) -> Any:
    name = {"relu": "RNN", "projected": "LSTM"}.get(kind, kind)
    return getattr(nn, name)(3, 4, dtype=torch.float64, **LAYERS[kind], **options)


def slopes(module: Any, x: Any, change: Callable[[Tensor], Tensor], of_state: bool) -> tuple[Tensor, ...]:
    y, state = module(x)
    y = y.data if isinstance(y, PackedSequence) else y
    state = state[0] if isinstance(state, tuple) else state
    y, state = (y, change(state)) if of_state else (change(y), state)
    return torch.autograd.grad(y.square().sum() + state.square().sum(), list(module.parameters()))


@pytest.mark.parametrize("of_state", [False, True], ids=["output", "state"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("form", ["batch", "unbatched", "packed"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_drop_ins(kind: str, batch_first: bool, bidirectional: bool, form: str, change: str, of_state: bool) -> None:
    module = layer(kind, batch_first=batch_first, bidirectional=bidirectional)
    x: Any = torch.randn(*(() if form == "unbatched" else (5,)), 5, 3, dtype=torch.float64)
    x = pack_padded_sequence(x, torch.tensor([5, 4, 2, 2, 1]), batch_first) if form == "packed" else x
    in_place, copied = CHANGES[change]
    for a, b in zip(slopes(module, x, in_place, of_state), slopes(module, x, copied, of_state)):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("kind", ["GRU", "RNN", "projected"])
def test_where_pytorch_allows_it_so_do_we(kind: str) -> None:
    ours = layer(kind)
    theirs = getattr(torch.nn, ours._get_name())(3, 4, dtype=torch.float64, **LAYERS[kind])
    theirs.load_state_dict(ours.state_dict())
    body = [torch.nn.Sequential(torch.nn.Dropout(0.5, inplace=True)) for _ in range(2)]
    x, found = torch.randn(6, 2, 3, dtype=torch.float64), []
    for module, above in zip((ours, theirs), body):
        torch.manual_seed(0)
        y = above(module(x)[0])
        y += 1
        found.append(torch.autograd.grad(y.square().sum(), list(module.parameters())))
    for a, b in zip(*found):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("name", ["elman", "gru", "projected_lstm", "layer_norm_lstm", "min_gru", "lstm_coupled"])
@pytest.mark.parametrize("lengths", [None, [5, 3]], ids=["dense", "ragged"])
@pytest.mark.parametrize("change", CHANGES)
def test_any_cell(name: str, backend: str, lengths: list[int] | None, change: str) -> None:
    cell = get(name)
    sizes = {"projection": 3} if "projection" in cell.sizes else {}
    module = nn.Recurrent(cell, 3, 4, backend=backend, dtype=torch.float64, **sizes)
    x = torch.randn(2, 5, 3, dtype=torch.float64)

    def whole(how: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        y, state, traces = module(x, lengths=lengths, trace=[item.name for item in cell.states])
        parts = [how(value).square().sum() for value in (y, *state, *traces.values())]
        return torch.autograd.grad(torch.stack(parts).sum(), list(module.parameters()))

    in_place, copied = CHANGES[change]
    for a, b in zip(whole(in_place), whole(copied)):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("backend", ["compiled", "reference"])
@pytest.mark.parametrize("time", [0, 1])
def test_a_changed_state_is_not_the_one_given(backend: str, time: int) -> None:
    cell = get("gru")
    module, h = nn.Recurrent(cell, 3, 4), torch.ones(2, 4)
    with torch.no_grad():
        _, (last,) = scan(cell, module.params, torch.zeros(2, time, 3), h, backend=backend if time else "auto")
        last.zero_()
    assert h.eq(1).all()
