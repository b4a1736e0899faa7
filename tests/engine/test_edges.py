"""The compiled backend where values are extreme or equal: the ends of exp, ties, NaN in a choice."""

from __future__ import annotations

import pytest
import torch

from rondeau import cell, exp, input, largest, maximum, mean, minimum, relu, scan, sigmoid, softplus, state, tanh, vector
from rondeau.ir import Cell


@cell
def exponential(x=input(), h=state("input")):
    return exp(x + 0 * h)


@cell
def tied(x=input(), h=state("input"), d=vector("input")):
    a = relu(x * d)
    return maximum(a, h) + minimum(a, 0.5) * maximum(d, x) + largest(a) + 0 * h


@cell
def many(x=input(), h=state("input"), d=vector("input")):
    return tanh(d * x) + sigmoid(softplus(h)) + relu(x) + minimum(maximum(x, -1), 1) + 0 * mean(d)


@pytest.mark.parametrize(("dtype", "low", "high"), [(torch.float32, -105.0, 89.5), (torch.float64, -750.0, 711.0)])
def test_exp_reaches_to_the_largest_and_to_the_smallest_numbers(dtype: torch.dtype, low: float, high: float) -> None:
    x = torch.cat([torch.linspace(low, low + 30, 301), torch.linspace(high - 3, high, 301)]).to(dtype)
    found = scan(exponential, {}, x.view(-1, 1, 1), backend="compiled")[0].flatten()
    exact = torch.exp(x.double())
    expected = exact.to(dtype)
    assert not expected[0] and torch.isinf(expected[-1]) and (expected > 0).sum() > 400
    assert torch.equal(torch.isinf(found), torch.isinf(expected))
    unit = torch.nextafter(expected, torch.full_like(expected, torch.inf)).double() - expected.double()
    near = torch.isfinite(expected)
    assert ((found.double() - exact)[near].abs() <= 4 * unit[near]).all()


def gradients(item: Cell, x: torch.Tensor, h: torch.Tensor, d: torch.Tensor, backend: str) -> list[torch.Tensor]:
    leaves = [value.clone().requires_grad_() for value in (x, h, d)]
    y, _ = scan(item, {"d": leaves[2]}, leaves[0], leaves[1], backend=backend)
    return [y, *torch.autograd.grad((y * torch.arange(1.0, 1.0 + y.numel()).view_as(y)).sum(), leaves)]


def test_ties_share_the_gradient() -> None:
    x = torch.tensor([[1.0, 1.0, -1.0, 0.5, -2.0, 0.0], [-1.0, -1.0, -2.0, -3.0, -1.0, -1.0]]).view(2, 1, 6)
    h, d = torch.tensor([[1.0, 0.0, 0.0, 0.5, 1.0, 0.0]]).repeat(2, 1), torch.tensor([1.0, 1.0, -1.0, 1.0, 1.0, 1.0])
    for found, expected in zip(gradients(tied, x, h, d, "compiled"), gradients(tied, x, h, d, "reference"), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("size", [1, 5, 16, 19])
def test_nan_and_infinities_are_pytorchs(size: int) -> None:
    values = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e30, -1e30, 2.0])
    x = values.repeat(size)[: 8 * size].view(8, 1, size)
    h, d = values.flip(0).repeat(size)[: 8 * size].view(8, size), torch.ones(size)
    for found, expected in zip(gradients(many, x, h, d, "compiled"), gradients(many, x, h, d, "reference"), strict=True):
        torch.testing.assert_close(found, expected, equal_nan=True)
