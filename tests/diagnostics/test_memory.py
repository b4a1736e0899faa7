"""What an output draws from each input, against autograd and against what a cell is known to remember."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rondeau import cells, nn
from rondeau.diagnostics import memory_of
from rondeau.errors import InputError
from rondeau.models import LanguageModel

DOUBLE = torch.float64


@pytest.mark.parametrize("name", ["lstm", "gru", "clockwork", "lagged_rnn", "layer_norm_gru"])
def test_the_gradient_is_autograds(name: str) -> None:
    layer, x = nn.Recurrent(name, 3, 4, bidirectional=True, dtype=DOUBLE), torch.randn(2, 5, 3, dtype=DOUBLE)
    found = memory_of(layer, x, call=lambda value: layer(value, lengths=[5, 3])[0])
    full = torch.autograd.functional.jacobian(lambda value: layer(value, lengths=[5, 3])[0], x)
    for row, length in enumerate([5, 3]):
        expected = full[row, :, :, row].square().sum((1, 3)).sqrt()
        np.testing.assert_allclose(found.influence[row, :length, :length], expected[:length, :length], atol=1e-12)
    assert np.isnan(found.influence[1, 3:]).all() and np.isnan(found.influence[1, :, 3:]).all()


def leaky(factor: float) -> nn.Recurrent:
    layer = nn.Recurrent(cells.elman(lambda v: v), 1, 1, dtype=DOUBLE)
    for parameter, value in zip((layer.W, layer.U, layer.b), (1.0, factor, 0.0)):
        torch.nn.init.constant_(parameter, value)
    return layer


@pytest.mark.parametrize("by", ["gradient", "occlusion"])
def test_a_linear_memory_fades_by_its_factor(by) -> None:
    layer = leaky(0.5)
    found = memory_of(layer, torch.ones(1, 6, 1, dtype=DOUBLE), by=by)
    np.testing.assert_allclose(found.influence[0, 5], 0.5 ** np.arange(5, -1, -1))
    np.testing.assert_allclose(found.by_lag(), [0] * 5 + [0.5**k for k in range(6)])
    assert found.lags[[0, -1]].tolist() == [-5, 5] and found.reach(0.2) == 2


def test_tokens_are_looked_at_through_their_embeddings() -> None:
    model, tokens = LanguageModel(7, "gru", hidden=5, embedding=3), torch.randint(7, (2, 6))
    by_gradient = memory_of(model, tokens).influence
    by_occlusion = memory_of(model, tokens, by="occlusion", blank=0).influence
    assert (by_gradient[:, np.tri(6, dtype=bool)] > 0).all()
    for influence in (by_gradient, by_occlusion):
        assert not influence[:, ~np.tri(6, dtype=bool)].any()  # nothing comes from later steps
    assert not by_occlusion[0][:, (tokens[0] == 0).numpy()].any()  # what is blank already changes nothing


def test_what_has_no_output_a_step_is_refused() -> None:
    layer = leaky(0.5)
    with pytest.raises(InputError, match=r"gave \(1, 1\), expected an output for every step of x, \(1, 6\)"):
        memory_of(layer, torch.ones(1, 6, 1, dtype=DOUBLE), call=lambda value: layer(value)[1][0])
    with pytest.raises(InputError, match="not 'guess'"):
        memory_of(layer, torch.ones(1, 6, 1, dtype=DOUBLE), by="guess")
