"""The terms of a gradient by lag: they sum to autograd's gradient, and each is what autograd gives of one step alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from whole_cells import LENGTHS, Whole, alone, unrolled

from rondeau import cells, nn
from rondeau.cells import ALL
from rondeau.diagnostics import by_lag, gradient_flow
from rondeau.diagnostics.lags import gates_of
from rondeau.errors import InputError
from rondeau.models import LanguageModel

DOUBLE = torch.float64
CASES = [(name, False) for name in ALL] + [(name, True) for name in ("lstm", "clockwork", "lagged_rnn", "rate_rnn")]


def full(params, gradients) -> dict[str, torch.Tensor]:
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in zip(params.items(), gradients)}


@pytest.mark.parametrize(("name", "reverse"), CASES)
def test_the_terms_sum_to_the_gradient(name: str, reverse: bool) -> None:
    model = Whole(name, reverse)
    weights = torch.randn(alone(model)[0].shape, dtype=DOUBLE)
    found = by_lag(model, lambda: (model() ** 2 * weights).sum((0, 2)))
    loss = (alone(model)[0] ** 2 * weights).sum()
    expected = full(model.params, torch.autograd.grad(loss, list(model.params.values()), allow_unused=True))
    assert found.loss == pytest.approx(loss.item())
    for gate, gradient in gates_of(model.cell, expected):
        np.testing.assert_allclose(found.total(f"layer.{gate}"), gradient, atol=1e-10, rtol=1e-10)
    assert len(found.lags) > 1 and set(found.lags) <= set(range(max(LENGTHS)))


@pytest.mark.parametrize(("name", "reverse"), CASES)
def test_each_term_is_the_gradient_of_the_weights_of_one_step(name: str, reverse: bool) -> None:
    model = Whole(name, reverse)
    weights, _, outputs = unrolled(model)
    last = 0 if reverse else max(LENGTHS) - 1
    found = by_lag(model, lambda: model()[0].square().sum(-1) * (torch.arange(max(LENGTHS)) == last))
    loss = outputs[-1].square().sum()
    for lag in range(max(LENGTHS)):
        own = weights[len(weights) - 1 - lag]
        expected = full(own, torch.autograd.grad(loss, list(own.values()), retain_graph=True, allow_unused=True))
        for gate, gradient in gates_of(model.cell, expected):
            term = dict(zip(found.lags.tolist(), found.terms[f"layer.{gate}"])).get(lag, np.zeros(gradient.shape))
            np.testing.assert_allclose(term, gradient, atol=1e-10, rtol=1e-10)


def deep() -> nn.Stack:
    return nn.Stack(
        nn.Recurrent("gru", 3, 4, bidirectional=True, dtype=DOUBLE),
        nn.Recurrent("lstm", 8, 4, num_layers=2, dtype=DOUBLE),
        nn.Recurrent("elman", 4, 2, reverse=True, dtype=DOUBLE),
    )


@pytest.mark.parametrize("each", [True, False])
def test_a_stack_in_both_directions(each: bool) -> None:
    model, x = deep(), torch.randn(2, 5, 3, dtype=DOUBLE)

    def losses() -> torch.Tensor:
        y, state = model(x, lengths=[5, 3])
        loss = y.square().sum((0, 2))
        return loss if each else loss.sum() + state[1][1].sum() + state[0][0][1].square().sum()

    found = by_lag(model, losses)
    gradients = torch.autograd.grad(losses().sum(), list(model.parameters()))
    expected = dict(zip((name for name, _ in model.named_parameters()), gradients))
    np.testing.assert_allclose(found.total("2.W"), expected["2.W"], atol=1e-12)
    for gate, part in zip("ifgo", expected["1.U_l1"].chunk(4)):
        np.testing.assert_allclose(found.total(f"1.l1.U.{gate}"), part, atol=1e-12)
    for gate, part in zip("rzn", expected["0.W_l0_reverse"].chunk(3)):
        np.testing.assert_allclose(found.total(f"0.l0.reverse.W.{gate}"), part, atol=1e-12)
    assert (found.lags.min() < 0) == each  # the upper layer reads what the forward one below wrote at later steps


def test_what_lies_past_a_length_changes_nothing() -> None:
    layer, x = nn.Recurrent(cells.elman(lambda v: v), 1, 1, dtype=DOUBLE), torch.ones(2, 6, 1, dtype=DOUBLE)
    torch.nn.init.constant_(layer.U, 1e120)  # three more steps than there are would be beyond all numbers
    expected = by_lag(layer, lambda: layer(x[:, :2])[0].sum((0, 2)))
    x[:, 2:] = torch.nan
    found = by_lag(layer, lambda: layer(x, lengths=[2, 2])[0].sum((0, 2)))
    for name, terms in expected.terms.items():
        np.testing.assert_allclose(found.terms[name], terms)


def test_a_language_model_with_a_loss_a_character() -> None:
    model, text = LanguageModel(5, "lstm", hidden=4, embedding=3, layers=2), torch.randint(5, (2, 7))
    model.double()

    def losses() -> torch.Tensor:
        logits, _ = model(text[:, :-1])
        return torch.nn.functional.cross_entropy(logits.mT, text[:, 1:], reduction="none").sum(0)

    found = by_lag(model, losses)
    losses().sum().backward()
    for layer, module in enumerate(model.body.recurrent):
        for gate, gradient in gates_of(module.cell, {name: value.grad for name, value in module.named_parameters()}):
            np.testing.assert_allclose(found.total(f"body.{layer}.{gate}"), gradient, atol=1e-12)
    assert found.lags.tolist() == list(range(6))
    assert found.norms("body.0.W.i")[5] > 0  # carried back through both layers


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_drop_ins_with_packed_sequences(kind: str) -> None:
    layer = getattr(nn, kind)(3, 4, bidirectional=True, num_layers=2).double()
    x = torch.randn(5, 2, 3, dtype=DOUBLE)

    def loss() -> torch.Tensor:
        packed, _ = layer(torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3])))
        return packed.data.square().sum()

    found, flow = by_lag(layer, loss), gradient_flow(layer, loss)
    loss().backward()
    total = [found.total(name) for name in found.terms if name.startswith("l1.reverse.U")]
    np.testing.assert_allclose(np.concatenate(total), layer.weight_hh_l1_reverse.grad, atol=1e-12)
    assert np.isnan(flow.norms["l0.reverse.h"][1]).sum() == 2 and len(found.lags) == 5


def test_shares_and_reach() -> None:
    layer = nn.Recurrent("elman", 1, 1, dtype=DOUBLE)
    torch.nn.init.zeros_(layer.b)
    torch.nn.init.constant_(layer.W, 1e-3)  # small enough to be linear
    torch.nn.init.constant_(layer.U, 0.5)
    found = by_lag(layer, lambda: layer(torch.ones(1, 6, 1, dtype=DOUBLE))[0][:, -1].sum())
    np.testing.assert_allclose(found.terms["layer.W"][:, 0, 0], 0.5 ** np.arange(6), rtol=1e-4)
    np.testing.assert_allclose(found.shares("layer.W"), 0.5 ** np.arange(6) / sum(0.5 ** np.arange(6)), rtol=1e-4)
    assert found.reach("layer.W", 0.2) == 2 and found.reach("layer.W") == 5


def test_what_is_no_loss_is_refused() -> None:
    layer = nn.Recurrent("elman", 1, 1)
    with pytest.raises(InputError, match=r"loss for each step.*returned a tensor \(1, 2, 1\)"):
        by_lag(layer, lambda: layer(torch.ones(1, 2, 1))[0])
    with pytest.raises(InputError, match="no recurrent layer of this Recurrent ran"):
        by_lag(layer, lambda: torch.zeros(()))
