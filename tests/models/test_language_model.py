"""The language model and its sampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from rondeau import InputError, cells, nn
from rondeau.models import Choice, LanguageModel, generate, generation


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
    logits = np.array([1.0, 3.0, 2.0, -1.0], dtype=np.float32)
    assert Choice(0.0)(logits) == 1
    draw = torch.Generator().manual_seed(0)

    def drawn(count: int, *settings) -> list[int]:
        choice = Choice(*settings, generator=draw)
        return [choice(logits) for _ in range(count)]

    assert set(drawn(100, 5.0, 2)) == {1, 2}
    assert set(drawn(100, 1.0, None, 0.5)) == {1}
    assert set(drawn(300, 9.0, None, 1.0)) == {0, 1, 2, 3}
    counts = np.bincount(drawn(4000, 1.0), minlength=4) / 4000
    np.testing.assert_allclose(counts, torch.tensor(logits).softmax(-1), atol=0.03)
    with pytest.raises(InputError, match="not finite"):
        Choice()(np.array([1.0, np.nan]))


@pytest.mark.parametrize("options", [{}, {"embedding": 0}, {"layers": 2, "dropout": 0.3}, {"embedding": 8, "tied": True}])
@pytest.mark.parametrize("name", ["lstm", "layer_norm_gru", "clockwork", "zoneout_lstm", "projected_lstm", "lagged_rnn"])
def test_the_compiled_step_is_the_model(name: str, options: dict[str, object]) -> None:
    torch.manual_seed(1)
    model = LanguageModel(7, name, hidden=8, **options).train()
    tokens = torch.randint(7, (9,))
    _, state = generation._read(model, tokens[:3], None)
    advance, slow = generation._compiled(model, state), generation._module(model, state)
    assert advance is not None and model.training
    for token in tokens[3:].tolist():
        np.testing.assert_allclose(advance(token), slow(token), rtol=1e-4, atol=1e-5)


def test_other_models_are_stepped_as_modules() -> None:
    body = nn.Stack(nn.Recurrent("lstm", 8, 6), torch.nn.LayerNorm(6), nn.Recurrent("gru", 6, 5))
    for model in (LanguageModel(7, body, embedding=8), LanguageModel(7, "gru", hidden=8, backend="reference")):
        _, state = generation._read(model, torch.tensor([1]), None)
        assert generation._compiled(model, state) is None
        assert len(list(generate(model, torch.tensor([1]), 5))) == 5


def test_writing_is_repeatable_and_streams() -> None:
    model = LanguageModel(7, "lstm", hidden=8)

    def write(length: int) -> list[int]:
        return list(generate(model, torch.tensor([1, 2]), length, generator=torch.Generator().manual_seed(4)))

    assert write(200) == write(200) and len(write(200)) == 200 and write(70) == write(200)[:70]
    greedy = list(generate(model, torch.tensor([1]), 5, temperature=0))
    tokens = [1]
    for token in greedy:
        assert int(model(torch.tensor([tokens]))[0][0, -1].argmax()) == token
        tokens.append(token)
    stream = generate(model, torch.tensor([1]), 5)
    next(stream)
    assert model.training and torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


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


# modules of one's own


class Factored(torch.nn.Module):
    """An embedding by way of a few features."""

    def __init__(self, vocabulary: int, few: int, features: int) -> None:
        super().__init__()
        self.table, self.up = torch.nn.Embedding(vocabulary, few), torch.nn.Linear(few, features)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.up(self.table(tokens))


def test_an_embedding_and_a_head_of_ones_own_are_used() -> None:
    embedding = Factored(11, 2, 5)
    head = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Tanh(), torch.nn.Linear(4, 11))
    model = LanguageModel(11, "gru", hidden=8, embedding=embedding, head=head).eval()
    tokens = torch.randint(11, (3, 6))
    y, _ = model.body(embedding(tokens))
    torch.testing.assert_close(model(tokens)[0], head(y))
    functional.cross_entropy(model(tokens)[0].flatten(0, 1), tokens.flatten()).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert {name.split(".")[0] for name in model.state_dict()} == {"embedding", "body", "head"}
    _, state = generation._read(model, torch.tensor([1]), None)
    assert generation._compiled(model, state) is None and len(list(generate(model, torch.tensor([1]), 5))) == 5


def test_a_head_without_a_bias_is_stepped_by_a_kernel() -> None:
    model = LanguageModel(7, "gru", hidden=8, head=torch.nn.Linear(8, 7, bias=False))
    _, state = generation._read(model, torch.tensor([1]), None)
    advance, slow = generation._compiled(model, state), generation._module(model, state)
    assert advance is not None
    np.testing.assert_allclose(advance(3), slow(3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": torch.nn.Linear(8, 6)}, "the head gives 6 logits for a vocabulary of 7"),
        (
            {"head": torch.nn.Linear(5, 7)},
            "the head cannot read 8 features a step, as the last layer outputs .*; give one that can",
        ),
        ({"embedding": torch.nn.Linear(5, 7)}, r"the embedding cannot read tokens \(batch, time\) "),
        ({"embedding": torch.nn.Flatten()}, r"the embedding makes \(1, 1\) of one step of one text"),
        ({"embedding": Factored(7, 2, 8), "tied": True}, "tied weights are those of the model's own embedding and head"),
        ({"head": torch.nn.Linear(8, 7), "embedding": 8, "tied": True}, "tied weights are those of the model's own"),
    ],
)
def test_modules_that_do_not_fit_are_explained(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LanguageModel(7, "gru", hidden=8, **options)  # type: ignore[arg-type]


def test_a_language_model_is_a_layer() -> None:
    """Lengths, contexts and traces reach the layers of its body."""
    torch.manual_seed(0)
    inner = nn.Recurrent(cells.conditioned(cells.gru()), 8, 6, **{"context": 2})
    body = nn.Stack(nn.Recurrent("lstm", 8, 8), nn.Residual(nn.Stack(inner, torch.nn.Linear(6, 8))))
    model, tokens, context = LanguageModel(20, body, embedding=8), torch.randint(0, 20, (2, 5)), torch.randn(2, 2)
    logits, state, traced = model(tokens, lengths=[5, 2], context=context, trace=("body.0.f", "body.1.layer.0.z"))
    assert logits.shape == (2, 5, model.output_size) and model.contexts == ("context",)
    x = model.embedding(tokens)
    y, after, gates = body(x, lengths=[5, 2], context=context, trace=("0.f", "1.layer.0.z"))
    torch.testing.assert_close((logits, state), (model.head(y), after))
    torch.testing.assert_close(traced, {f"body.{name}": value for name, value in gates.items()})
    torch.testing.assert_close(
        model(tokens, model.initial_state(2), context=context)[0][:1], model(tokens[:1], context=context[:1])[0]
    )
    with pytest.raises(InputError, match=r"begins with one of body\."):
        model(tokens, trace=("0.f",))
    lone = LanguageModel(20, nn.Skip(nn.Recurrent("gru", 8, 6)), embedding=8)
    assert lone(tokens)[0].shape == (2, 5, 20) and lone.head.in_features == 14


@pytest.mark.parametrize("options", [{"reverse": True}, {"bidirectional": True}])
def test_a_layer_that_would_see_what_comes_next_is_refused(options: dict[str, bool]) -> None:
    with pytest.raises(InputError, match="reads a text from its end, where the answer stands; give it forward layers"):
        LanguageModel(20, nn.Residual(nn.Recurrent("gru", 8, 8 // (1 + ("bidirectional" in options)), **options)), embedding=8)
