"""Every record has a figure that shows what the record says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rondeau import diagnostics, nn

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def layer() -> nn.Recurrent:
    torch.manual_seed(0)
    return nn.Recurrent("gru", 3, 4)


def drawn(figure) -> str:
    text = diagnostics.svg(figure, "a picture")
    assert text.startswith("<svg") and "http://" not in text.replace("http://www.w3.org", "")
    return text


def test_flow(layer: nn.Recurrent) -> None:
    flow = diagnostics.gradient_flow(layer, lambda: layer(torch.randn(2, 9, 3))[0].sum())
    figure = diagnostics.flow_figure(flow)
    (line,) = figure.axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), flow.over_batch("layer.h"))
    assert "layer.h" in drawn(figure)


def test_lags(layer: nn.Recurrent) -> None:
    found = diagnostics.by_lag(layer, lambda: layer(torch.randn(2, 9, 3))[0].sum((0, 2)))
    figure = diagnostics.lag_figure(found, ("layer.U.r", "layer.U.z"))
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == ["layer.U.r", "layer.U.z"]
    np.testing.assert_allclose(lines[1].get_ydata()[:-1], found.norms("layer.U.z")[:-1])  # the first state is zero
    assert len(diagnostics.lag_figure(found).axes[0].lines) == len(found.terms) and "layer.U.r" in drawn(figure)
