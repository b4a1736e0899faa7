"""What a layer says about arguments that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import rondeau as rd
from rondeau import InputError, nn

LSTM = nn.Recurrent("lstm", 4, 8)
PARAMS = LSTM.params


def given(*shape: int) -> torch.Tensor:
    return torch.zeros(*shape)


@rd.cell
def square(x=rd.input("hidden"), h=rd.state(), W=rd.weight("hidden", "hidden")):
    h = rd.tanh(W @ x + h)
    return h


@rd.cell
def two_numbers(x=rd.input(2), h=rd.state("2*hidden")):
    return rd.tanh(h + rd.mean(x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LSTM(given(2, 3, 5)), "x of lstm has 5 features, expected 4"),
        (lambda: LSTM.step(given(2, 5)), "x of lstm has 5 features, expected 4"),
        (lambda: rd.scan(rd.cells.lstm(), PARAMS, given(2, 3, 5)), "x of lstm has 5 features, expected 4"),
        (lambda: rd.step(rd.cells.lstm(), PARAMS, given(2, 5)), "x of lstm has 5 features, expected 4"),
        (lambda: LSTM(given(2, 3, 4), (given(2, 7), given(2, 8))), r"the state h of lstm has the shape \(2, 7\), expected"),
        (lambda: LSTM.step(given(2, 4), (given(2, 8), given(2, 9))), r"the state c of lstm has the shape \(2, 9\), expected"),
        (lambda: LSTM(given(2, 3, 4), (given(3, 8), given(3, 8))), r"the state h of lstm has the shape \(3, 8\), expected"),
        (lambda: rd.scan(rd.cells.lstm(), {**PARAMS, "U": given(32, 7)}, given(2, 3, 4)), "the parameter U of lstm"),
        (lambda: nn.Recurrent(rd.cells.lstm, 3, 4), r"not the function lstm; write lstm\(\)"),
        (lambda: rd.scan(rd.cells.lstm, PARAMS, given(2, 3, 4)), r"not the function lstm; write lstm\(\)"),
        (lambda: rd.scan("lstm", PARAMS, given(2, 3, 4)), r"write cells.get\('lstm'\)"),
        (lambda: nn.Recurrent(torch.nn.LSTM(3, 4), 3, 4), "a cell is wanted here, or a name such as 'lstm'"),
        (lambda: nn.Recurrent("LSTM", 3, 4), "did you mean 'lstm'"),
        (lambda: nn.Recurrent("PeepholeLSTM", 3, 4), "did you mean 'peephole_lstm'"),
        (lambda: nn.Recurrent("Min-GRU", 3, 4), "did you mean 'min_gru'"),
        (lambda: nn.Recurrent("gruu", 3, 4), "did you mean 'gru"),
        (lambda: nn.Recurrent("transformer", 3, 4), "there is no cell 'transformer'"),
        (lambda: nn.Recurrent(square, 3, 4), "reads hidden features, here 4, but input_size is 3; give input_size=4"),
        (lambda: nn.Recurrent(two_numbers, 3, 4), "reads 2 features, here 2, but input_size is 3; give input_size=2"),
        (lambda: nn.Recurrent("clockwork", 3, 6), "choose a size that divides"),
    ],
)  # fmt: skip
def test_a_layer_names_what_is_wrong(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value) and "0x" not in str(caught.value)


def test_what_reads_hidden_features_runs_where_they_are_as_many() -> None:
    assert nn.Recurrent(square, 4, 4)(given(2, 3, 4))[0].shape == (2, 3, 4)
    assert nn.Recurrent(two_numbers, 2, 4)(given(2, 3, 2))[0].shape == (2, 3, 8)


def test_a_cell_too_large_is_refused_before_anything_is_made() -> None:
    @rd.cell
    def wide(x=rd.input(), h=rd.state("1000000*hidden")):
        return rd.tanh(h + rd.mean(x))

    @rd.cell
    def heavy(x=rd.input(), h=rd.state(), v=rd.context("100000*hidden"), W=rd.weight("100000*hidden", "100000*hidden")):
        return rd.tanh(h + rd.total(W @ v) + rd.mean(x))

    with pytest.raises(InputError, match="a vector has between 1 and"):
        nn.Recurrent(wide, 3, 64)
    with pytest.raises(InputError, match="would have"):
        nn.Recurrent(heavy, 10, 10)
    assert nn.Recurrent(wide, 3, 2).output_size == 2_000_000
