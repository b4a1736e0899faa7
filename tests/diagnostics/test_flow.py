"""The gradient at every step, against autograd on states that are kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from whole_cells import LENGTHS, Whole, unrolled

from rondeau import cells, nn
from rondeau.cells import ALL
from rondeau.diagnostics import gradient_flow
from rondeau.errors import InputError
from rondeau.ir import Cell
from rondeau.ir.nodes import postorder

DOUBLE = torch.float64
CASES = [(name, False) for name in ALL] + [(name, True) for name in ("lstm", "clockwork", "lagged_rnn", "rate_rnn")]

COMPILED = ("lstm", "gru", "clockwork", "lagged_rnn")
"""Those that run as kernels here; that kernels agree with the reference for every cell is a law of the engine."""


def final(cell: Cell, index: int) -> bool:
    """Whether nothing else in the step reads a state's next value, but for the output that it may be."""
    target = cell.next[index]
    others = [root for root in cell.roots if root is not target]
    return target not in set(postorder(others)) and sum(expr is target for expr in cell.next) == 1


@pytest.mark.parametrize(("name", "reverse"), CASES)
def test_the_gradient_of_a_state_is_autograds(name: str, reverse: bool) -> None:
    model = Whole(name, reverse, backend="auto" if name in COMPILED else "reference")
    _, states, outputs = unrolled(model)
    for y in outputs:
        y.retain_grad()
    torch.stack(outputs).pow(2).sum().backward()
    flow = gradient_flow(model, lambda: model()[0].square().sum())
    checked = 0
    for index, state in enumerate(model.cell.states):
        if state.role == "state" and final(model.cell, index) and f"layer.{state.name}" in flow.norms:
            for place, (after, y) in enumerate(zip(states, outputs)):
                t = len(states) - 1 - place if reverse else place
                expected = torch.zeros_like(after[index]) if after[index].grad is None else after[index].grad
                if model.cell.output is model.cell.next[index]:
                    expected = expected + y.grad
                np.testing.assert_allclose(flow.norms[f"layer.{state.name}"][0, t], expected.norm(), atol=1e-12)
                checked += 1
    assert checked or name in ("deep_output_rnn", "jordan")


def test_an_lstm_written_by_hand() -> None:
    layer = nn.Recurrent("lstm", 3, 4, dtype=DOUBLE)
    x = torch.randn(2, 7, 3, dtype=DOUBLE)
    h = c = torch.zeros(2, 4, dtype=DOUBLE)
    kept: dict[str, list[torch.Tensor]] = {"h": [], "c": []}
    for t in range(7):
        i, f, g, o = (x[:, t] @ layer.W.T + h @ layer.U.T + layer.b).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        for name, value in (("h", h), ("c", c)):
            value.retain_grad()
            kept[name].append(value)
    h.square().sum().backward()
    flow = gradient_flow(layer, lambda: layer(x)[1][0].square().sum())
    for name, values in kept.items():
        expected = torch.stack([value.grad for value in values], 1).norm(dim=-1)
        np.testing.assert_allclose(flow.norms[f"layer.{name}"], expected, rtol=1e-10)
        np.testing.assert_allclose(flow.over_batch(f"layer.{name}"), expected.norm(dim=0), rtol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_ragged_stacks_in_both_directions(dtype: torch.dtype) -> None:
    model = nn.Stack(nn.Recurrent("gru", 3, 4, num_layers=2, bidirectional=True), nn.Recurrent("lstm", 8, 4)).to(dtype)
    x = torch.randn(3, 6, 3, dtype=dtype)
    flow = gradient_flow(model, lambda: model(x, lengths=LENGTHS)[0].sum())
    assert set(flow.norms) == {"0.l0.h", "0.l0.reverse.h", "0.l1.h", "0.l1.reverse.h", "1.h", "1.c"}
    for norms in flow.norms.values():
        assert (np.isnan(norms) == [[t >= length for t in range(6)] for length in LENGTHS]).all()
    assert flow.reverse["0.l1.reverse.h"] and not flow.reverse["0.l1.h"]


def test_the_same_pass_gives_the_gradients_of_parameters() -> None:
    layer, x = nn.Recurrent("peephole_lstm", 3, 4, dtype=DOUBLE), torch.randn(2, 5, 3, dtype=DOUBLE)
    expected = torch.autograd.grad(layer(x)[0].square().sum(), list(layer.parameters()))
    flow = gradient_flow(layer, lambda: layer(x)[0].square().sum(), backward=True)
    for parameter, gradient in zip(layer.parameters(), expected):
        torch.testing.assert_close(parameter.grad, gradient)
    again = gradient_flow(layer, lambda: layer(x)[0].square().sum())
    np.testing.assert_allclose(again.norms["layer.c"], flow.norms["layer.c"])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("factor", [0.5, 1.25])
def test_growth_is_the_factor_of_a_linear_memory(factor: float, reverse: bool) -> None:
    layer = nn.Recurrent(cells.elman(lambda v: v), 1, 1, reverse=reverse, dtype=DOUBLE)
    torch.nn.init.constant_(layer.U, factor)
    last = 0 if reverse else 9
    flow = gradient_flow(layer, lambda: layer(torch.ones(2, 10, 1, dtype=DOUBLE))[0][:, last].sum())
    assert flow.growth("layer.h") == pytest.approx(factor)
    nothing = gradient_flow(layer, lambda: layer(torch.ones(2, 10, 1, dtype=DOUBLE))[0].sum() * 0)
    assert np.isnan(nothing.growth("layer.h"))


def test_a_clip_of_the_layer_bounds_it() -> None:
    layer = nn.Recurrent(cells.elman(lambda v: v), 1, 1, clip=3.0, dtype=DOUBLE)
    torch.nn.init.constant_(layer.U, 2.0)
    flow = gradient_flow(layer, lambda: layer(torch.ones(1, 6, 1, dtype=DOUBLE))[0][:, -1].sum())
    assert flow.norms["layer.h"].max() == 3.0


def test_what_is_no_loss_is_refused() -> None:
    layer = nn.Recurrent("elman", 1, 1)
    with pytest.raises(InputError, match=r"returned a tensor \(1, 2, 1\)"):
        gradient_flow(layer, lambda: layer(torch.ones(1, 2, 1))[0])
    with pytest.raises(InputError, match="expected|features|shape"):
        gradient_flow(layer, lambda: layer(torch.ones(1, 2, 3))[0].sum())
    assert layer.watcher is None
