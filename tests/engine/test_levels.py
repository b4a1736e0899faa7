"""What leaves the loop over time, and sums taken apart."""

from __future__ import annotations

import pytest
import torch

from rondeau import Cell, bias, cell, context, input, scan, state, tanh, weight
from rondeau.cells import ALL
from rondeau.engine.compile.canonicalise import canonicalise
from rondeau.engine.compile.levels import Levels
from rondeau.engine.compile.linear import linear, terms
from rondeau.ir.expressions import Expr
from rondeau.ir.nodes import postorder

SIZES = {"input": 3, "hidden": 5, "projection": 2, "output": 4, "context": 3}


@cell
def mixed(
    x=input(), h=state(), v=context("hidden"), W=weight("hidden", "input"), U=weight("hidden", "hidden"), b=bias("hidden")
):
    a = W @ x - b
    c = tanh(v)
    d = tanh(a)
    return a + c * (U @ h) + d


def test_levels_say_how_often_a_value_changes() -> None:
    levels = Levels(mixed)
    found = {name: levels[mixed.value(name)] for name in "acdh"}
    assert found == {"a": "step", "c": "sequence", "d": "state", "h": "state"}


@pytest.mark.parametrize("name", ALL)
def test_the_levels_that_a_step_carries_are_right(name: str) -> None:
    item = ALL[name]
    step = canonicalise(item, {size: SIZES[size] for size in item.sizes})
    afresh = Levels(item, step.roots)
    assert all(step.levels[expr] == afresh[expr] for expr in postorder(step.roots))


def test_a_linear_sum_is_taken_apart() -> None:
    levels, a = Levels(mixed), mixed.value("a")
    found = linear(a, mixed.input.symbol, levels)
    assert found is not None and [str(m) for m in found.matrices] == ["W"]
    assert [(plus, str(term)) for plus, term in found.constants] == [(False, "b")]
    assert linear(mixed.value("d"), mixed.input.symbol, levels) is None


def test_the_signs_of_terms_multiply() -> None:
    a, b = mixed.value("c"), mixed.value("d")
    inner: Expr = a - b
    assert list(terms(-(inner - a), lambda _: False)) == [(False, a), (True, b), (True, a)]
    assert list(terms(-(inner - a), lambda e: e is inner)) == [(False, inner), (True, a)]


@cell
def one_row(x=input(), h=state(), w=weight(1, "input"), U=weight("hidden", "hidden"), b=bias("hidden")):
    return tanh((w @ x + b) * (U @ h))


@cell
def one_row_beside_products(x=input(), h=state(), w=weight(1, "input"), U=weight("hidden", "hidden"), b=bias("hidden")):
    return tanh(w @ x + b + U @ h)


@cell
def one_number(x=input(), h=state(), W=weight("hidden", "input"), U=weight("hidden", "hidden"), b=bias("hidden"), c=bias(1)):
    return tanh((W @ x + (b - c)) * (U @ h))


@pytest.mark.parametrize("item", [one_row, one_row_beside_products, one_number], ids=lambda item: item.name)
def test_terms_of_one_feature_are_stretched(item: Cell) -> None:
    torch.manual_seed(0)
    params = {p.name: torch.randn(p.shape({"input": 3, "hidden": 5})).requires_grad_() for p in item.parameters}
    x, runs = torch.randn(2, 4, 3), []
    for backend in ("reference", "compiled"):
        y, _ = scan(item, params, x, backend=backend)
        runs.append([y, *torch.autograd.grad(y.square().sum(), list(params.values()))])
    for a, b in zip(*runs):
        torch.testing.assert_close(a, b)
