"""Traced values and their gradients: what a loss on them gives, and dL/dh_t with all that flows through later steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from rondeau import cells, scan, step
from rondeau.cells import ALL
from rondeau.errors import InputError
from rondeau.ir import Cell

SIZES = {"input": 3, "hidden": 4, "context": 2, "projection": 3, "output": 4, "transition": 4}
TIME = 6


def drawn(cell: Cell) -> dict[str, Tensor]:
    return {item.name: (torch.randn(item.shape(SIZES), dtype=torch.float64) * 0.7).requires_grad_() for item in cell.parameters}


def loss_of(y: Tensor, state: Sequence[Tensor]) -> Tensor:
    return (y * torch.arange(1.0, y.numel() + 1, dtype=y.dtype).view(y.shape)).sin().sum() + state[-1].square().sum()


def unrolled(cell: Cell, params: dict[str, Tensor], x: Tensor, lengths: list[int], lookup: str) -> list[Tensor]:
    """dL/d(state) after each step, from a loop over single steps, for cells whose output is that state."""
    at = [item.name for item in cell.states].index(lookup)
    state: Any = tuple(torch.zeros(len(x), s.width.bind(SIZES), dtype=x.dtype) for s in cell.states)
    seen, ys = [], []
    for t in range(x.shape[1]):
        _, new = step(cell, params, x[:, t], state, backend="reference")
        live = torch.tensor([[t < n] for n in lengths])
        new = tuple(torch.where(live, a, b) for a, b in zip(new, state))
        ys.append(torch.where(live, new[at], torch.zeros_like(new[at])))
        seen.append(new[at])
        state = new
    return list(torch.autograd.grad(loss_of(torch.stack(ys, 1), state), seen))


@pytest.mark.parametrize("backend", ["compiled", "reference"])
@pytest.mark.parametrize(("name", "value"), [("elman", "h"), ("min_gru", "h"), ("residual_elman", "h"), ("leaky_gru", "h")])
def test_a_shift_has_the_gradient_of_the_state(name: str, value: str, backend: str) -> None:
    cell = ALL[name]
    params, x, lengths = drawn(cell), torch.randn(2, TIME, 3, dtype=torch.float64), [TIME, 4]
    shift = torch.zeros(2, TIME, 4, dtype=torch.float64, requires_grad=True)
    y, state = scan(cells.perturbed(cell, value), params, x, lengths=lengths, context=shift, backend=backend)
    plain, _ = scan(cell, params, x, lengths=lengths, backend=backend)
    torch.testing.assert_close(y, plain)
    (found,) = torch.autograd.grad(loss_of(y, state), shift)
    cut = torch.stack(unrolled(cell, params, x, lengths, value), 1)
    inside = torch.arange(TIME) < torch.tensor(lengths)[:, None]
    torch.testing.assert_close(found[inside], cut[inside])
    assert not found[~inside].any() and found[:, 0].abs().min() > 0


@pytest.mark.parametrize("backend", ["compiled", "reference"])
@pytest.mark.parametrize(("name", "value"), [("lstm", "c"), ("lstm", "h"), ("lstm", "f"), ("gru", "n"), ("peephole_lstm", "c")])
def test_a_shift_has_the_slope_of_small_changes(name: str, value: str, backend: str) -> None:
    cell, at = cells.perturbed(ALL[name], value), 2
    params, x = drawn(cell), torch.randn(2, TIME, 3, dtype=torch.float64)

    def loss(shift: Tensor) -> Tensor:
        return loss_of(*scan(cell, params, x, context=shift, backend=backend))

    shift = torch.zeros(2, TIME, 4, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(loss(shift), shift)
    with torch.no_grad():
        for unit in range(4):
            nudge = torch.zeros_like(shift)
            nudge[1, at, unit] = 1e-6
            slope = (loss(nudge) - loss(-nudge)) / 2e-6
            torch.testing.assert_close(found[1, at, unit], slope, rtol=1e-5, atol=1e-7)


def test_shifts_of_several_values_and_traces_go_together() -> None:
    cell = cells.perturbed(cells.lstm(), "c", "h")
    params, x = drawn(cell), torch.randn(2, TIME, 3, dtype=torch.float64)
    shifts = {f"shift_{n}": torch.zeros(2, TIME, 4, dtype=torch.float64, requires_grad=True) for n in "ch"}
    y, state, traced = scan(cell, params, x, context=shifts, trace=("h", "c"))
    torch.testing.assert_close(traced["h"], y)
    loss = loss_of(y, state) + traced["c"].square().sum()  # a loss on what is traced counts too
    by_c, by_h = torch.autograd.grad(loss, list(shifts.values()), retain_graph=True)
    (alone,) = torch.autograd.grad(loss_of(y, state), shifts["shift_c"])
    assert by_c.any() and by_h.any() and not torch.equal(by_c, alone)


@pytest.mark.parametrize("backend", ["compiled", "reference"])
def test_traced_values_lie_beside_the_output(backend: str) -> None:
    """As the page says: a loss on them has its gradients, but the output does not come from them."""
    cell = cells.lstm()
    params, x = drawn(cell), torch.randn(2, TIME, 3, dtype=torch.float64)
    y, _, traced = scan(cell, params, x, trace=("c",), backend=backend)
    assert torch.autograd.grad(traced["c"].sum(), params["U"], retain_graph=True)[0].any()
    with pytest.raises(RuntimeError, match="not have been used"):
        torch.autograd.grad(y.sum(), traced["c"])


def test_what_cannot_be_perturbed_is_explained() -> None:
    with pytest.raises(InputError, match="has no value 'q'"):
        cells.perturbed(cells.gru(), "q")
    assert [c.name for c in cells.perturbed(cells.perturbed(cells.gru(), "h"), "h").contexts] == ["shift_h", "shift_h_2"]
