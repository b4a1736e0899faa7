"""A step makes no tensor that it does not need: counted, not timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from rondeau import nn, scan, step


def operations(function: Callable[[], Any]) -> Counter[str]:
    """PyTorch's operators in a call, after one to warm up."""
    function()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        function()
    return Counter(event.name for event in seen.events() if event.name.startswith("aten::"))


@pytest.mark.parametrize("differentiated", [False, True])
@pytest.mark.parametrize("name", ["gru", "lstm", "peephole_lstm", "dropout_lstm", "lagged_rnn"])
def test_a_layer_adds_nothing_to_a_step(name: str, differentiated: bool) -> None:
    layer, x = nn.Recurrent(name, 3, 4).eval(), torch.randn(2, 3)
    state = layer.initial_state(2)
    with torch.set_grad_enabled(differentiated):
        alone = operations(lambda: step(layer.cell, layer.params, x, state))
        assert operations(lambda: layer.step(x, state)) == alone
        whole = operations(lambda: scan(layer.cell, layer.params, x[:, None], state))
        assert alone["aten::unsqueeze"] <= whole["aten::unsqueeze"] + 1 and sum(alone.values()) <= sum(whole.values()) + 6
        fresh = operations(lambda: layer.step(x)) - alone
        assert set(fresh) <= {"aten::new_zeros", "aten::new_empty", "aten::empty", "aten::zero_", "aten::fill_"}


def test_a_scan_of_a_layer_adds_nothing_either() -> None:
    layer, x = nn.Recurrent("peephole_lstm", 3, 4), torch.randn(2, 5, 3)
    state = layer.initial_state(2)
    assert operations(lambda: layer(x, state)) == operations(lambda: scan(layer.cell, layer.params, x, state))
