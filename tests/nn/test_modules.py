"""Recurrent, Stack, Bidirectional and what goes between."""

from __future__ import annotations

import copy
import io

import pytest
import torch

from rondeau import InputError, cells, nn
from rondeau.cells import ALL

EXTRA = {"projection": 3, "output": 4, "context": 2}


@pytest.mark.parametrize("name", ALL)
def test_every_cell_is_a_module(name: str) -> None:
    cell = ALL[name]
    sizes = {size: EXTRA[size] for size in cell.sizes if size in EXTRA}
    layer = nn.Recurrent(name, 5, 12, **sizes)
    context = {c.name: torch.ones(2, 7, 1) if c.per == "step" else torch.ones(2, 2) for c in cell.contexts}
    y, state = layer(torch.randn(2, 7, 5), lengths=[7, 3], context=context)
    assert y.shape == (2, 7, layer.output_size) and len(state) == len(cell.states)
    y.sum().backward()
    assert all(p.grad is not None for p in layer.parameters())
    twin = copy.deepcopy(layer).eval()
    layer.eval()
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    twin.load_state_dict(torch.load(file))
    x = torch.randn(2, 7, 5)
    torch.testing.assert_close(twin(x, context=context)[0], layer(x, context=context)[0])
    assert cell.name in repr(layer)


def test_initial_weights_are_the_cells() -> None:
    layer = nn.Recurrent("lstm", 6, 8)
    U = layer.U.detach().chunk(4)
    for block in U:
        torch.testing.assert_close(block @ block.T, torch.eye(8), atol=1e-5, rtol=1e-5)
    assert layer.b.detach().chunk(4)[1].eq(1).all() and not layer.b.detach().chunk(4)[0].any()


def test_masks_are_drawn_while_training_only() -> None:
    layer, x = nn.Recurrent(cells.dropout(cells.lstm(), 0.5), 3, 16), torch.randn(2, 4, 3)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])


def test_initial_states() -> None:
    learned = nn.Recurrent("gru", 3, 4, initial="learned")
    y, _ = learned(torch.randn(2, 3, 3))
    y.sum().backward()
    assert learned.start[0].grad is not None and learned.start[0].grad.any()
    normal = nn.Recurrent("gru", 3, 4, initial="normal")
    assert not torch.equal(normal(torch.zeros(1, 1, 3))[0], normal(torch.zeros(1, 1, 3))[0])


def test_a_step_goes_on_where_a_scan_ended() -> None:
    layer, x = nn.Recurrent("peephole_lstm", 3, 4), torch.randn(2, 5, 3)
    whole, _ = layer(x)
    _, state = layer(x[:, :4])
    torch.testing.assert_close(layer.step(x[:, 4], state)[0], whole[:, 4])


def test_a_stack_hands_out_its_states() -> None:
    stack = nn.Stack(nn.Skip(nn.Recurrent("gru", 3, 4)), torch.nn.Dropout(0.0), nn.Residual(nn.Recurrent("lstm", 7, 7)))
    x = torch.randn(2, 6, 3)
    whole, state = stack(x, lengths=[6, 2])
    assert [len(part) for part in state] == [1, 2]
    first, between = stack(x[:, :3])
    second, _ = stack(x[:, 3:], between)
    torch.testing.assert_close(torch.cat([first, second], 1)[0], whole[0])
    assert [len(part) for part in stack.initial_state(2)] == [1, 2]
    for bad in (state[:1], 3, torch.zeros(2, 2, 4)):
        with pytest.raises(InputError, match="tuple of 2 entries"):
            stack(x, bad)
    with pytest.raises(InputError, match="use Recurrent"):
        nn.Stack(nn.LSTM(3, 4))(x)


def test_bidirectional_is_safe_on_padding() -> None:
    both = nn.Bidirectional(nn.Recurrent("gru", 3, 4), nn.Recurrent("gru", 3, 4, reverse=True))
    x = torch.randn(2, 6, 3)
    y, _ = both(x, lengths=[6, 2])
    torch.testing.assert_close(y[1:, :2], both(x[1:, :2])[0])
    theirs = nn.GRU(3, 4, batch_first=True, bidirectional=True)
    assert theirs(x)[0].shape == y.shape
    with pytest.raises(InputError, match="tuple of 2 entries"):
        both(x, torch.zeros(3, 2, 4))


