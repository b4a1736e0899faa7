"""A stepper reads what a layer reads, one step at a time, on memory that stays."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import rondeau as rd
from rondeau import InputError, nn
from rondeau.cells import ALL, conditioned, get, lstm
from rondeau.engine.llvm import build
from rondeau.models import LanguageModel

SIZES = {"projection": 3, "output": 4, "context": 3}
TIME, WIDTH = 6, 12


def layer_of(cell: Any, width: int = 5, **options: Any) -> nn.Recurrent:
    cell = get(cell)
    sizes = {name: SIZES[name] for name in cell.sizes if name not in ("input", "hidden")}
    torch.manual_seed(1)
    layer = nn.Recurrent(cell, width, WIDTH, **sizes, **options).eval()
    with torch.no_grad():
        for value in layer.parameters():
            value.add_(0.1 * torch.rand_like(value))
    return layer


def leaves(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else [value for each in state for value in leaves(each)]


def agree(layer: Any, batch: int, **options: Any) -> nn.Stepper[Any]:
    """The stepper, once it gave what the layer gives at every step, and the state at the end."""
    stepper = layer.stepper(batch, **options)
    x = torch.randn(batch, TIME, layer.input_size, dtype=next(layer.parameters()).dtype)
    with torch.no_grad():
        y, state = layer(x, **options)
    for t in range(TIME):
        torch.testing.assert_close(stepper.step(x[:, t]), y[:, t], rtol=1e-4, atol=1e-5)
    for own, expected in zip(leaves(stepper.state), leaves(state), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-5)
    return stepper


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", [name for name in ALL if not get(name).contexts])
def test_every_cell_steps_as_it_runs(name: str, batch: int) -> None:
    agree(layer_of(name), batch)


@pytest.mark.parametrize("name", ["conditioned", *(name for name in ALL if get(name).contexts)])
def test_contexts_lie_in_memory_that_may_be_written_to(name: str) -> None:
    layer = layer_of(conditioned(lstm()) if name == "conditioned" else name)
    widths = {item.name: item.width.bind(layer.sizes) for item in layer.cell.contexts}
    given = {item: torch.rand(3, 2, width) for item, width in widths.items()}
    stepper = layer.stepper(3, {item: value[:, 0] for item, value in given.items()})
    x, state = torch.randn(3, 5), None
    for t in range(2):
        for item, value in given.items():
            stepper.contexts[item][:] = value[:, t].numpy()
        with torch.no_grad():
            y, state = layer.step(x, state, context={item: value[:, t] for item, value in given.items()})
        torch.testing.assert_close(stepper.step(x), y, rtol=1e-4, atol=1e-5)


def built() -> dict[str, Any]:
    plain = torch.nn
    between = plain.Sequential(plain.Linear(WIDTH, 7), plain.LayerNorm(7), plain.GELU(), plain.Dropout(0.5))
    bare = plain.Sequential(plain.Linear(7, WIDTH, bias=False), plain.LayerNorm(WIDTH, elementwise_affine=False))
    functions = [kind() for kind in (plain.Tanh, plain.ReLU, plain.Sigmoid, plain.SiLU, plain.Softsign, plain.Identity)]
    return {
        "deep": layer_of("lstm", num_layers=3, dropout=0.5),
        "learned": layer_of("gru", num_layers=2, initial="learned"),
        "double": layer_of("peephole_lstm").double(),
        "drop-in": nn.Recurrent.from_torch(nn.GRU(5, WIDTH, num_layers=2)),
        "skip": nn.Skip(layer_of("gru")),
        "residual": nn.Residual(layer_of("lstm", WIDTH)),
        "stack": nn.Stack(layer_of("lstm"), between, layer_of("gru", 7), *functions),
        "nested": nn.Stack(plain.Linear(5, 7), bare, nn.Skip(nn.Stack(layer_of("lstm", WIDTH), nn.SequenceDropout(0.3)))),
        "language model": LanguageModel(9, "lstm", hidden=WIDTH, embedding=5, layers=2).body,
    }


BUILT = built()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", BUILT)
def test_layers_of_layers_step_as_they_run(name: str, batch: int) -> None:
    agree(BUILT[name].eval(), batch)


def tensors_alive() -> int:
    return sum(issubclass(type(each), Tensor) for each in gc.get_objects())


@pytest.mark.parametrize("tensors", [False, True])
def test_a_step_allocates_nothing_that_stays(tensors: bool) -> None:
    stepper = BUILT["stack"].stepper(3)
    x: Any = torch.randn(3, 5) if tensors else np.ones((3, 5), dtype="float32")
    first = stepper.step(x)
    place = torch.as_tensor(first).data_ptr()
    gc.collect()
    count = tensors_alive()
    tracemalloc.start()
    try:
        stepper.step(x)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(10_000):
            y = stepper.step(x)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert y is first and torch.as_tensor(y).data_ptr() == place
    assert after - before < 1000 and peak - before < 4000
    assert tensors_alive() == count


def test_a_step_on_tensors_makes_no_tensor_memory() -> None:
    stepper, x = layer_of("lstm").stepper(), torch.randn(1, 5)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as seen:
        stepper.step(x)
    names = {event.name for event in seen.events() if event.name.startswith("aten::")}
    assert names <= {"aten::detach", "aten::to", "aten::resolve_neg", "aten::resolve_conj"}  # views of x alone
    assert sum(event.self_cpu_memory_usage for event in seen.events() if event.name.startswith("aten::")) == 0


def test_a_step_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stepper = BUILT["stack"].stepper(2)

    def refused(*_: object) -> None:
        raise AssertionError("built in a step")

    monkeypatch.setattr(build, "compile_object", refused)
    monkeypatch.setattr(build, "_lock", None)
    stepper.step(np.zeros((2, 5), dtype="float32"))
    stepper.reset()


def test_its_own_input_is_read_where_it_lies() -> None:
    layer = layer_of("gru")
    stepper, other = layer.stepper(2), layer.stepper(2)
    stepper.input[:] = 0.5
    np.testing.assert_array_equal(stepper.step(stepper.input), other.step(np.full((2, 5), 0.5, dtype="float32")))
    assert stepper.input is stepper.input
    x = np.arange(20, dtype="float32").reshape(5, 4).T[::2]  # any strides
    np.testing.assert_array_equal(stepper.step(x), other.step(x.copy()))


def test_the_last_output_is_overwritten() -> None:
    stepper = layer_of("lstm").stepper()
    first = stepper.step(np.ones((1, 5), dtype="float32"))
    kept = first.copy()
    assert stepper.step(np.ones((1, 5), dtype="float32")) is first and not np.array_equal(first, kept)


@pytest.mark.parametrize("rows", [1, [1], np.array([False, True, False]), torch.tensor([1]), slice(1, 2)])
@pytest.mark.parametrize("name", ["deep", "learned", "stack"])
def test_chosen_rows_start_anew(name: str, rows: Any) -> None:
    layer = BUILT[name].eval()
    stepper, x = layer.stepper(3), torch.randn(3, 5)
    fresh = stepper.state
    stepper.step(x)
    later = stepper.state
    stepper.reset(rows)
    for start, before, now in zip(leaves(fresh), leaves(later), leaves(stepper.state), strict=True):
        assert torch.equal(now[..., 1, :], start[..., 1, :]) and torch.equal(now[..., ::2, :], before[..., ::2, :])
        assert not torch.equal(before, start)
    stepper.reset([])
    stepper.reset()
    assert all(map(torch.equal, leaves(stepper.state), leaves(fresh)))


@pytest.mark.parametrize("name", ["deep", "residual", "stack"])
def test_a_state_is_taken_over(name: str) -> None:
    layer = BUILT[name].eval()
    x = torch.randn(2, 5, layer.input_size)
    y, _ = layer(x)
    _, state = layer(x[:, :4])
    stepper = layer.stepper(2)
    stepper.load_state(state)
    torch.testing.assert_close(stepper.step(x[:, 4]), y[:, 4].detach(), rtol=1e-4, atol=1e-5)
    copied = stepper.state
    stepper.step(x[:, 0])
    assert not torch.equal(leaves(copied)[0], leaves(stepper.state)[0])


def test_weights_are_read_when_told() -> None:
    layer = nn.Stack(layer_of("hierarchical_rnn"), torch.nn.Linear(WIDTH, 3))
    stepper, x = layer.stepper(), torch.randn(1, 5)
    old = stepper.step(x).clone()
    with torch.no_grad():
        for value in layer.parameters():
            value.mul_(1.5)
    stepper.reset()
    assert torch.equal(stepper.step(x), old)
    stepper.refresh()
    stepper.reset()
    torch.testing.assert_close(stepper.step(x), layer(x[:, None])[0][:, 0].detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_is_read_anew(name: str) -> None:
    layer = layer_of(name)
    context = {item.name: torch.rand(1, item.width.bind(layer.sizes)) for item in layer.cell.contexts}
    stepper, x = layer.stepper(context=context), torch.randn(1, 5)
    with torch.no_grad():
        for value in layer.parameters():
            value.mul_(1.2)
    stepper.refresh()
    expected = layer.stepper(context=context).step(x)
    torch.testing.assert_close(stepper.step(x), expected, rtol=0, atol=0)


def test_each_thread_has_one_of_its_own() -> None:
    layer, found = BUILT["deep"].eval(), {}
    x = torch.randn(4, 300, 5)

    def run(k: int) -> None:
        stepper = layer.stepper()
        found[k] = torch.stack([stepper.step(x[k, t][None])[0].clone() for t in range(300)])

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    y, _ = layer(x)
    for k in range(4):
        torch.testing.assert_close(found[k], y[k].detach(), rtol=1e-4, atol=1e-5)


def test_it_may_be_made_and_used_in_inference_mode() -> None:
    layer = layer_of("lstm", initial="learned")
    x = torch.randn(1, 5)
    with torch.inference_mode():
        stepper = layer.stepper()
        inside = stepper.step(x).clone()
    stepper.reset()
    assert torch.equal(stepper.step(x), inside)
    stepper.load_state(layer.initial_state(1))
    stepper.refresh()
    assert torch.equal(stepper.step(x.requires_grad_()), inside)


class Backwards(nn.Recurrent):
    """One that runs otherwise than what it is made of."""

    def _forward(self, x: Any, state: Any, given: Any) -> Any:
        return super()._forward(x.flip(1), state, given)


@rd.cell
def counting(x=rd.input(), n=rd.state(1)):  # type: ignore[no-untyped-def]
    n = n + 1
    return n


def test_a_cell_that_reads_nothing_and_has_no_weights_counts() -> None:
    stepper = nn.Recurrent(counting, 2, 1).stepper()
    assert [float(stepper.step(np.zeros((1, 2), dtype="float32"))[0, 0]) for _ in range(3)] == [1, 2, 3]


REFUSED: dict[str, tuple[Any, str]] = {
    "both directions": (lambda: layer_of("lstm", bidirectional=True).stepper(), "runs in both directions cannot be stepped"),
    "in reverse": (lambda: layer_of("lstm", reverse=True).stepper(), "runs in reverse cannot be stepped; call it on whole"),
    "a pair": (lambda: nn.Bidirectional(layer_of("gru"), layer_of("gru", reverse=True)).stepper(), "Bidirectional cannot be"),
    "another run": (lambda: Backwards("lstm", 3, 4).stepper(), "Backwards cannot be stepped; step the layers inside it"),
    "a convolution": (
        lambda: nn.Stack(layer_of("gru"), torch.nn.Conv1d(3, 3, 1)).stepper(),
        r"Conv1d.* cannot be stepped; a stepper takes layers and Linear, LayerNorm, .*call it between",
    ),
    "tanh's gelu": (lambda: nn.Stack(layer_of("gru"), torch.nn.GELU("tanh")).stepper(), "GELU.* cannot be stepped"),
    "bfloat16": (lambda: layer_of("gru").bfloat16().stepper(), "kernels are for float32 and float64, not torch.bfloat16"),
    "meta": (lambda: nn.Recurrent("gru", 3, 4, device="meta").stepper(), "kernels are for the CPU, and x is on meta"),
    "no batch": (lambda: layer_of("gru").stepper(0), "batch is the number of sequences side by side, at least 1, not 0"),
    "no context": (lambda: layer_of(conditioned(lstm())).stepper(), "reads the contexts context, but context= has none"),
    "a context too many": (lambda: layer_of("gru").stepper(context={"z": torch.ones(1, 1)}), "none, but context= has z"),
    "a context's shape": (
        lambda: layer_of(conditioned(lstm())).stepper(2, torch.ones(1, 3)),
        r"the context context of a stepper is a tensor \(2, width\), not \(1, 3\) of float32",
    ),
    "a list": (lambda: layer_of("gru").stepper().step([1.0] * 5), r"reads x \(1, 5\) of float32 on the CPU, not list"),
    "a row": (lambda: layer_of("gru").stepper().step(np.zeros(5, dtype="float32")), r"not \(5,\) of float32; convert it"),
    "doubles": (lambda: layer_of("gru").stepper().step(np.zeros((1, 5))), r"not \(1, 5\) of float64; convert it"),
    "a meta tensor": (
        lambda: layer_of("gru").stepper().step(torch.zeros(1, 5, device="meta")),
        r"not \(1, 5\) of float32 on meta; convert it",
    ),
    "a row too far": (lambda: layer_of("gru").stepper(2).reset([2]), r"rows are numbers from 0 to 1, or a mask \(2,\), not"),
    "a mask": (lambda: layer_of("gru").stepper(2).reset([True]), r"rows are numbers from 0 to 1, or a mask \(2,\), not"),
    "words": (lambda: layer_of("gru").stepper(2).reset("all"), "rows are numbers from 0 to 1"),
    "a state": (
        lambda: layer_of("lstm").stepper(2).load_state((torch.zeros(2, 12),)),
        r"the state of this stepper is \(\(2, 12\), \(2, 12\)\), not \(\(2, 12\)\); hand on one of the layer's own",
    ),
    "a state's width": (lambda: layer_of("gru").stepper().load_state(torch.zeros(1, 3)), r"is \(\(1, 12\)\), not \(1, 3\)"),
    "no state": (lambda: layer_of("gru").stepper().load_state(None), "not NoneType"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_said_in_a_sentence(name: str) -> None:
    make, sentence = REFUSED[name]
    with pytest.raises(InputError, match=sentence) as refused:
        make()
    assert "\n" not in str(refused.value)


def test_sequences_go_on_from_others() -> None:
    torch.manual_seed(0)
    stack = nn.Stack(nn.Recurrent("lstm", 3, 4), nn.Recurrent("gru", 4, 5, num_layers=2))
    stepper, x = stack.stepper(batch=3), torch.randn(2, 3, 3)
    stepper.step(x[0])
    before, rows = stepper.state, torch.tensor([2, 2, 0])
    stepper.take(rows)
    for now, was in zip(stepper.state[0] + stepper.state[1], before[0] + before[1]):
        torch.testing.assert_close(now, was.index_select(-2, rows))
    for wrong in (torch.tensor([0, 1]), torch.tensor([0, 1, 3]), [0, 1, 2]):
        with pytest.raises(InputError, match="rows"):
            stepper.take(wrong)  # type: ignore[arg-type]
