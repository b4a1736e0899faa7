"""Gates along a text, and the units that track something in it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rondeau as rd
from rondeau import nn
from rondeau.diagnostics import gates, text_signals, tracking
from rondeau.errors import InputError


def test_gates_are_what_a_run_traces() -> None:
    model = nn.Stack(nn.Recurrent("lstm", 3, 4, bidirectional=True), nn.Recurrent("gru", 8, 4))
    x, lengths = torch.randn(2, 6, 3), [6, 2]
    found = gates(model, lambda: model(x, lengths=lengths), ("f", "z"))
    assert set(found.values) == {"0.l0.f", "0.l0.reverse.f", "1.z"}
    _, _, traced = model(x, lengths=lengths, trace=("0.f", "1.z"))
    np.testing.assert_allclose(found.values["1.z"][0], traced["1.z"][0].detach(), rtol=1e-5)
    np.testing.assert_allclose(found.values["0.l0.reverse.f"][1, :2], traced["0.f"][1, 1, :2].detach(), rtol=1e-5)
    assert np.isnan(found.values["1.z"][1, 2:]).all()
    everything = gates(model, lambda: model(x)).values
    assert {"0.l0.c", "0.l0.h", "1.r"} <= set(everything) and len(everything) == 2 * 6 + 4


def test_a_layer_that_is_traced_already_gives_both() -> None:
    layer, x = nn.Recurrent("gru", 3, 4), torch.randn(2, 6, 3)
    seen: dict[str, torch.Tensor] = {}
    found = gates(layer, lambda: seen.update(layer(x, trace=("r", "z"))[2]), ("z", "n"))
    assert set(seen) == {"r", "z"} and set(found.values) == {"layer.z", "layer.n"}
    np.testing.assert_allclose(found.values["layer.z"], seen["z"].detach(), rtol=1e-5)


def test_a_counter_of_brackets_is_found() -> None:
    @rd.cell
    def counter(x=rd.input(2), h=rd.state(2), W=rd.weight(2, 2)):
        d = W @ x
        h = h + d
        return h

    text = 'if (a[(b)] + "c") {\n  d\n}\n'
    layer = nn.Recurrent(counter, 2, 1)
    torch.nn.init.constant_(layer.W, 0.0)
    with torch.no_grad():
        layer.W[1, 0] = -1.0  # the second unit counts down for every bracket that opens
    steps = [[(letter in "([{") - (letter in ")]}"), 1] for letter in text]
    found = gates(layer, lambda: layer(torch.tensor([steps], dtype=torch.float32)))
    best = tracking(found, text_signals(text)).best("depth", 1)
    assert best == [("layer.h", 1, pytest.approx(-1))]
    assert tracking(found, text_signals(text)).correlations["layer.h"]["depth"][0] == 0  # a unit that stands still


def test_signals_of_a_text() -> None:
    found = text_signals('a "(b\n)" ])c')
    assert found["quotes"].tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert found["line"].tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]
    assert found["depth"].tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]  # never below zero


def test_what_does_not_fit_is_refused() -> None:
    layer = nn.Recurrent("gru", 1, 2)
    with pytest.raises(InputError, match="no cell of this model has an equation 'f'; there are h, n, r, z"):
        gates(layer, lambda: layer(torch.ones(1, 3, 1)), ("f",))
    found = gates(layer, lambda: layer(torch.ones(1, 3, 1)))
    with pytest.raises(InputError, match=r"'quotes' has the shape \(1, 2\)"):
        tracking(found, {"quotes": [0, 1]})
