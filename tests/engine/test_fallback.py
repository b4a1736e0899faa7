"""A run without a kernel says so once, in a warning that can be silenced."""

from __future__ import annotations

import warnings

import pytest
import torch

from rondeau import cells, nn, scan
from rondeau.engine import fallback
from rondeau.errors import FallbackWarning, RondeauWarning


@pytest.fixture(autouse=True)
def nothing_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "_warned", set())


def test_once_for_a_cell_and_type() -> None:
    layer, x = nn.Recurrent("peephole_lstm", 3, 4, dtype=torch.bfloat16), torch.zeros(1, 2, 3, dtype=torch.bfloat16)
    with pytest.warns(FallbackWarning, match="peephole_lstm runs step by step in Python for torch.bfloat16 on cpu"):
        layer(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(x)
    with pytest.warns(RondeauWarning, match="float16"):
        layer.half()(x.half())
    with pytest.warns(UserWarning, match="ind_rnn"):
        nn.Recurrent("ind_rnn", 3, 4, dtype=torch.bfloat16)(x)


def test_it_can_be_silenced() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", FallbackWarning)
        nn.Recurrent("peephole_lstm", 3, 4, dtype=torch.bfloat16)(torch.zeros(1, 2, 3, dtype=torch.bfloat16))


def test_a_compiled_program_says_so_too() -> None:
    torch._dynamo.reset()
    layer, x = nn.Recurrent("peephole_lstm", 3, 4, dtype=torch.bfloat16), torch.zeros(1, 2, 3, dtype=torch.bfloat16)
    with pytest.warns(FallbackWarning, match="peephole_lstm"):
        torch.compile(layer, backend="aot_eager")(x)


@pytest.mark.parametrize("case", ["float64", "pytorch's own kernel", "asked for", "meta", "vmap", "empty"])
def test_where_nothing_is_lost_nothing_is_said(case: str) -> None:
    half = torch.bfloat16
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if case == "float64":
            nn.Recurrent("peephole_lstm", 3, 4, dtype=torch.float64)(torch.zeros(1, 2, 3, dtype=torch.float64))
        elif case == "pytorch's own kernel":
            nn.Recurrent("gru", 3, 4, dtype=half)(torch.zeros(1, 2, 3, dtype=half))
        elif case == "asked for":
            nn.Recurrent("janet", 3, 4, dtype=half, backend="reference")(torch.zeros(1, 2, 3, dtype=half))
        elif case == "meta":
            nn.Recurrent("janet", 3, 4, device="meta")(torch.zeros(1, 2, 3, device="meta"))
        elif case == "vmap":
            layer = nn.Recurrent("janet", 3, 4)
            torch.vmap(lambda v: scan(cells.get("janet"), layer.params, v)[0])(torch.zeros(2, 1, 2, 3))
        else:
            nn.Recurrent("janet", 3, 4, dtype=half)(torch.zeros(1, 0, 3, dtype=half))
