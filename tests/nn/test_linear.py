"""The linear layer is PyTorch's, by whichever way its products go."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rondeau.engine.linear_map import linear_map
from rondeau.engine.products.ways import WAYS, Name
from rondeau.nn.linear import Linear


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Name:
    """Every way, for products of any size."""
    monkeypatch.setattr("rondeau.engine.linear_map.SMALL", 0)
    monkeypatch.setattr("rondeau.engine.products.multiply.SMALL", 0)
    monkeypatch.setenv("RONDEAU_PRODUCTS", request.param)
    return request.param


def drawn(*lead: int, bias: bool = True, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    shapes = [(*lead, 5), (7, 5), *([(7,)] if bias else [])]
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("lead", [(11,), (3, 4), (2, 3, 4), ()], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_it_is_pytorchs(way: Name, lead: tuple[int, ...], bias: bool, dtype: torch.dtype) -> None:
    given = drawn(*lead, bias=bias, dtype=dtype)
    found, expected = linear_map(*given), torch.nn.functional.linear(*given)
    torch.testing.assert_close(found, expected)
    g = torch.randn_like(expected)
    torch.testing.assert_close(torch.autograd.grad(found, given, g), torch.autograd.grad(expected, given, g))


@pytest.mark.parametrize("shape", [(1,), (1, 7), ()], ids=str)
def test_a_bias_of_another_shape_is_spread_as_pytorch_does(way: Name, shape: tuple[int, ...]) -> None:
    x, weight, bias = torch.randn(11, 5), torch.randn(7, 5), torch.randn(shape)
    torch.testing.assert_close(linear_map(x, weight, bias), torch.nn.functional.linear(x, weight, bias))


def test_all_its_derivatives_are_right(way: Name) -> None:
    given = tuple(drawn(3))
    assert torch.autograd.gradcheck(linear_map, given, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(linear_map, given)


def test_products_are_ours_and_pytorchs_where_it_must_see_them(way: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    real = WAYS[way]
    monkeypatch.setattr("rondeau.engine.products.multiply.WAYS", {way: lambda *given: ran.append(way) or real(*given)})
    layer, x = Linear(5, 7), torch.randn(2, 3, 5, requires_grad=True)
    layer(x).sum().backward()
    assert ran == [way] * 3
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype is torch.bfloat16
    torch.func.vmap(layer)(x)
    torch.compile(layer, backend="eager", fullgraph=True)(x)
    assert ran == [way] * 3


def test_parameters_and_initial_values_are_pytorchs() -> None:
    layers = []
    for kind in (torch.nn.Linear, Linear):
        torch.manual_seed(3)
        layers.append(kind(5, 7))
    torch.testing.assert_close(layers[1].state_dict(), layers[0].state_dict(), rtol=0, atol=0)
