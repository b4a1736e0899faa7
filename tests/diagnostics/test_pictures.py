"""Unrolled cells: equations, terms of the gradient, pictures."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
import torch

import rondeau as rd
from rondeau import cells, nn
from rondeau.cells import ALL
from rondeau.diagnostics import by_lag, diagram, expansion, step_graph, unrolled, unrolled_equations
from rondeau.errors import InputError


@pytest.mark.parametrize("name", ALL)
def test_every_cell_is_drawn(name: str) -> None:
    graph, cell = step_graph(name), ALL[name]
    assert set(graph.next) == {state.name for state in cell.states if state.role == "state"}
    known = {f"{state}[t-1]" for state in graph.states} | set(graph.inputs) | {s.name for s in cell.states if s.role != "state"}
    for node in graph.nodes:
        assert set(node.sources) <= known, node
        known.add(node.name)
    step, many = ElementTree.fromstring(diagram(name)), ElementTree.fromstring(unrolled(name, 3))
    texts = [element.text for element in step.iter() if element.tag.endswith("text")]
    assert {node.name for node in graph.nodes} <= set(texts)
    labels = [element.text for element in many.iter() if element.tag.endswith("text")]
    for t in ("[t]", "[1]", "[2]", "[3]"):
        assert f"{graph.inputs[0]}{t}" in labels and f"y{t}" in labels
    assert f"{graph.inputs[0]}[4]" not in labels


def test_the_identity_path_stands_out() -> None:
    assert step_graph("lstm").direct == {"c": ("c",)} and step_graph("elman").direct == {}
    assert step_graph("gru").direct == {"h": ("h",)} and step_graph("leaky_rnn").direct == {"h": ("h",)}
    assert step_graph(cells.residual(cells.elman())).direct == {"h": ("h",)}
    assert 'stroke="#2f7fd1" stroke-width="3"' in unrolled("lstm") and "#2f7fd1" not in unrolled("elman") + diagram("elman")
    for one_step, crossings in (("lstm", 2), ("gru", 2)):
        assert diagram(one_step).count('stroke-width="3"') == crossings


def test_a_path_through_a_matrix_or_an_activation_is_not_direct() -> None:
    @rd.cell
    def mixed(x=rd.input(), a=rd.state(), b=rd.state("input"), U=rd.weight("hidden", "hidden")):
        a, b = U @ a, rd.tanh(b) + x
        return a, b

    assert step_graph(mixed).direct == {}


def test_equations_written_out() -> None:
    assert unrolled_equations(cells.elman(), 3).splitlines() == [
        "h[1] = tanh(W @ x[1] + U @ h[0] + b)",
        "h[2] = tanh(W @ x[2] + U @ h[1] + b)",
        "h[3] = tanh(W @ x[3] + U @ h[2] + b)",
    ]
    leaky = unrolled_equations(cells.leaky_rnn_learned(), 2).splitlines()
    assert leaky[0] == "rate = sigmoid(a)" and len(leaky) == 5 and leaky[-1] == "h[2] = (1 - rate) * h[1] + rate * n[2]"
    assert "V @ h[-2]" in unrolled_equations(cells.lagged_rnn(3), 1)


def test_the_three_terms_of_three_steps() -> None:
    layer = nn.Recurrent("lstm", 2, 3, dtype=torch.float64)
    x = torch.randn(1, 3, 2, dtype=torch.float64)
    found = by_lag(layer, lambda: layer(x)[0][:, -1].square().sum())
    lines = expansion(found, "layer.W.f", 3).splitlines()
    assert lines[0] == "dL[3]/dW.f = term(3) + term(2) + term(1)"
    assert lines[2].startswith("term(2) = dL[3]/ds[3] ds[3]/ds[2] d+s[2]/dW.f ")
    norms = [float(number) for number in re.findall(r"norm (\S+)", "\n".join(lines))]
    assert norms == pytest.approx(found.norms("layer.W.f"), rel=1e-3)
    assert sum(float(share) for share in re.findall(r"share (\S+)", "\n".join(lines))) == pytest.approx(100, abs=0.2)
    with pytest.raises(InputError, match="no parameter 'V'"):
        expansion(found, "V", 3)


@pytest.mark.parametrize("function", [lambda n: unrolled("gru", n), lambda n: unrolled_equations(cells.gru(), n)])
def test_no_steps_are_refused(function) -> None:
    with pytest.raises(InputError, match="positive whole number, not 0"):
        function(0)
