"""An encoder-decoder: training's logits are those of decoding, whatever the cell, the attention and the depth."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rondeau.errors import InputError
from rondeau.models import Beam, EncoderDecoder, Numbers, Sampling, SequenceEncoder, Tokens, decode, recurrent_layers
from rondeau.models.decoder_steps import DecoderSteps

END = 1


def made(cell: str = "gru", *, vocabulary: int = 9, layers: int = 1, **options: object) -> EncoderDecoder:
    """A small one with random weights, large enough that its choices differ."""
    torch.manual_seed(3)
    body = recurrent_layers(cell, 4, 5, layers=layers, bidirectional=True)
    encoder = SequenceEncoder(Tokens(11, 4), body)
    model = EncoderDecoder(encoder, vocabulary, cell, hidden=6, layers=layers, embedding=3, **options)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model.eval()


def sources() -> tuple[Tensor, list[int]]:
    """Sources of several lengths."""
    torch.manual_seed(5)
    return torch.randint(0, 11, (4, 7)), [7, 2, 5, 1]


def after(model: EncoderDecoder, source: Tensor, tokens: list[int]) -> Tensor:
    """Log-probabilities of the token after each of END and tokens, by one whole run."""
    inputs = torch.tensor([[END, *tokens]])
    return model(source[None], inputs)[0].log_softmax(-1)


@pytest.mark.parametrize("feeding", [False, True])
@pytest.mark.parametrize(("cell", "layers"), [("gru", 1), ("lstm", 2), ("min_gru", 1), ("lagged_rnn", 1)])
def test_steps_are_the_whole_run(cell: str, layers: int, feeding: bool) -> None:
    model = made(cell, layers=layers, input_feeding=feeding)
    source, lengths = sources()
    inputs = torch.randint(0, 9, (4, 6))
    with torch.no_grad():
        whole = model(source, inputs, lengths=lengths)
        steps = DecoderSteps(model, model.encode(source, lengths), 1)
        stepped = torch.stack([steps(inputs[:, i])[0].clone() for i in range(6)], 1)
    torch.testing.assert_close(stepped, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("attention", ["general", "additive", None])
def test_padding_and_neighbours_change_nothing(attention: str | None) -> None:
    model = made(attention=attention)
    source, lengths = sources()
    inputs = torch.randint(0, 9, (4, 6))
    with torch.no_grad():
        together = model(source, inputs, lengths=lengths, target_lengths=[6, 6, 3, 6])
        for i, length in enumerate(lengths):
            alone = model(source[i : i + 1, :length], inputs[i : i + 1])
            true = 3 if i == 2 else 6
            torch.testing.assert_close(together[i : i + 1, :true], alone[:, :true])


def test_every_parameter_learns() -> None:
    model = made("lstm", layers=2, attention="additive", input_feeding=True).train()
    source, lengths = sources()
    model(source, torch.randint(0, 9, (4, 6)), lengths=lengths).log_softmax(-1)[..., 3].sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_numbers_can_be_the_source() -> None:
    encoder = SequenceEncoder(Numbers([0.0, 0.0], [1.0, 1.0]), recurrent_layers("gru", 2, 5))
    model = EncoderDecoder(encoder, 9, hidden=5, attention="dot")
    assert len(decode(model, torch.randn(3, 4, 2), [4, 2, 1], end=END, longest=5)) == 3


def reference(model: EncoderDecoder, source: Tensor, beam: Beam, longest: int) -> list[tuple[list[int], float, float, bool]]:
    """Beam search in plain Python, every beginning run anew as a whole: tokens, log-probability, score, whether it ended."""

    def score(tokens: list[int], total: float, ended: bool) -> float:
        looked = torch.zeros(1)
        if beam.coverage_penalty:
            memory, state = model.encode(source[None])
            y, _ = model.decoder(model.embedding(torch.tensor([[END, *tokens]])), state)
            weights = model.attend(y, memory)[1]
            assert weights is not None
            looked = weights[0, : len(tokens) + ended].sum(0).clamp(max=1.0).log()
        length = len(tokens) + ended
        return total / ((5 + length) / 6) ** beam.length_penalty + beam.coverage_penalty * float(looked.sum())

    alive: list[tuple[list[int], float]] = [([], 0.0)]
    done: list[tuple[list[int], float, float, bool]] = []
    for _ in range(longest):
        ways = [
            (tokens, token, total + float(p))
            for tokens, total in alive
            for token, p in enumerate(after(model, source, tokens)[-1])
        ]
        ways.sort(key=lambda way: -way[2])
        for tokens, token, total in ways[: beam.width]:
            if token == END and len(done) < beam.width:
                done.append((tokens, total, score(tokens, total, True), True))
        if len(done) == beam.width:
            break
        alive = [([*tokens, token], total) for tokens, token, total in ways if token != END][: beam.width]
    rest = [(tokens, total, score(tokens, total, False), False) for tokens, total in alive][: beam.width - len(done)]
    return sorted([*done, *rest], key=lambda each: (not each[3], -each[2]))


@pytest.mark.parametrize(("feeding", "likely"), [(False, -1.0), (False, 0.0), (True, -1.0), (True, 0.0)])
@pytest.mark.parametrize("beam", [Beam(), Beam(4), Beam(3, length_penalty=0.8), Beam(5, 0.6, 0.3), Beam(30)], ids=str)
def test_a_beam_finds_what_a_plain_loop_finds(beam: Beam, feeding: bool, likely: float) -> None:
    model = made("lstm", vocabulary=5, input_feeding=feeding)
    if beam.coverage_penalty and feeding:
        pytest.skip("the reference looks at attention of a run without feeding")
    source, lengths = sources()
    with torch.no_grad():
        model.head.bias[END] += likely  # so that sources are done early, late and never
        found = decode(model, source, lengths, beam, end=END, longest=6)
        for own, length, hypotheses in zip(source, lengths, found):
            expected = reference(model, own[:length], beam, 6)
            assert [each.tokens.tolist() for each in hypotheses] == [tokens for tokens, *_ in expected]
            assert [each.ended for each in hypotheses] == [ended for *_, ended in expected]
            for each, (_, total, score, _) in zip(hypotheses, expected):
                assert each.log_probability == pytest.approx(total, rel=1e-4, abs=1e-4)
                assert each.score == pytest.approx(score, rel=1e-4, abs=1e-4)


def test_attention_is_where_each_step_looked() -> None:
    model = made("lstm", vocabulary=5, layers=2)
    source, lengths = sources()
    with torch.no_grad():
        for own, length, hypotheses in zip(
            source, lengths, decode(model, source, lengths, Beam(4), end=END, longest=6, attention=True)
        ):
            for each in hypotheses:
                memory, state = model.encode(own[None, :length])
                y, _ = model.decoder(model.embedding(torch.tensor([[END, *each.tokens.tolist()]])), state)
                weights = model.attend(y, memory)[1]
                assert weights is not None and each.attention is not None
                torch.testing.assert_close(each.attention, weights[0, : len(each.attention)], rtol=1e-4, atol=1e-5)
                assert len(each.attention) == len(each.tokens) + each.ended


def test_drawn_sequences_have_their_own_probability() -> None:
    model = made("lstm", vocabulary=5)
    source, lengths = sources()
    draw = Sampling(6, top_p=0.9, generator=torch.Generator().manual_seed(0))
    found = decode(model, source, lengths, draw, end=END, longest=8)
    assert [len(each) for each in found] == [6] * 4
    assert len({tuple(each.tokens.tolist()) for each in found[0]}) > 1
    with torch.no_grad():
        for own, length, hypotheses in zip(source, lengths, found):
            for each in hypotheses:
                tokens = each.tokens.tolist()
                said = [*tokens, END] if each.ended else tokens
                logs = after(model, own[:length], tokens)
                total = sum(float(logs[i, token]) for i, token in enumerate(said))
                assert each.log_probability == pytest.approx(total, rel=1e-4, abs=1e-4)


def test_what_takes_no_part_is_never_drawn() -> None:
    logits = torch.tensor([[0.0, 3.0, 2.0, 1.0]])
    assert (Sampling(top_k=2).probabilities(logits) > 0).tolist() == [[False, True, True, False]]
    assert (Sampling(top_p=0.6).probabilities(logits) > 0).tolist() == [[False, True, False, False]]
    assert float(Sampling(temperature=0.01).probabilities(logits)[0, 1]) > 0.999


def test_a_cell_that_no_kernel_can_step_is_called_as_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made("lstm", vocabulary=5)
    source, lengths = sources()
    expected = decode(model, source, lengths, Beam(3), end=END, longest=6)

    def refused(self: object, batch: int = 1, context: object = None) -> None:
        raise InputError("no kernel")

    monkeypatch.setattr("rondeau.nn.Layer.stepper", refused)
    found = decode(model, source, lengths, Beam(3), end=END, longest=6)
    assert [[each.tokens.tolist() for each in own] for own in found] == [[e.tokens.tolist() for e in own] for own in expected]


def test_a_source_of_ten_thousand_steps_is_read() -> None:
    model = made(vocabulary=5)
    found = decode(model, torch.randint(0, 11, (1, 10_000)), search=Beam(5), end=END, longest=4)
    assert len(found[0]) == 5


def test_a_beam_of_ten_thousand_finds_all_there_is() -> None:
    model = made(vocabulary=3)
    (found,) = decode(model, torch.zeros(1, 2, dtype=torch.int64), search=Beam(10_000), end=END, longest=3)
    texts = [tuple(each.tokens.tolist()) for each in found]
    assert len(set(texts)) == len(texts) == 1 + 2 + 4 + 8
    total = sum(torch.tensor(each.log_probability).exp().item() for each in found)
    assert total == pytest.approx(1.0, abs=1e-4)


def test_wrong_arguments_say_what_is_right() -> None:
    model = made(attention=None)
    source, _ = sources()
    for search, text in [
        (lambda: Beam(0), "the width of a beam is a positive whole number"),
        (lambda: Beam(2, length_penalty=-1.0), "length_penalty is a number from 0 up, not -1.0"),
        (lambda: Sampling(0), "count is the number of sequences to draw"),
        (lambda: Sampling(temperature=0.0), "temperature is a positive number"),
        (lambda: Sampling(top_p=0.0), "top_p lies above 0"),
        (lambda: decode(model, source, search=Beam(10_000_000), end=END, longest=3), "take at most 3,728,270"),
        (lambda: decode(model, source, search=Beam(2, 0.0, 0.5), end=END, longest=3), "this model has none"),
        (lambda: decode(made(), source, [7, 7, 0, 7], end=END, longest=3), "lengths are 4 whole numbers from 1 to 7"),
        (lambda: decode(model, source, end=99, longest=3), "end one of 9 tokens"),
        (lambda: made(attention=None, input_feeding=True), "input feeding hands on what attention made"),
    ]:
        with pytest.raises(InputError, match=text):
            search()


def test_a_model_that_is_no_number_says_so() -> None:
    model = made()
    with torch.no_grad():
        model.head.bias.fill_(float("nan"))
    with pytest.raises(InputError, match="output is no number"):
        decode(model, sources()[0], end=END, longest=3)
