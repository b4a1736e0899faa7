"""Every record has a figure that shows what the record says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rondeau import diagnostics, nn
from rondeau.errors import InputError

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


def test_jacobians(layer: nn.Recurrent) -> None:
    found = diagnostics.jacobians(layer, lambda: layer(torch.randn(2, 9, 3)))
    figure = diagnostics.jacobian_figure(found, "layer")
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), found.influence("layer"))
    assert f"{found.half_life('layer'):.3g} steps" in drawn(figure)


def test_saturation(layer: nn.Recurrent) -> None:
    looks = [diagnostics.saturation(layer, lambda scale=scale: layer(scale * torch.randn(2, 9, 3))) for scale in (1, 9)]
    over_time, over_training = diagnostics.saturation_figure(looks[0]), diagnostics.saturation_figure(*looks)
    lines = {line.get_label(): line for line in over_training.axes[0].lines}
    np.testing.assert_allclose(lines["layer.z"].get_ydata(), [look.high["layer.z"].mean() for look in looks])
    assert len(over_time.axes[0].lines[0].get_ydata()) == 9 and "layer.z" in drawn(over_time)


def test_spectrum(layer: nn.Recurrent) -> None:
    found = diagnostics.spectrum(layer, lambda: layer(torch.randn(2, 9, 3)))
    figure = diagnostics.spectrum_figure(found, "layer.U.n")
    np.testing.assert_allclose(figure.axes[0].lines[1].get_xdata(), found.eigenvalues["layer.U.n"].real)
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), found.powers["layer.U.n"])
    assert "layer.U.n" in drawn(figure)


def test_memory_over_a_text(layer: nn.Recurrent) -> None:
    found = diagnostics.memory_of(layer, torch.randn(1, 5, 3))
    figure = diagnostics.memory_figure(found, "a $b\n")
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["a", " ", r"\$", "b", "¶"]
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), found.influence[0])
    assert "step of the input" in drawn(figure) and drawn(diagnostics.memory_figure(found))
    with pytest.raises(InputError, match="3 characters for 5 steps"):
        diagnostics.memory_figure(found, "abc")


def test_a_gate_over_a_text(layer: nn.Recurrent) -> None:
    x = torch.randn(2, 9, 3)
    found = diagnostics.gates(layer, lambda: layer(x, lengths=[9, 4]))
    figure = diagnostics.gate_figure(found, "layer.z", 2, "text", row=1)
    shown = np.asarray(figure.axes[0].images[0].get_array()).ravel()
    np.testing.assert_allclose(shown[:4], found.values["layer.z"][1, :4, 2])
    assert "unit 2 of layer.z" in drawn(figure)
    two_lines = diagnostics.text_figure("a" * 70, np.arange(70), "numbers")
    assert two_lines.axes[0].images[0].get_array().shape == (2, 64)
