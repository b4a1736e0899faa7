"""Measuring: equal work is told from unequal, turns are taken, and operations are counted right."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from rondeau.benchmark.measure import Competitor, Shape, Work, assert_equal, interleave, layer, operations, work
from rondeau.cells import ALL
from rondeau.errors import RunError
from rondeau.nn import GRU, Recurrent

SHAPE = Shape(time=7, batch=3, input=4, hidden=8)
T, B, I, H = 7, 3, 4, 8


def made(name: str, shape: Shape = SHAPE, dtype: torch.dtype = torch.float32) -> Work:
    cell = ALL[name]
    others = {size: shape.hidden for size in cell.sizes if size not in ("input", "hidden")}
    return work(cell, Recurrent(cell, shape.input, shape.hidden, dtype=dtype, **others).params, shape)


@pytest.mark.parametrize(
    ("name", "products"),
    [
        ("elman", T * B * (H * I + H * H)),
        ("lstm", T * B * 4 * (H * I + H * H)),
        ("gru_reset_before", T * B * 3 * (H * I + H * H)),
        ("min_gru", T * B * 2 * H * I),
        ("ind_rnn", T * B * H * I),
        ("highway_rnn", T * B * (2 * H * I + 6 * H * H)),
        ("projected_lstm", T * B * (4 * (H * I + H * H) + H * H)),
        ("conditioned_lstm", T * B * 4 * (H * I + H * H) + B * 4 * H * H),  # the context's products once a sequence
        ("clockwork", T * B * (H * I + 10 * (H // 4) ** 2)),
    ],
)
def test_operations_are_those_of_the_products(name: str, products: int) -> None:
    assert operations(ALL[name], SHAPE) == 2 * products


@pytest.mark.parametrize("name", ["lstm", "rate_rnn", "zoneout_lstm", "dropout_lstm", "conditioned_lstm", "layer_norm_lstm"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_backends_do_equal_work(name: str, dtype: torch.dtype) -> None:
    task = made(name, dtype=dtype)
    assert_equal([task.on("compiled"), task.on("reference")])
    results = task.on("compiled").train()
    assert set(results) == {"the output", *(f"the gradient of {leaf}" for leaf in ("x", *task.params))}
    assert all(value.dtype == dtype and value.abs().sum() > 0 for value in results.values())


def test_the_first_steps_are_the_beginning_of_the_work() -> None:
    task = made("rate_rnn")
    whole, start = task.on("reference").train(), task.first(4).on("reference").train()
    torch.testing.assert_close(start["the output"], whole["the output"][:, :4])
    assert start["the gradient of x"].shape == (B, 4, I)


@pytest.mark.parametrize("what", ["x", "W", "b"])
def test_unequal_work_is_refused(what: str) -> None:
    task = made("gru")
    if what == "x":
        other = replace(task, x=(task.x * 1.01).detach().requires_grad_())
    else:
        other = replace(task, params={**task.params, what: (task.params[what] + 0.01).detach().requires_grad_()})
    with pytest.raises(RunError, match="differ in the output"):
        assert_equal([task.on("reference"), other.on("compiled")])


def test_a_wrong_gradient_is_named() -> None:
    task = made("gru").on("reference")
    wrong = Competitor("wrong", lambda: {**task.train(), "the gradient of U": task.train()["the gradient of U"] * 1.001})
    with pytest.raises(RunError, match="reference and wrong differ in the gradient of U by 1.0e-03"):
        assert_equal([task, wrong])
    with pytest.raises(RunError, match="differ in the output of inference by nan"):
        assert_equal([task, Competitor("broken", task.train, lambda: task.train()["the output"] * float("nan"))])


def test_modules_compete() -> None:
    theirs, ours = torch.nn.GRU(I, H), GRU(I, H)
    ours.load_state_dict(theirs.state_dict())
    x, gradient = torch.randn(T, B, I, requires_grad=True), torch.randn(T, B, H)
    assert_equal([layer("theirs", theirs, x, gradient), layer("ours", ours, x, gradient)])
    with pytest.raises(RunError):
        assert_equal([layer("theirs", theirs, x, gradient), layer("ours", GRU(I, H), x, gradient)])


def test_competitors_take_turns() -> None:
    turns: list[str] = []

    def taking(name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            turns.append(name)
            time.sleep(seconds)

        return run

    times = interleave({"a": taking("a", 0.002), "b": taking("b", 0.0)}, repeats=3)
    assert turns == ["a", "b"] * 4  # a round first that is not counted
    assert len(times["a"].seconds) == len(times["b"].seconds) == 3
    assert 2 <= times["a"].least <= times["a"].median and times["b"].least < 2
    turns.clear()
    interleave({"a": taking("a", 0.0), "b": taking("b", 0.0)}, repeats=1, warm=1)
    assert turns == ["a", "b", "a", "a", "b", "b"]
    assert len(interleave({"a": taking("a", 0.001)}, seconds=0.05, repeats=1)["a"].seconds) > 5
