"""Jacobians of steps against autograd, and Lyapunov exponents against systems that have known ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from whole_cells import LENGTHS, Whole, extras_at

import rondeau as rd
from rondeau import cells, nn, step
from rondeau.cells import ALL
from rondeau.diagnostics import jacobians

DOUBLE = torch.float64


@pytest.mark.parametrize("name", ALL)
def test_a_step_has_the_jacobian_that_autograd_finds(name: str) -> None:
    model = Whole(name)
    found = jacobians(model, model)
    kept = [index for index, state in enumerate(model.cell.states) if state.role != "time"]

    def after(*states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = {**dict(enumerate(value[:1] for value in model.state)), **dict(zip(kept, states))}
        last = step(
            model.cell, model.params, model.x[:1, 0], tuple(given.values()), backend="reference", **extras_at(model, 0)
        )[1]
        return tuple(last[index] for index in kept)

    blocks = torch.autograd.functional.jacobian(after, tuple(model.state[index][:1] for index in kept))
    expected = torch.cat([torch.cat([part[0, :, 0] for part in row], -1) for row in blocks])
    np.testing.assert_allclose(found.matrices["layer"][0, 0], expected, atol=1e-10)
    assert (np.isfinite(found.matrices["layer"]).all((2, 3)).sum(1) == LENGTHS).all()


@pytest.mark.parametrize("reverse", [False, True])
def test_products_are_the_derivative_through_many_steps(reverse: bool) -> None:
    layer = nn.Recurrent("lstm", 3, 4, reverse=reverse, dtype=DOUBLE)
    x, start = torch.randn(1, 5, 3, dtype=DOUBLE), (torch.randn(1, 4, dtype=DOUBLE), torch.randn(1, 4, dtype=DOUBLE))
    found = jacobians(layer, lambda: layer(x, start))
    blocks = torch.autograd.functional.jacobian(lambda h, c: layer(x, (h, c))[1], start)
    expected = torch.cat([torch.cat([part[0, :, 0] for part in row], -1) for row in blocks])
    np.testing.assert_allclose(found.between("layer", 0, 5)[0], expected, atol=1e-12)
    np.testing.assert_allclose(found.influence("layer")[5], np.linalg.norm(expected, 2), rtol=1e-10)
    pairs = [found.between("layer", start, start + 3)[0] for start in range(3)]
    np.testing.assert_allclose(found.influence("layer")[3], np.mean([np.linalg.norm(pair, 2) for pair in pairs]))
    few = [np.linalg.norm(found.between("layer", start, start + 2)[0], 2) for start in (0, 2)]  # the third is the last step
    np.testing.assert_allclose(found.influence("layer", starts=3)[2], np.mean(few))
    assert found.parts["layer.c"] == slice(4, 8)


def linear(weights: torch.Tensor) -> nn.Recurrent:
    layer = nn.Recurrent(cells.elman(lambda v: v), 1, len(weights), dtype=DOUBLE)
    with torch.no_grad():
        layer.U.copy_(weights)
    return layer


def test_a_linear_system_has_the_logarithms_of_its_eigenvalues() -> None:
    weights = torch.tensor([[0.9, 3.0, 0.0], [0.0, 0.5, 1.0], [0.0, 0.0, 1.2]], dtype=DOUBLE)
    layer, x = linear(weights), torch.randn(2, 400, 1, dtype=DOUBLE)
    found = jacobians(layer, lambda: layer(x, lengths=[400, 300]))
    expected = np.log([1.2, 0.9, 0.5])
    np.testing.assert_allclose(found.exponents("layer", skip=100), [expected, expected], atol=1e-6)
    np.testing.assert_allclose(found.spectral_radius("layer")[0], 1.2)
    np.testing.assert_allclose(found.singular_values("layer")[0, 0], np.linalg.svd(weights, compute_uv=False))
    assert np.isnan(found.spectral_radius("layer")[1, 300:]).all()


def test_the_henon_map_is_chaotic_as_it_is_known_to_be() -> None:
    @rd.cell
    def henon(x=rd.input(1), p=rd.state(1), q=rd.state(1)):
        p, q = 1 - 1.4 * p * p + q + 0 * x, 0.3 * p
        return p, q

    layer = nn.Recurrent(henon, 1, 1, dtype=DOUBLE)
    found = jacobians(layer, lambda: layer(torch.zeros(1, 4000, 1, dtype=DOUBLE)))
    first, second = found.exponents("layer", skip=100)[0]
    assert first + second == pytest.approx(math.log(0.3), abs=1e-9)  # areas shrink by b at every step
    assert first == pytest.approx(0.419, abs=0.01)


def test_half_lives() -> None:
    x = torch.randn(1, 30, 1, dtype=DOUBLE)
    slow, never = linear(torch.tensor([[0.9]])), linear(torch.tensor([[1.0]]))
    assert jacobians(slow, lambda: slow(x)).half_life("layer") == pytest.approx(math.log(0.5) / math.log(0.9))
    assert jacobians(never, lambda: never(x)).half_life("layer") == math.inf
    assert jacobians(slow, lambda: slow(x)).half_life("layer", most=3) == math.inf
