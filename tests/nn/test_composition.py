"""Every layer of layers around every other: lengths, contexts and traces reach each part, as if the parts were run by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import rondeau as rd
from rondeau import InputError, cells, nn

BATCH, TIME, WIDTH, LENGTHS = 3, 6, 4, [6, 2, 4]
ByHand = Callable[[Tensor, Any], tuple[Tensor, Any, dict[str, Tensor]]]
Built = tuple[nn.Layer[Any], ByHand]


@rd.cell
def gapped(x=rd.input(), h=rd.state(), gap=rd.context(1, per="step"), W=rd.weight("hidden", "input")):  # type: ignore[no-untyped-def]
    f = rd.exp(-gap)
    h = f * h + (1 - f) * rd.tanh(W @ x)
    return h


CONTEXT = {"context": torch.rand(BATCH, 2), "gap": torch.rand(BATCH, TIME, 1)}


def leaf(width: int, reverse: bool, kind: str) -> Built:
    """One layer, and how it is run with nothing but what it reads."""
    made = {"lstm": lambda: cells.conditioned(cells.lstm()), "gapped": lambda: gapped, "gru": cells.gru}[kind]()
    others = {name: 2 for name in made.sizes if name not in ("input", "hidden")}
    layer = nn.Recurrent(made, width, WIDTH, reverse=reverse, **others)
    name = {"lstm": "i", "gapped": "f", "gru": "z"}[kind]
    own = {key: value for key, value in CONTEXT.items() if key in layer.contexts}

    def by_hand(x: Tensor, state: Any) -> tuple[Tensor, Any, dict[str, Tensor]]:
        y, after, traced = layer(x, state, lengths=LENGTHS, context=own, trace=(name,))
        return y, after, traced

    return layer, by_hand


def under(path: str, traced: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{path}.{name}": value for name, value in traced.items()}


def stack(width: int, reverse: bool, make: Callable[..., Built]) -> Built:
    (first, run_first), middle = make(width, reverse), torch.nn.Tanh()
    second, run_second = leaf(first.output_size, reverse, "gru")
    layer = nn.Stack(first, middle, second)

    def by_hand(x: Tensor, state: Any) -> tuple[Tensor, Any, dict[str, Tensor]]:
        below, above = state or (None, None)
        y, below, traced = run_first(x, below)
        y, above, others = run_second(middle(y), above)
        return y, (below, above), under("0", traced) | under("2", others)

    return layer, by_hand


def bidirectional(width: int, reverse: bool, make: Callable[..., Built]) -> Built:
    (ahead, run_ahead), (behind, run_behind) = make(width, False), make(width, True)
    layer = nn.Bidirectional(ahead, behind)

    def by_hand(x: Tensor, state: Any) -> tuple[Tensor, Any, dict[str, Tensor]]:
        one, other = state or (None, None)
        y, one, traced = run_ahead(x, one)
        z, other, others = run_behind(x, other)
        return torch.cat([y, z], -1), (one, other), under("forward_layer", traced) | under("backward_layer", others)

    return layer, by_hand


def skip(width: int, reverse: bool, make: Callable[..., Built]) -> Built:
    inner, run = make(width, reverse)

    def by_hand(x: Tensor, state: Any) -> tuple[Tensor, Any, dict[str, Tensor]]:
        y, state, traced = run(x, state)
        return torch.cat([x, y], -1), state, under("layer", traced)

    return nn.Skip(inner), by_hand


def residual(width: int, reverse: bool, make: Callable[..., Built]) -> Built:
    inner, run = make(width, reverse)
    back = torch.nn.Linear(inner.output_size, width)

    def by_hand(x: Tensor, state: Any) -> tuple[Tensor, Any, dict[str, Tensor]]:
        y, after, traced = run(x, None if state is None else state[0])
        return x + back(y), (after,), under("layer.0", traced)

    return nn.Residual(nn.Stack(inner, back)), by_hand


WRAPPERS = {"stack": stack, "bidirectional": bidirectional, "skip": skip, "residual": residual}
LEAVES = ("lstm", "gapped", "gru")


def built(outer: str, inner: str, kind: str) -> Built:
    return WRAPPERS[outer](3, False, lambda w, r: WRAPPERS[inner](w, r, lambda w, r: leaf(w, r, kind)))


def read(layer: nn.Layer[Any]) -> dict[str, Tensor]:
    return {name: CONTEXT[name] for name in layer.contexts}


@pytest.mark.parametrize(("outer", "inner", "kind"), product(WRAPPERS, WRAPPERS, LEAVES))
def test_a_composition_is_its_parts(outer: str, inner: str, kind: str) -> None:
    torch.manual_seed(0)
    layer, by_hand = built(outer, inner, kind)
    x = torch.randn(BATCH, TIME, 3)
    y, state, traced = by_hand(x, None)
    found = layer(x, lengths=LENGTHS, context=read(layer), trace=tuple(traced))
    assert (layer.input_size, layer.output_size) == (3, y.shape[-1]) and set(found[2]) == set(traced)
    torch.testing.assert_close(found, (y, state, traced), rtol=0, atol=0)
    again = layer(x, state, lengths=LENGTHS, context=read(layer), trace=list(traced))
    torch.testing.assert_close(again, by_hand(x, state), rtol=0, atol=0)
    start = layer.initial_state(BATCH)
    torch.testing.assert_close(layer(x, start, lengths=LENGTHS, context=read(layer)), (y, state), rtol=0, atol=0)


@pytest.mark.parametrize(("outer", "inner"), product(WRAPPERS, WRAPPERS))
def test_a_composition_takes_packed_sequences(outer: str, inner: str) -> None:
    torch.manual_seed(0)
    layer, by_hand = built(outer, inner, "gapped")
    x = torch.randn(BATCH, TIME, 3)
    y, state, traced = by_hand(x, None)
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    z, after, values = layer(packed, context=read(layer), trace=tuple(traced))
    assert isinstance(z, PackedSequence)
    past = torch.arange(TIME)[None, :, None] >= torch.tensor(LENGTHS)[:, None, None]
    torch.testing.assert_close(pad_packed_sequence(z, True)[0], y.masked_fill(past, 0))
    torch.testing.assert_close(after, state)
    for name, value in traced.items():
        torch.testing.assert_close(pad_packed_sequence(values[name], True)[0], value.masked_fill(past, 0))


def test_packed_traces_of_several_runs_lie_side_by_side() -> None:
    layer = nn.Recurrent("gru", 3, WIDTH, num_layers=2, bidirectional=True)
    x = torch.randn(BATCH, TIME, 3)
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    wanted = layer(x, lengths=LENGTHS, trace=("z",))[2]["z"]
    found = pad_packed_sequence(layer(packed, trace=("z",))[2]["z"], True)[0]
    assert found.shape == (BATCH, TIME, 4, WIDTH)
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(found[row, :length], wanted[:, row, :length].movedim(0, 1))


def test_each_layer_gets_the_contexts_that_it_reads() -> None:
    (one, _), (other, _), (plain, _) = leaf(3, False, "lstm"), leaf(WIDTH, False, "gapped"), leaf(WIDTH, False, "gru")
    layer = nn.Stack(
        one, nn.Bidirectional(other, nn.Recurrent(gapped, WIDTH, WIDTH, reverse=True)), torch.nn.Linear(8, 4), plain
    )
    assert layer.contexts == ("context", "gap")
    x = torch.randn(BATCH, TIME, 3)
    y, _ = layer(x, context=CONTEXT)
    z, _ = one(x, context=CONTEXT["context"])
    z, _ = layer[1](z, context=CONTEXT["gap"])  # type: ignore[operator]
    torch.testing.assert_close(plain(layer[2](z))[0], y)
    with pytest.raises(InputError, match="a lone context is for a layer that reads one, this one reads context, gap"):
        layer(x, context=CONTEXT["gap"])
    with pytest.raises(InputError, match="the layer reads no context 'gaps'; it reads context, gap"):
        layer(x, context={**CONTEXT, "gaps": x})
    with pytest.raises(InputError, match="it reads none"):
        nn.Skip(plain)(x, context={"gap": x})
    with pytest.raises(InputError, match="gapped takes the contexts gap, but got none"):
        layer(x, context={"context": CONTEXT["context"]})


def test_what_is_traced_is_named_by_its_path() -> None:
    layer = nn.Stack(nn.Skip(nn.Recurrent("gru", 3, 4)), torch.nn.Dropout(0.0), nn.Recurrent("lstm", 7, 2))
    *_, traced = layer(torch.zeros(1, 2, 3), trace=("0.layer.z", "2.f"))
    assert {name: value.shape[-1] for name, value in traced.items()} == {"0.layer.z": 4, "2.f": 2}
    assert {f"{name.rpartition('.')[0]}.W" for name in traced} < set(layer.state_dict())
    for name in ("z", "1.z", "3.z"):
        with pytest.raises(InputError, match=r"what is traced in this layer begins with one of 0\., 2\."):
            layer(torch.zeros(1, 2, 3), trace=(name,))
    with pytest.raises(InputError, match="has no value 'q' to trace"):
        layer(torch.zeros(1, 2, 3), trace="2.q")


def test_one_layer_may_stand_in_a_stack_twice() -> None:
    shared, x = nn.Recurrent("gru", 3, 3), torch.randn(2, 5, 3)
    y, (first, second), traced = nn.Stack(shared, shared)(x, trace=("0.z", "1.z"))
    below, state, gates = shared(x, trace=("z",))
    torch.testing.assert_close((y, second, traced["1.z"]), (*shared(below), shared(below, trace=("z",))[2]["z"]))
    torch.testing.assert_close((first, traced["0.z"]), (state, gates["z"]))


class Total(nn.Layer[Tensor]):
    """A layer that somebody writes: the sum of what came before."""

    input_size = output_size = 3

    def initial_state(self, batch: int) -> Tensor:
        return torch.zeros(batch, 3)

    def _forward(self, x: Tensor, state: Tensor | None, given: nn.Given) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        steps = torch.arange(x.shape[1])[None, :, None]
        kept = x if given.lengths is None else x * (steps < torch.as_tensor(given.lengths)[:, None, None])
        y = kept.cumsum(1) + (self.initial_state(len(x)) if state is None else state)[:, None]
        return y, y[:, -1], dict.fromkeys(given.trace, kept)


def test_a_layer_of_ones_own_composes() -> None:
    layer = nn.Bidirectional(nn.Stack(Total(), nn.Recurrent("gru", 3, 2)), nn.Recurrent("gru", 3, 2, reverse=True))
    y, (((total, _), _)), traced = layer(torch.ones(2, 4, 3), lengths=[4, 2], trace=("forward_layer.0.kept",))
    assert (y.shape[-1], layer.output_size, layer.reverse) == (4, 4, None)
    assert total[:, 0].tolist() == [4, 2] and traced["forward_layer.0.kept"].sum() == 18


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: nn.Stack(torch.nn.Conv1d(3, 4, 1)).output_size,
            "Conv1d does not say how many features it would return; end the",
        ),
        (
            lambda: nn.Stack(torch.nn.Conv1d(3, 4, 1)).input_size,
            "Conv1d does not say how many features it would read; begin",
        ),
        (lambda: nn.Stack(torch.nn.Tanh()).output_size, "nothing in the stack says how many features"),
        (lambda: nn.Skip(torch.nn.Linear(3, 4)), "Skip takes layers, such as Recurrent or Stack, not Linear"),
        (lambda: nn.Residual(nn.LSTM(3, 4)), "Residual takes layers, such as Recurrent or Stack, not LSTM"),
        (lambda: nn.Bidirectional(nn.Recurrent("gru", 3, 4), nn.GRU(3, 4)), "Bidirectional takes layers"),
        (lambda: nn.Stack(nn.LSTM(3, 4))(torch.zeros(1, 2, 3)), r"use Recurrent.from_torch\(lstm\)"),
    ],
)
def test_what_does_not_compose_is_explained(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_sizes_of_stacks_that_begin_and_end_with_plain_modules() -> None:
    plain = torch.nn.Sequential(torch.nn.Dropout(0.1), torch.nn.Linear(5, 3), torch.nn.LayerNorm(3))
    layer = nn.Stack(plain, nn.Recurrent("gru", 3, 4), torch.nn.ReLU(), nn.SequenceDropout(0.1))
    assert (layer.input_size, layer.output_size) == (5, 4)
    assert (nn.Stack(nn.Recurrent("gru", 3, 4), plain).output_size, nn.Stack(plain).input_size) == (3, 5)


def test_a_layer_compiled_in_place_composes_and_a_wrapped_one_is_told_how() -> None:
    layer, x = nn.Recurrent("gru", 3, 3), torch.randn(2, 4, 3)
    for make in (nn.Skip, nn.Residual, lambda each: nn.Stack(each)(x)):
        with pytest.raises(InputError, match=r"write layer.compile\(\), which keeps it a layer"):
            make(torch.compile(layer, backend="eager"))
    expected = nn.Stack(nn.Residual(layer))(x)[0]
    layer.compile(backend="eager")
    assert torch.equal(nn.Stack(nn.Residual(layer))(x)[0], expected)


def test_a_layer_that_forgets_a_trace_is_told() -> None:
    class Own(nn.Layer[Any]):
        input_size, output_size = WIDTH, WIDTH

        def initial_state(self, batch: int, *args: Any, **options: Any) -> Any:
            return ()

        def _forward(self, x: Any, state: Any, given: Any) -> Any:
            return x, (), {}

    x = torch.zeros(1, 2, WIDTH)
    assert Own()(x)[0] is x
    with pytest.raises(InputError, match=r"Own returned nothing for the trace 'q'; its _forward must return"):
        Own()(x, trace=("q",))


def test_the_name_of_a_backend_is_checked_at_once() -> None:
    with pytest.raises(InputError, match="there is no backend 'foo'; choose auto"):
        nn.Recurrent("gru", 3, 4, backend="foo")  # type: ignore[arg-type]
