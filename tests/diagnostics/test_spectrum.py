"""Spectra of recurrent matrices: when eigenvalues tell what powers do, and when they do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rondeau as rd
from rondeau import cells, nn
from rondeau.diagnostics import spectrum, spectrum_of
from rondeau.errors import InputError


def test_a_normal_matrix_is_told_by_its_eigenvalues() -> None:
    rotation = 0.9 * np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    found = spectrum_of(rotation)
    np.testing.assert_allclose(found.powers["W"], found.predicted("W"), rtol=1e-10)
    np.testing.assert_allclose(found.powers["W"][50], 0.9**50)
    assert found.diagonalisable("W") and found.transient("W") == pytest.approx(1)
    assert found.condition["W"] == pytest.approx(1, abs=1e-6) and found.departure["W"] == pytest.approx(0, abs=1e-6)


def test_a_jordan_block_is_not() -> None:
    block = np.array([[0.9, 5.0], [0.0, 0.9]])
    found = spectrum_of(block)
    assert found.radius("W") == pytest.approx(0.9) and not found.diagonalisable("W")
    assert found.powers["W"].max() > 15 and found.transient("W") > 100  # it grows before it dies out
    for k in (1, 7):
        np.testing.assert_allclose(found.powers["W"][k], np.linalg.norm(np.linalg.matrix_power(block, k), 2))


def test_far_eigenvectors_let_powers_grow_before_they_vanish() -> None:
    found = spectrum_of(np.array([[0.9, 50.0], [0.0, 0.8]]))
    assert found.diagonalisable("W") and 1 < found.transient("W") <= found.condition["W"] and found.departure["W"] > 0.9


def test_the_matrices_of_a_model() -> None:
    model = nn.Stack(
        nn.Recurrent("gru", 3, 4), nn.Recurrent("clockwork", 4, 8, bidirectional=True), nn.Recurrent("ind_rnn", 16, 4)
    )
    found = spectrum(model, lambda: model(torch.randn(2, 5, 3)))
    assert {"0.U.r", "0.U.z", "0.U.n", "1.l0.U.g0_0", "1.l0.reverse.U.g2_3"} <= set(found.eigenvalues)
    block = model[0].U.detach().chunk(3)[1].double()
    np.testing.assert_allclose(found.singular_values["0.U.z"], torch.linalg.svdvals(block), rtol=1e-6)
    assert not any(name.startswith("2") or ".W" in name for name in found.eigenvalues)


def test_the_part_of_a_concatenated_matrix_that_multiplies_the_state() -> None:
    @rd.cell
    def joined(x=rd.input(), h=rd.state(), W=rd.weight("hidden", "input + hidden")):
        h = rd.tanh(W @ rd.concat(x, h))
        return h

    layer = nn.Recurrent(joined, 3, 4)
    ((name, values),) = spectrum(layer, lambda: layer(torch.ones(1, 2, 3))).singular_values.items()
    assert name == "layer.W[:, 3:7]"
    np.testing.assert_allclose(values, torch.linalg.svdvals(layer.W[:, 3:].detach().double()), rtol=1e-6)


def test_what_has_no_spectrum_is_refused() -> None:
    layer = nn.Recurrent(cells.ind_rnn(), 2, 3)
    with pytest.raises(InputError, match="no spectrum"):
        spectrum(layer, lambda: layer(torch.ones(1, 2, 2)))
    with pytest.raises(InputError, match=r"not of shape \(2, 3\)"):
        spectrum_of(np.ones((2, 3)))
