"""Pooling over true steps, losses against PyTorch's own, runs of tokens, and members."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from rondeau.errors import InputError
from rondeau.models import (
    Companioned,
    HashedNGrams,
    ManyToOne,
    Members,
    Numbers,
    OneToOne,
    Pooling,
    SequenceEncoder,
    recurrent_layers,
)
from rondeau.models.losses import classification, cross_entropy, log_loss, quantile, regression
from rondeau.nn import Bidirectional, Recurrent


def encoder(bidirectional: bool = True) -> SequenceEncoder:
    return SequenceEncoder(Numbers([0.0, 0.0], [1.0, 1.0]), recurrent_layers("gru", 2, 4, bidirectional=bidirectional))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_last_output_is_the_true_last_state(bidirectional: bool) -> None:
    model = ManyToOne(encoder(bidirectional), 3, "last")
    x, lengths = torch.randn(4, 6, 2), [6, 1, 3, 4]
    _, ((states,),) = model.encoder(x, lengths=lengths)
    ends = torch.cat(list(states), 1) if bidirectional else states
    torch.testing.assert_close(model(x, lengths=lengths), model.head(ends))


def test_both_ways_in_one_layer_end_at_both_ends() -> None:
    both = Bidirectional(Recurrent("lstm", 2, 4), Recurrent("lstm", 2, 4, reverse=True))
    model = ManyToOne(SequenceEncoder(Numbers([0.0, 0.0], [1.0, 1.0]), both), 3, "last")
    x, lengths = torch.randn(2, 5, 2), [2, 5]
    _, ((h, _), (g, _)) = model.encoder(x, lengths=lengths)
    torch.testing.assert_close(model(x, lengths=lengths), model.head(torch.cat([h, g], 1)))


def test_pooling_by_hand() -> None:
    y = torch.tensor([[[1.0], [3.0], [99.0]], [[-1.0], [-2.0], [-6.0]]])
    assert Pooling(1, "mean max last")(y, [2, 3]).tolist() == [[2.0, 3.0, 3.0], [-3.0, -1.0, -6.0]]
    assert Pooling(1, "mean")(y).flatten().tolist() == pytest.approx([103 / 3, -3.0])


@pytest.mark.parametrize("kinds", ["last", "mean", "max", "attention", "attention mean"])
def test_what_lies_past_a_length_changes_nothing(kinds: str) -> None:
    model = ManyToOne(encoder(), 3, kinds)
    x = torch.randn(3, 7, 2)
    other = x.clone()
    other[1, 2:] = 50.0
    torch.testing.assert_close(model(other, lengths=[7, 2, 5]), model(x, lengths=[7, 2, 5]))
    torch.testing.assert_close(model(x, lengths=[7, 2, 5])[1:2], model(x[1:2, :2]))


def test_losses_are_those_of_torch() -> None:
    outputs, codes, targets = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0]), torch.randn(6, 3)
    torch.testing.assert_close(cross_entropy(3).measure(outputs, codes).mean(), nn.functional.cross_entropy(outputs, codes))
    two = outputs[:, :1]
    expected = nn.functional.binary_cross_entropy_with_logits(two[:, 0], (codes > 0).float())
    torch.testing.assert_close(log_loss().measure(two, (codes > 0).long()).mean(), expected)
    torch.testing.assert_close(log_loss().say(two).sum(1), torch.ones(6))
    torch.testing.assert_close(regression("squared", 3, ()).measure(outputs, targets).mean(), nn.MSELoss()(outputs, targets))
    torch.testing.assert_close(regression("absolute", 3, ()).measure(outputs, targets).mean(), nn.L1Loss()(outputs, targets))


def test_the_pinball_loss_is_least_at_the_quantile() -> None:
    values = torch.linspace(0, 1, 1001)[:, None]
    places = torch.linspace(0, 1, 101)
    loss = quantile(1, (0.1, 0.9))
    for index, level in enumerate((0.1, 0.9)):
        given = torch.full((101, 2), level).index_fill(1, torch.tensor([index]), 0.0)
        given[:, index] = places
        means = [loss.measure(each.expand(1001, 2), values).mean() for each in given]
        assert math.isclose(float(places[int(torch.stack(means).argmin())]), level, abs_tol=0.011)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: classification("log_loss", 3), "for two classes, and there are 3"),
        (lambda: regression("hinge", 1, ()), "squared, absolute or quantile"),
        (lambda: quantile(1, (0.9, 0.1)), "quantiles ascend"),
        (lambda: Pooling(3, "mean mean"), "pooling is one or several"),
        (lambda: HashedNGrams(0, 3), "are positive"),
        (lambda: OneToOne(Numbers([0.0], [1.0]), 0), "are positive"),
    ],
)
def test_what_does_not_fit_is_refused(made: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        made()  # type: ignore[operator]


def test_runs_of_tokens_by_hand() -> None:
    model = HashedNGrams(9, 1, 2)
    with torch.no_grad():
        model.weight.copy_(torch.arange(1 << 16)[:, None] * 1e-6)
    tokens = torch.tensor([[3, 4, 5], [3, 4, 8]])
    runs, there = model._runs(tokens, torch.tensor([3, 2]))
    assert there.sum(1).tolist() == [5 + 4, 4 + 3]
    assert runs[0, 1] == runs[1, 1] and runs[0, 6] == runs[1, 6] and runs[0, 7] != runs[1, 7]
    torch.testing.assert_close(model(tokens, lengths=[3, 2])[1:], model(tokens[1:, :2]))
    assert runs.min() >= 0 and runs.max() < 1 << 16


def test_begin_and_end_are_not_a_token() -> None:
    runs, _ = HashedNGrams(9, 1, 1)._runs(torch.tensor([[0]]), torch.tensor([1]))
    assert runs[0, 0] == runs[0, 2] != runs[0, 1]


def test_members_stand_side_by_side() -> None:
    one, other = ManyToOne(encoder(), 3), ManyToOne(encoder(), 3)
    x = torch.randn(2, 4, 2)
    torch.testing.assert_close(
        Members([one, other])(x, lengths=[4, 2]), torch.stack([one(x, lengths=[4, 2]), other(x, lengths=[4, 2])])
    )


def test_a_companion_counts_as_much_as_all_members() -> None:
    members, companion = Members([ManyToOne(encoder(), 3) for _ in range(2)]), ManyToOne(encoder(), 3)
    x = torch.randn(4, 5, 2)
    said = Companioned(members, companion)(x)
    assert said.shape == (4, 4, 3)
    torch.testing.assert_close(said.mean(0), (members(x).mean(0) + companion(x)) / 2)


def test_one_to_one_learns_what_is_not_linear() -> None:
    torch.manual_seed(0)
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = torch.tensor([0, 1, 1, 0])
    model = OneToOne(Numbers([0.5, 0.5], [0.5, 0.5]), 2, (8,))
    steps = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(150):
        steps.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        steps.step()
    assert (model(x).argmax(1) == y).all()
    assert OneToOne(Numbers([0.0], [1.0]), 3, ())(torch.ones(5, 1)).shape == (5, 3)
