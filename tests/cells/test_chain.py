"""Layers one above another as one cell."""

from __future__ import annotations

import pytest
import torch

from rondeau import scan
from rondeau.cells import ALL, chain, gru, lstm

SIZES = {"input": 5, "hidden": 12, "projection": 3, "output": 4}


@pytest.mark.parametrize("name", [name for name, cell in ALL.items() if not cell.contexts])
@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_a_chain_is_its_layers_in_turn(name: str, backend: str) -> None:
    torch.manual_seed(2)
    layers, width, values = [], 5, torch.randn(2, 6, 5, dtype=torch.float64)
    params, states, x, last = {}, [], values, []
    for i, cell in enumerate((ALL[name], gru(), ALL[name])):
        sizes = {**{s: SIZES[s] for s in cell.sizes}, "input": width}
        layers.append((cell, sizes))
        own = {p.name: 0.5 * torch.randn(p.shape(sizes), dtype=torch.float64) for p in cell.parameters}
        start = tuple(torch.zeros(2, s.width.bind(sizes), dtype=torch.float64) for s in cell.states)
        params |= {f"{key}{i}": value for key, value in own.items()}
        states += start
        values, after = scan(cell, own, values, start, backend="reference")
        last += after
        width = cell.output.width.bind(sizes)
    whole = chain(layers)
    y, found = scan(whole, params, x, tuple(states), backend=backend)
    torch.testing.assert_close(y, values)
    for a, b in zip(found, last, strict=True):
        torch.testing.assert_close(a, b)


def test_a_linear_map_on_top() -> None:
    sizes = {"input": 5, "hidden": 4}
    cell = chain([(lstm(), sizes)], outputs=3)
    params = {p.name: torch.randn(p.shape({})) for p in cell.parameters}
    x = torch.randn(2, 6, 5)
    y, _ = scan(cell, params, x, tuple(torch.zeros(2, 4) for _ in range(2)))
    below, _ = scan(lstm(), {name: params[f"{name}0"] for name in "WUb"}, x)
    torch.testing.assert_close(y, below @ params["V"].T + params["v"])
