"""Readers and the encoder: scaling, missing values, unknown tokens, and layers of every cell."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rondeau.errors import InputError
from rondeau.models import Numbers, SequenceEncoder, Tokens, recurrent_layers


def test_moments_are_those_of_all_steps() -> None:
    draw = np.random.default_rng(0)
    arrays = [draw.normal(size=(n, 3)) * (1, 10, 0.1) + (5, 0, -1) for n in draw.integers(1, 9, 2500)]
    arrays[7][0, 1] = np.nan
    steps = np.concatenate(arrays)
    reader = Numbers.of(arrays)
    assert reader.masked and reader.width == 6
    np.testing.assert_allclose(reader.mean.numpy(), np.nanmean(steps, 0), rtol=1e-9)
    np.testing.assert_allclose(reader.deviation.numpy(), np.nanstd(steps, 0), rtol=1e-9)


@pytest.mark.parametrize("magnitude", [1e-30, 1.0, 1e30, 1e300])
def test_any_magnitude_is_scaled(magnitude: float) -> None:
    given = np.array([[1.0], [2.0], [3.0]]) * magnitude
    scaled = Numbers.of([given])(torch.from_numpy(given)[None])
    torch.testing.assert_close(scaled, torch.tensor([[[-(1.5**0.5)], [0.0], [1.5**0.5]]]))


def test_what_never_changes_or_is_always_missing_is_zero() -> None:
    given = np.array([[1e9 + 0.1, np.nan]] * 5)
    assert Numbers.of([given])(torch.from_numpy(given)[None]).tolist() == [[[0.0, 0.0, 1.0, 0.0]] * 5]


def test_small_changes_of_large_numbers_are_seen() -> None:
    times = 1.7e9 + np.arange(4.0)[:, None]
    assert len(set(Numbers.of([times])(torch.from_numpy(times)[None]).flatten().tolist())) == 4


def test_differences_begin_with_zero() -> None:
    reader = Numbers([0.0], [2.0], change=[4.0])
    assert reader(torch.tensor([[[2.0], [6.0], [4.0]]])).tolist() == [[[1.0, 0.0], [3.0, 1.0], [2.0, -0.5]]]
    assert Numbers.of([np.array([[0.0], [3.0]]), np.array([[9.0], [8.0]])], changes=True).change.item() == 2.0


def test_a_value_beyond_all_measure_stays_finite() -> None:
    assert Numbers([0.0], [1.0])(torch.tensor([[[1e300]]], dtype=torch.float64)).isfinite().all()


def test_tokens_become_unknown_in_training_alone() -> None:
    reader = Tokens(9, 4, unknown=0.5)
    tokens = torch.full((1, 400), 3)
    unknown = (reader(tokens)[0] == reader.embedding.weight[0]).all(1).sum()
    assert 100 < unknown < 300
    assert (reader.eval()(tokens)[0] == reader.embedding.weight[3]).all()


@pytest.mark.parametrize("cell", ["gru", "lstm", "projected_lstm", "min_gru"])
def test_padding_changes_nothing(cell: str) -> None:
    reader = Numbers(np.zeros(2), np.ones(2))
    body = recurrent_layers(cell, 2, 5, layers=2, bidirectional=True, layer_norm=True)
    encoder = SequenceEncoder(reader, body).eval()
    x = torch.randn(3, 6, 2)
    y, _ = encoder(x, lengths=[6, 2, 4])
    alone, _ = encoder(x[1:2, :2])
    torch.testing.assert_close(y[1:2, :2], alone)


def test_frames_put_steps_side_by_side() -> None:
    reader = Numbers([1.0], [1.0])
    encoder = SequenceEncoder(reader, recurrent_layers("gru", 3, 4), frame=3)
    x = torch.arange(14.0).view(2, 7, 1)
    y, _ = encoder(x, lengths=[7, 4])
    by_hand = torch.tensor([[[-1.0, 0, 1], [2, 3, 4], [5, 0, 0]], [[6, 7, 8], [9, 0, 0], [0, 0, 0]]])
    torch.testing.assert_close(y, encoder.body(by_hand, lengths=[3, 2])[0])
    assert encoder.frames([7, 4, 3]).tolist() == [3, 2, 1] and encoder.frames(None) is None


def test_layers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="the reader gives 2 features, and the layers read 3"):
        SequenceEncoder(Numbers(np.zeros(2), np.ones(2)), recurrent_layers("gru", 3, 4))
    with pytest.raises(InputError, match="reads 2 features, and the sequences have 3"):
        Numbers(np.zeros(2), np.ones(2))(torch.zeros(1, 1, 3))
    with pytest.raises(InputError, match="needs the context"):
        recurrent_layers("conditioned_lstm", 3, 4)
    with pytest.raises(InputError, match="deviations above zero"):
        Numbers([0.0], [0.0])