def test_both_directions_are_asked_of_stacks_too() -> None:
    def deep(reverse: bool) -> nn.Stack:
        layers = (nn.Recurrent("gru", 3, 4, reverse=reverse), nn.Skip(nn.Recurrent("gru", 4, 4, reverse=reverse)))
        return nn.Stack(layers[0], torch.nn.Tanh(), layers[1])

    x = torch.randn(2, 6, 3)
    y, _ = nn.Bidirectional(deep(False), deep(True))(x, lengths=[6, 2])
    assert y.shape == (2, 6, 16) and not y[1, 2:, 4:8].any()
    for wrong in ((False, False), (True, True), (True, False)):
        for make in (deep, lambda reverse: nn.Recurrent("gru", 3, 4, reverse=reverse)):
            with pytest.raises(InputError, match="reverse=True"):
                nn.Bidirectional(make(wrong[0]), make(wrong[1]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_layers_of_any_precision_start_with_the_same_weights(dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    single = nn.Recurrent("lstm", 3, 4)
    torch.manual_seed(3)
    layer = nn.Recurrent("lstm", 3, 4, dtype=dtype)
    assert {p.dtype for p in layer.parameters()} == {dtype}
    if dtype.itemsize < 4:
        assert all(torch.equal(a, b.to(dtype)) for a, b in zip(layer.parameters(), single.parameters()))


def test_a_layer_survives_pickle_and_its_clip_can_be_set_later() -> None:
    layer, x = nn.Recurrent("peephole_lstm", 3, 4, initial="learned"), torch.randn(2, 5, 3)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    twin = torch.load(file, weights_only=False)
    assert torch.equal(twin(x)[0], layer(x)[0]) and twin.cell == layer.cell
    (whole,) = torch.autograd.grad(layer(x)[0].sum(), layer.U)
    layer.clip = 1e-3
    (clipped,) = torch.autograd.grad(layer(x)[0].sum(), layer.U)
    assert clipped.norm() < whole.norm()


@pytest.mark.parametrize("bad", [[1.0], torch.zeros(5, 3), torch.zeros(3), torch.zeros(1, 2, 5, 3)])
def test_a_wrong_input_is_explained(bad) -> None:
    for name in ("gru", "dropout_lstm"):
        with pytest.raises(InputError, match="x"):
            nn.Recurrent(name, 3, 4)(bad)
    with pytest.raises(InputError, match=r"\(batch, input\)"):
        nn.Recurrent("dropout_lstm", 3, 4).step(torch.zeros(1, 5, 3))


def test_sequence_dropout_has_one_mask_a_sequence() -> None:
    drop = nn.SequenceDropout(0.5)
    y = drop(torch.ones(3, 10, 8))
    assert all(torch.equal(y[:, t], y[:, 0]) for t in range(10)) and set(y.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(drop.eval()(y), y)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Recurrent("gru", 3, 0), "positive whole number"),
        (lambda: nn.Recurrent("gru", 3, 4, projection=2), "no size 'projection'"),
        (lambda: nn.Recurrent("projected_lstm", 3, 4), "needs the size 'projection'"),
        (lambda: nn.Recurrent("clockwork", 3, 6), "choose a size that divides"),
        (lambda: nn.Recurrent("gru", 3, 4, initial="random"), "zeros, learned or normal"),
        (lambda: nn.Recurrent("grru", 3, 4), "did you mean"),
        (lambda: nn.SequenceDropout(1.0), "up to but not including 1"),
        (lambda: nn.Residual(nn.Recurrent("gru", 3, 4))(torch.zeros(1, 1, 3)), "keeps the number of features"),
    ],
)
def test_wrong_settings_are_explained(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("backend", ["compiled", "reference"])
def test_under_autocast_a_layer_computes_in_its_own_type(backend: str) -> None:
    body = nn.Stack(torch.nn.Linear(3, 4), nn.Recurrent("peephole_lstm", 4, 5, backend=backend), torch.nn.Linear(5, 2))
    x = torch.randn(2, 6, 3)
    expected, _ = body(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = body(x)
        again, _ = body(x, tuple(tuple(value.bfloat16() for value in part) for part in state))
    assert y.dtype == again.dtype == torch.bfloat16 and all(value.dtype == torch.float32 for value in state[0])
    torch.testing.assert_close(y.float(), expected, atol=0.05, rtol=0.05)
    y.float().square().sum().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.dtype == torch.float32 for p in body.parameters())


def test_autocast_leaves_kernels_alone() -> None:
    layer, x = nn.Recurrent("gru", 4, 5, backend="compiled"), torch.randn(2, 6, 4)
    expected = torch.autograd.grad(layer(x)[0].square().sum(), list(layer.parameters()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = torch.autograd.grad(layer(x)[0].square().sum(), list(layer.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(found, expected))


TAKEN = (
    "training", "step", "reverse", "hidden_size", "input_size", "output_size", "cell", "forward", "backend", "weight", "bias",
    "lengths", "sizes", "params", "initial", "start", "clip", "segment", "type", "register_parameter", "_parameters", "state",
)  # fmt: skip


@pytest.mark.parametrize("initial", ["zeros", "learned"])
@pytest.mark.parametrize("name", TAKEN)
def test_a_parameter_or_state_may_have_any_name(name: str, initial: str) -> None:
    scope: dict[str, object] = {}
    lines = [
        "from rondeau import cell, input, state, tanh, weight",
        f"@cell\ndef parameter(x=input(), h=state(), {name}=weight('hidden', 'input'), {name}_=weight('hidden', 'hidden')):",
        f"    h = tanh({name} @ x + {name}_ @ h)\n    return h",
        f"@cell\ndef recurrent(x=input(), {name}=state(), W=weight('hidden', 'input'), U=weight('hidden', 'hidden')):",
        f"    {name} = tanh(W @ x + U @ {name})\n    return {name}",
    ]
    exec("\n".join(lines), scope)
    x, found = torch.randn(2, 3, 4), []
    for cell in (scope["parameter"], scope["recurrent"]):
        torch.manual_seed(0)
        layer = nn.Recurrent(cell, 4, 5, initial=initial)
        twin = nn.Recurrent(cell, 4, 5, initial=initial)
        twin.load_state_dict(layer.state_dict())
        y, _ = copy.deepcopy(twin)(x)
        y.sum().backward()
        assert set(layer.params) == {p.name for p in cell.parameters}
        assert all(isinstance(value, torch.nn.Parameter) for value in layer.params.values())
        assert len(layer.state_dict()) == 2 + (initial == "learned")
        found.append(y)
    torch.testing.assert_close(*found)


def test_ordinary_names_are_the_keys_of_the_weights() -> None:
    assert list(nn.Recurrent("lstm", 3, 4).state_dict()) == ["W", "U", "b"]
