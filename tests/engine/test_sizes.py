"""Sizes that are none, and sizes that no machine has room for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from rondeau import cell, cells, explain, input, scan, state, tanh, weight
from rondeau.cells import ALL
from rondeau.engine import Stepper
from rondeau.engine.inputs import check
from rondeau.errors import InputError

SIZES = {"input": 5, "hidden": 12, "projection": 3, "output": 4, "context": 3}
NOTHING: list[dict[str, int]] = [{"batch": 0}, {"time": 0}, {"input": 0}, {"batch": 0, "time": 0}]
OPTIONS: list[dict[str, Any]] = [{}, {"lengths": True}, {"reverse": True, "clip": 1.0}, {"segment": "auto"}, {"trace": True}]


@pytest.mark.parametrize("empty", NOTHING, ids=str)
@pytest.mark.parametrize("name", ALL)
def test_nothing_is_worked_on_and_its_gradient_is_zero(name: str, empty: dict[str, int]) -> None:
    item, batch, time = ALL[name], empty.get("batch", 3), empty.get("time", 4)
    known = {size: {**SIZES, **empty}[size] for size in item.sizes}
    params = {p.name: torch.randn(p.shape(known)).requires_grad_() for p in item.parameters}
    x = torch.randn(batch, time, known["input"])
    lead = {"step": (batch, time), "sequence": (batch,)}
    context = {c.name: torch.rand(*lead[c.per], c.width.bind(known)) for c in item.contexts}
    before = tuple(torch.randn(batch, s.width.bind(known)).requires_grad_() for s in item.states)
    for options in OPTIONS:
        given = {**options}
        if "lengths" in given:
            given["lengths"] = [time] * batch
        if "trace" in given:
            given["trace"] = (item.equations[0].name,)
        y, after, *_ = scan(item, params, x, before, context=context, **given)
        assert y.shape[:2] == (batch, time) and [s.shape for s in after] == [s.shape for s in before]
        total = y.sum() + sum(s.sum() for s in after)
        found = torch.autograd.grad(total, [*before, *params.values()], materialize_grads=True)
        assert all(torch.isfinite(g).all() for g in found)
        if not time:
            assert all(torch.equal(a, b) for a, b in zip(after, before))
        if not batch or not time:
            assert not any(g.any() for g in found[len(before) :])


def huge(*shape: int) -> Tensor:
    """A tensor that takes no memory."""
    return torch.zeros(1).expand(shape)


def elman(hidden: int, inputs: int = 1) -> dict[str, Tensor]:
    return {"W": huge(hidden, inputs), "U": huge(hidden, hidden), "b": huge(hidden)}


ABSURD: dict[str, Callable[[str], object]] = {
    "features": lambda backend: scan(cells.elman(), elman(10**9), torch.zeros(1, 1, 1), backend=backend),
    "gradients": lambda backend: scan(
        cells.elman(), {k: v.requires_grad_() for k, v in elman(10**9).items()}, torch.zeros(1, 1, 1), backend=backend
    ),
    "input": lambda backend: scan(cells.elman(), elman(4, 10**9), huge(1, 1, 10**9), backend=backend),
    "matrix": lambda backend: scan(cells.elman(), elman(10**5), torch.zeros(1, 1, 1), backend=backend),
    "batch": lambda backend: scan(cells.elman(), elman(4), huge(10**13, 1, 1), backend=backend),
    "time": lambda backend: scan(cells.elman(), elman(4), huge(1, 10**13, 1), backend=backend),
    "both": lambda backend: scan(cells.elman(), elman(4), huge(10**7, 10**7, 1), lengths=huge(10**7).long(), backend=backend),
}


@pytest.mark.parametrize("backend", ["auto", "compiled", "torch", "reference"])
@pytest.mark.parametrize("run", ABSURD.values(), ids=list(ABSURD))
def test_what_no_machine_has_room_for_is_refused_before_anything_is_made(run: Callable[[str], object], backend: str) -> None:
    with pytest.raises(InputError, match="features|numbers|shape"):
        run(backend)


def test_explaining_takes_no_memory() -> None:
    with pytest.raises(InputError, match="features"):
        explain(cells.lstm(), huge(1, 1, 10**9))
    assert explain(cells.lstm(), huge(1, 1, 10**6)).backend


def test_the_largest_run_that_is_taken() -> None:
    with pytest.raises(InputError, match="at most"):
        check.check_inputs(cells.elman(), elman(4), huge(1, check.MOST // 4 + 1, 1))
    assert check.check_inputs(cells.elman(), elman(4), huge(1, check.MOST // 4, 1)).time == check.MOST // 4


@pytest.mark.parametrize("entry", [-1, 3, 10**9, 10**19])
def test_a_stepper_reads_only_its_table(entry: int) -> None:
    params = {"W": torch.eye(2), "U": torch.zeros(2, 2), "b": torch.zeros(2)}
    stepper = Stepper(cells.elman("relu"), params, torch.ones(3, 2))
    with pytest.raises(InputError, match="entries 0 to 2"):
        stepper.step(entry)
    assert stepper.step(2).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("count", [1, 120])
def test_a_long_chain_of_operations(count: int) -> None:
    @cell
    def deep(x=input(), h=state(), W=weight("hidden", "input")):
        for _ in range(count):
            h = tanh(h * 0.9 + 0.1)
        return h + W @ x

    W, x = torch.randn(4, 3, requires_grad=True), torch.randn(2, 3, 3)
    runs = [scan(deep, {"W": W}, x, backend=backend)[0] for backend in ("compiled", "reference")]
    torch.testing.assert_close(*runs)
    torch.testing.assert_close(*(torch.autograd.grad(y.square().sum(), W)[0] for y in runs))


def test_many_gates() -> None:
    names = [f"g{i}" for i in range(200)]

    @cell
    def wide(x=input(), h=state(), W=weight(" ".join(names), "hidden", "input")):
        for name in names:
            h = h + tanh(getattr(W, name) @ x)
        return tanh(h)

    W, x = torch.randn(200 * 4, 3, requires_grad=True), torch.randn(2, 3, 3)
    runs = [scan(wide, {"W": W}, x, backend=backend)[0] for backend in ("compiled", "reference")]
    torch.testing.assert_close(*runs)
    torch.testing.assert_close(*(torch.autograd.grad(y.square().sum(), W)[0] for y in runs))
