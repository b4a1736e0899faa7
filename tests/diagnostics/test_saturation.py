"""Shares of saturated gates, against the gates themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from whole_cells import Whole

from rondeau import nn
from rondeau.cells import ALL
from rondeau.diagnostics import saturation
from rondeau.diagnostics.activations import activations
from rondeau.errors import InputError


@pytest.mark.parametrize("reverse", [False, True])
def test_shares_are_those_of_the_traced_gates(reverse: bool) -> None:
    layer, x = nn.Recurrent("lstm", 3, 6, reverse=reverse), 8 * torch.randn(4, 7, 3)
    lengths = torch.tensor([7, 7, 4, 2])
    found = saturation(layer, lambda: layer(x, lengths=lengths), margin=0.1)
    _, _, gates = layer(x, lengths=lengths, trace=("i", "f", "g", "o"))
    alive = torch.arange(7) < lengths[:, None]
    for name, value in gates.items():
        low, high = (-0.8, 0.8) if name == "g" else (0.1, 0.9)
        for t in range(7):
            of_step = value[alive[:, t], t]
            assert found.low[f"layer.{name}"][t] == pytest.approx((of_step <= low).double().mean().item(), abs=1e-6)
            assert found.high[f"layer.{name}"][t] == pytest.approx((of_step >= high).double().mean().item(), abs=1e-6)
    assert 0 < found.low["layer.f"].mean() < 1 and "layer.tanh(c[t])" in found.low


def test_dead_and_stuck_units() -> None:
    layer = nn.Recurrent("elman_relu", 2, 4)
    with torch.no_grad():
        layer.b.copy_(torch.tensor([-1000.0, 1.0, -1000.0, 1.0]))
        layer.W.zero_()
        layer.U.zero_()
    found = saturation(layer, lambda: layer(torch.randn(3, 5, 2)))
    assert found.stuck == {"layer.h": 0.5} and (found.low["layer.h"] == 0.5).all() and not found.high["layer.h"].any()


@pytest.mark.parametrize("name", ALL)
def test_every_cell(name: str) -> None:
    model = Whole(name)
    found = saturation(model, model)
    assert len(found.low) == len(activations(model.cell)) and all(0 <= v <= 1 for v in found.stuck.values())
    for values in (*found.low.values(), *found.high.values()):
        assert values.shape == (6,) and ((values >= 0) & (values <= 1)).all()
    assert np.isfinite(list(found.stuck.values())).all()


def test_a_margin_beyond_the_middle_is_refused() -> None:
    layer = nn.Recurrent("elman", 1, 1)
    with pytest.raises(InputError, match=r"between 0 and 0\.5, not 0\.5"):
        saturation(layer, lambda: layer(torch.ones(1, 2, 1)), margin=0.5)
