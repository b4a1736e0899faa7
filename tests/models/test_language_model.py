"""The language model and its sampling."""

from __future__ import annotations

import pytest
import torch

from rondeau import InputError, cells, nn
from rondeau.models import LanguageModel, choose, generate


def test_shapes_and_carried_state() -> None:
    for options in ({}, {"embedding": 0}, {"layers": 2, "dropout": 0.1}, {"embedding": 16, "tied": True}):
        model = LanguageModel(11, "gru", hidden=16, **options).eval()
        tokens = torch.randint(11, (3, 8))
        whole, _ = model(tokens)
        first, state = model(tokens[:, :5])
        second, _ = model(tokens[:, 5:], state)
        torch.testing.assert_close(torch.cat([first, second], 1), whole)
        assert whole.shape == (3, 8, 11)


def test_tied_weights_are_one() -> None:
    model = LanguageModel(11, "gru", hidden=16, embedding=16, tied=True)
    assert model.embedding is not None and model.head.weight is model.embedding.weight


def test_a_stack_of_ones_own() -> None:
    body = nn.Stack(nn.Recurrent("lstm", 8, 6), torch.nn.LayerNorm(6), nn.Recurrent("gru", 6, 5))
    assert LanguageModel(11, body, embedding=8)(torch.zeros(2, 3, dtype=torch.int64))[0].shape == (2, 3, 11)


def test_greedy_and_restricted_choice() -> None:
    logits = torch.tensor([1.0, 3.0, 2.0, -1.0])
    assert choose(logits, 0.0, None, None) == 1
    draw = torch.Generator().manual_seed(0)
    assert {choose(logits, 5.0, 2, None, draw) for _ in range(100)} == {1, 2}
    assert {choose(logits, 1.0, None, 0.5, draw) for _ in range(100)} == {1}
    assert {choose(logits, 9.0, None, 1.0, draw) for _ in range(300)} == {0, 1, 2, 3}
    counts = torch.bincount(torch.tensor([choose(logits, 1.0, None, None, draw) for _ in range(4000)]), minlength=4)
    torch.testing.assert_close(counts / 4000, logits.softmax(-1), atol=0.03, rtol=0)


def test_writing_is_repeatable_and_streams() -> None:
    model = LanguageModel(7, "lstm", hidden=8)
    write = lambda: list(generate(model, torch.tensor([1, 2]), 20, generator=torch.Generator().manual_seed(4)))  # noqa: E731
    assert write() == write() and len(write()) == 20
    greedy = list(generate(model, torch.tensor([1]), 5, temperature=0))
    tokens = [1]
    for token in greedy:
        assert int(model(torch.tensor([tokens]))[0][0, -1].argmax()) == token
        tokens.append(token)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "at least 1"),
        ({"length": -3}, "at least 1"),
        ({"temperature": -1.0}, "temperature is 0"),
        ({"temperature": float("nan")}, "temperature is 0"),
        ({"top_k": 0}, "top-k"),
        ({"top_p": 0.0}, "top-p"),
    ],
)
def test_wrong_sampling_is_explained(options, message: str) -> None:
    model = LanguageModel(7, "lstm", hidden=8)
    given = {"length": 5, **options}
    with pytest.raises(InputError, match=message):
        generate(model, torch.tensor([1]), given.pop("length"), **given)


def test_wrong_models_are_explained() -> None:
    for make, message in (
        (lambda: LanguageModel(7, "gru", hidden=8, tied=True), "tied weights need embedding=8"),
        (lambda: LanguageModel(7, cells.conditioned(cells.gru())), "needs the context"),
        (lambda: LanguageModel(7, dropout=1.0), "dropout"),
        (lambda: LanguageModel(0), "positive"),
    ):
        with pytest.raises(InputError, match=message):
            make()
