"""Recurrent as users of torch.nn expect it: depth, both directions, packed sequences, PyTorch's weights, the device meta."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rondeau import InputError, cells, nn
from rondeau.cells import ALL
from rondeau.errors import RondeauWarning

KINDS = {"LSTM": {}, "GRU": {}, "RNN": {}, "relu": {"nonlinearity": "relu"}, "projected": {"proj_size": 3}}
DEPTHS = [(1, False), (1, True), (3, False), (2, True)]


def theirs(kind: str, **options: Any) -> Any:
    name = {"relu": "RNN", "projected": "LSTM"}.get(kind, kind)
    return getattr(torch.nn, name)(5, 4, dtype=torch.float64, batch_first=True, **KINDS[kind], **options)


def tupled(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("num_layers", "bidirectional"), DEPTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_pytorchs_weights_and_back(kind: str, num_layers: int, bidirectional: bool, bias: bool) -> None:
    source = theirs(kind, num_layers=num_layers, bidirectional=bidirectional, bias=bias).eval()
    layer = nn.Recurrent.from_torch(source)
    assert not layer.training and (layer.num_layers, layer.bidirectional) == (num_layers, bidirectional)
    x = torch.randn(3, 6, 5, dtype=torch.float64)
    wanted, (y, state) = source(x), layer(x)
    torch.testing.assert_close(y, wanted[0])
    whole = state if num_layers * (1 + bidirectional) > 1 else tuple(value[None] for value in state)
    torch.testing.assert_close(whole, tupled(wanted[1]))
    again = layer.to_torch()
    assert type(again) is type(source) and not again.training and all(p.requires_grad for p in again.parameters())
    torch.testing.assert_close(again(x)[0], wanted[0])
    torch.testing.assert_close(tupled(again(x)[1]), tupled(wanted[1]))
    with torch.no_grad():
        layer.params_of(0)["W"].zero_()
    torch.testing.assert_close(again(x)[0], wanted[0])  # copies, both ways
    torch.testing.assert_close(source(x)[0], wanted[0])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("num_layers", "bidirectional"), DEPTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_states_and_gradients_as_in_pytorch(kind: str, num_layers: int, bidirectional: bool, packed: bool) -> None:
    source = theirs(kind, num_layers=num_layers, bidirectional=bidirectional)
    layer = nn.Recurrent.from_torch(source)
    runs, x = num_layers * (1 + bidirectional), torch.randn(3, 6, 5, dtype=torch.float64, requires_grad=True)
    first = tuple(torch.randn(runs, 3, width, dtype=torch.float64) for width in layer._widths)
    given: Any = pack_padded_sequence(x, torch.tensor([4, 6, 1]), True, enforce_sorted=False) if packed else x
    y, state = layer(given, first if runs > 1 else tuple(value[0] for value in first))
    wanted, last = source(given, first if len(first) > 1 else first[0])
    if packed:
        assert isinstance(y, PackedSequence) and torch.equal(y.batch_sizes, wanted.batch_sizes)
        assert torch.equal(y.sorted_indices, wanted.sorted_indices)
        torch.testing.assert_close(pad_packed_sequence(y, True)[0], pad_packed_sequence(wanted, True)[0])
        y, wanted = y.data, wanted.data
    state = state if runs > 1 else tuple(value[None] for value in state)
    torch.testing.assert_close((y, *state), (wanted, *tupled(last)))
    loss = [a.sin().sum() + sum(s.square().sum() for s in b) for a, b in ((y, state), (wanted, tupled(last)))]
    torch.testing.assert_close(*(torch.autograd.grad(value, x, retain_graph=True)[0] for value in loss))


DEEP = [
    "gru",
    "peephole_lstm",
    "projected_lstm",
    "layer_norm_gru",
    "zoneout_lstm",
    "conditioned_lstm",
    "lagged_rnn",
    "rate_rnn",
]


def deep(name: str, **options: Any) -> tuple[nn.Recurrent, Any]:
    cell = ALL[name]
    sizes = {size: 3 for size in cell.sizes if size not in ("input", "hidden")}
    layer = nn.Recurrent(cell, 5, 4, num_layers=2, dtype=torch.float64, **sizes, **options).eval()
    contexts = {c.name: torch.rand(3, *((7,) if c.per == "step" else ()), c.width.bind(layer.sizes)) for c in cell.contexts}
    return layer, {context: value.double() for context, value in contexts.items()}


def part(context: Any, span: slice) -> Any:
    return {name: value[:, span] if value.dim() == 3 else value for name, value in context.items()}


@pytest.mark.parametrize("name", DEEP)
def test_chunks_of_deep_layers(name: str) -> None:
    layer, context = deep(name)
    x = torch.randn(3, 7, 5, dtype=torch.float64)
    whole, last = layer(x, context=context)
    assert all(value.shape[0] == 2 for value in last)
    first, between = layer(x[:, :4], context=part(context, slice(4)))
    second, after = layer(x[:, 4:], between, context=part(context, slice(4, 7)))
    torch.testing.assert_close((torch.cat([first, second], 1), *after), (whole, *last))
    state = layer.initial_state(3)
    for t in range(7):
        moving = {name: value[:, t] if value.dim() == 3 else value for name, value in context.items()}
        y, state = layer.step(x[:, t], state, context=moving)
        torch.testing.assert_close(y, whole[:, t])
    torch.testing.assert_close(state, last)


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"reverse": True}], ids=["forward", "both", "reverse"])
def test_padding_of_deep_layers(name: str, options: dict[str, Any]) -> None:
    layer, context = deep(name, **options)
    x, lengths = torch.randn(3, 7, 5, dtype=torch.float64), [7, 2, 4]
    y, last = layer(x, lengths=lengths, context=context)
    other = torch.where(torch.arange(7)[None, :, None] < torch.tensor(lengths)[:, None, None], x, torch.randn(3, 7, 5))
    torch.testing.assert_close(layer(other, lengths=lengths, context=context), (y, last))
    for row, count in enumerate(lengths):
        own = {
            name: value[row : row + 1, :count] if value.dim() == 3 else value[row : row + 1] for name, value in context.items()
        }
        alone, after = layer(x[row : row + 1, :count], context=own)
        torch.testing.assert_close(y[row, :count], alone[0])
        assert not y[row, count:].any()
        torch.testing.assert_close(tuple(value[:, row] for value in last), tuple(value[:, 0] for value in after))


def test_both_directions_turn_round_with_the_sequence() -> None:
    layer, _ = deep("gru", bidirectional=True)
    x = torch.randn(3, 7, 5, dtype=torch.float64)
    y, (h,) = layer(x)
    twin, _ = deep("gru", bidirectional=True)
    swapped = {}
    for name, value in layer.state_dict().items():
        ahead = name.removesuffix("_reverse")
        mirrored = torch.cat(value.split(4, 1)[::-1], 1) if name.startswith("W_l1") else value
        swapped[ahead if name != ahead else f"{name}_reverse"] = mirrored
    twin.load_state_dict(swapped)
    z, (g,) = twin(x.flip(1))
    torch.testing.assert_close(torch.cat(z.split(4, -1)[::-1], -1).flip(1), y)
    torch.testing.assert_close(g[[1, 0, 3, 2]], h)


def test_the_names_of_parameters() -> None:
    assert list(nn.Recurrent("gru", 3, 4).state_dict()) == ["W", "U", "b", "c"]
    deep = nn.Recurrent("elman", 3, 4, num_layers=2, bidirectional=True, initial="learned")
    runs = ["_l0", "_l0_reverse", "_l1", "_l1_reverse"]
    assert {*deep.state_dict()} == {f"{name}{run}" for run in runs for name in "WUb"} | {"start.0"}
    assert deep.start[0].shape == (4, 4) and deep.output_size == 8 and deep.W_l1.shape == (4, 8)
    assert deep.params_of(1, backward=True)["W"] is deep.W_l1_reverse
    for call in (lambda: deep.params, lambda: deep.params_of(2), lambda: nn.Recurrent("gru", 3, 4).params_of(0, True)):
        with pytest.raises(InputError, match="params_of|there is no layer"):
            call()


def test_dropout_lies_between_layers() -> None:
    layer, x = nn.Recurrent("gru", 3, 16, num_layers=2, dropout=0.5), torch.randn(2, 5, 3)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    assert not torch.equal(layer.step(x[:, 0])[0], layer.step(x[:, 0])[0])
    torch.manual_seed(1)
    y, _ = layer(x)
    torch.manual_seed(1)
    below, above = (nn.Recurrent("gru", width, 16) for width in (3, 16))
    for index, single in enumerate((below, above)):
        single.load_state_dict(layer.params_of(index))
    torch.manual_seed(1)
    torch.testing.assert_close(above(torch.nn.functional.dropout(below(x)[0], 0.5))[0], y)
    assert torch.equal(layer.eval()(x)[0], layer(x)[0])
    with pytest.warns(RondeauWarning, match="between layers"):
        nn.Recurrent("gru", 3, 4, dropout=0.1)


def test_traces_and_learned_starts_of_several_runs() -> None:
    layer = nn.Recurrent("lstm", 3, 4, num_layers=2, bidirectional=True, initial="learned")
    y, _, traced = layer(torch.randn(2, 5, 3), lengths=[5, 3], trace=("f", "h"))
    assert traced["f"].shape == (4, 2, 5, 4)
    torch.testing.assert_close(torch.cat([*traced["h"][2:]], -1), y)
    y.sum().backward()
    assert layer.start[0].grad is not None and layer.start[0].grad.abs().sum((1,)).all()
    packed = pack_padded_sequence(torch.randn(2, 5, 3), torch.tensor([5, 3]), True)
    assert nn.Recurrent("lstm", 3, 4)(packed, trace=("f",))[2]["f"].data.shape == (8, 4)


@pytest.mark.parametrize("name", ALL)
def test_a_layer_on_meta(name: str) -> None:
    cell = ALL[name]
    sizes = {size: 4 for size in cell.sizes if size not in ("input", "hidden")}
    layer = nn.Recurrent(cell, 5, 12, device="meta", initial="learned", **sizes)
    contexts = {c.name: (2, *((7,) if c.per == "step" else ()), c.width.bind(layer.sizes)) for c in cell.contexts}
    context = {key: torch.ones(shape, device="meta") for key, shape in contexts.items()}
    y, state = layer(torch.randn(2, 7, 5, device="meta"), context=context, lengths=[7, 3])
    assert y.is_meta and y.shape == (2, 7, layer.output_size) and all(value.is_meta for value in state)
    layer.to_empty(device="cpu")
    for value in layer.parameters():
        torch.nn.init.constant_(value, torch.nan)
    torch.manual_seed(3)
    layer.reset_parameters()
    torch.manual_seed(3)
    same = nn.Recurrent(cell, 5, 12, initial="learned", **sizes)
    assert all(torch.equal(a, b) for a, b in zip(layer.parameters(), same.parameters()))
    with torch.device("meta"):
        assert all(value.is_meta for value in nn.Recurrent(cell, 5, 12, initial="learned", **sizes).parameters())


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"])
def test_a_drop_in_on_meta(name: str) -> None:
    module, x = getattr(nn, name)(3, 4, device="meta"), torch.randn(5, 2, 3, device="meta")
    y = module(x[0] if "Cell" in name else x)
    assert torch.utils._pytree.tree_leaves(y)[0].is_meta
    module.to_empty(device="cpu").reset_parameters()
    real = torch.zeros(5, 2, 3)
    assert torch.utils._pytree.tree_leaves(module(real[0] if "Cell" in name else real))[0].isfinite().all()


def test_repr_says_what_differs() -> None:
    assert repr(nn.Recurrent("gru", 3, 4)) == "Recurrent(gru, input=3, hidden=4)"
    layer = nn.Recurrent("gru", 3, 4, num_layers=2, bidirectional=True, clip=1.0, segment="auto", backend="reference")
    told = "num_layers=2, bidirectional=True, clip=1.0, segment='auto', backend='reference'"
    assert repr(layer) == f"Recurrent(gru, input=3, hidden=4, {told})"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Recurrent("gru", 3, 4, num_layers=0), "num_layers is a positive whole number"),
        (lambda: nn.Recurrent("gru", 3, 4, num_layers=True), "num_layers is a positive whole number"),
        (lambda: nn.Recurrent("gru", 3, 4, dropout=1.5), "probability from 0 to 1"),
        (lambda: nn.Recurrent("gru", 3, 4, bidirectional=True, reverse=True), "leave one"),
        (lambda: nn.Recurrent("gru", 3, 4, bidirectional=True).step(torch.zeros(2, 3)), "no single step"),
        (lambda: nn.Recurrent("gru", 3, 4, num_layers=2)(torch.zeros(2, 5, 3), torch.zeros(2, 4)), r"\(2, batch, width\)"),
        (lambda: nn.Recurrent("lstm", 3, 4, num_layers=2)(torch.zeros(2, 5, 3), 3), "got int"),
        (lambda: nn.Recurrent.from_torch(torch.nn.Linear(3, 4)), "not those of Linear"),  # type: ignore[arg-type]
        (lambda: nn.Recurrent("peephole_lstm", 3, 4).to_torch(), "peephole_lstm has no form in the convention torch"),
        (lambda: nn.Recurrent("min_gru", 3, 4).to_torch(), "other libraries have no form"),
        (lambda: nn.Recurrent("gru", 3, 4, reverse=True).to_torch(), "runs in reverse"),
        (lambda: nn.Recurrent("gru", 3, 4, initial="learned").to_torch(), "initial='learned'"),
        (lambda: nn.Recurrent("gru", 3, 4)(pack_padded_sequence(torch.zeros(2, 5, 3), [5, 2], True), lengths=[5, 2]), "packed"),
    ],
)
def test_what_does_not_fit_is_explained(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_layers_whose_states_are_as_wide_as_their_input() -> None:
    @cells_of_input
    def check(cell: Any) -> None:
        with pytest.raises(InputError, match="as wide as the input"):
            nn.Recurrent(cell, 3, 4, num_layers=2)
        assert nn.Recurrent(cell, 4, 4, num_layers=2)(torch.zeros(1, 2, 4))[0].shape == (1, 2, 4)


def cells_of_input(check: Any) -> None:
    from rondeau import cell, input, state, tanh, weight

    @cell
    def mixed(x=input(), h=state(), m=state("input"), W=weight("hidden", "input"), U=weight("hidden", "hidden")):
        h = tanh(W @ (x + m) + U @ h)
        m = 0.5 * m + x
        return h, m

    check(mixed)


def test_nothing_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.Recurrent(cells.gru(), 3, 4, num_layers=2, dropout=0.5)(torch.zeros(1, 2, 3))
