"""Transduction as a task: it learns, its figures are right, and a run goes on exactly."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rondeau.data import Symbols
from rondeau.errors import InputError
from rondeau.models import Beam, EncoderDecoder, SequenceEncoder, Tokens, recurrent_layers
from rondeau.train import Paired, Training, TrainingSettings, Transduction, keep, open_run, optimizer, written


def words(count: int, seed: int) -> list[str]:
    """Words of three to six of five letters."""
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, 7, (count,), generator=draw).tolist()
    return ["".join("abcde"[i] for i in torch.randint(0, 5, (n,), generator=draw).tolist()) for n in lengths]


SYMBOLS = Symbols("characters", tuple("abcde"))


def paired(texts: list[str]) -> Paired:
    """Words and their reverse."""
    return Paired([SYMBOLS.encode(text) for text in texts], [SYMBOLS.encode(text[::-1]) for text in texts])


def training(settings: TrainingSettings, *, hidden: int = 8, count: int = 100, **options: float) -> Training:
    torch.manual_seed(settings.seed)
    body = recurrent_layers("gru", 8, hidden, bidirectional=True)
    encoder = SequenceEncoder(Tokens(SYMBOLS.size, 8), body)
    model = EncoderDecoder(encoder, SYMBOLS.size, hidden=2 * hidden, embedding=8)
    task = Transduction(paired(words(count, 1)), paired(words(60, 2)), batch=32, **options)
    return Training(model, task, optimizer(model, settings), settings=settings)


def test_words_are_learned_backwards_and_attention_shows_it() -> None:
    made = training(TrainingSettings(steps=150, learning_rate=0.03, weight_decay=0.0, evaluations=1), hidden=24, count=300)
    made.run()
    assert made.record.column("exact")[-1] > 0.5 and made.record.column("token_error")[-1] < 0.2
    (found,) = written(made.model, [SYMBOLS.encode("badec")], Beam(3), longest=9, attention=True)
    assert SYMBOLS.decode(found[0].tokens) == "cedab"
    looked = found[0].attention
    assert looked is not None and looked.shape == (6, 5)
    assert float(looked[1, 3]) > float(looked[1, 0])  # the second letter comes of the fourth, not of the first


def test_the_figures_are_those_of_plain_counting() -> None:
    made = training(TrainingSettings(steps=1))
    model, task = made.model, made.task
    assert isinstance(task, Transduction) and task.held is not None
    figures = task.evaluate(model)
    total, count = 0.0, 0
    with torch.no_grad():
        for source, target in zip(task.held.sources, task.held.targets):
            logits = model(source[None], torch.tensor([[1, *target.tolist()]]))[0].log_softmax(-1)
            total -= sum(float(logits[i, token]) for i, token in enumerate([*target.tolist(), 1]))
            count += len(target) + 1
    assert figures["held_out"] == pytest.approx(total / count, rel=1e-5)
    assert figures["exact"] == 0.0 and figures["token_error"] > 0.5 and model.training


@pytest.mark.parametrize("options", [{}, {"sampling": 0.5, "smoothing": 0.1}], ids=str)
def test_a_run_goes_on_exactly(options: dict[str, float], tmp_path: Path) -> None:
    settings = TrainingSettings(epochs=6, learning_rate=0.01, evaluations=3, threads=1)
    whole = training(settings, **options)
    whole.run()
    run = keep(training(settings, **options), tmp_path / "run", "pairs")
    run.fit(lambda row: setattr(run.training, "stopping", row["step"] >= 11))
    saved = open_run(tmp_path / "run", "pairs")
    resumed = saved.resume(training(saved.settings, **options)).fit()
    assert resumed.training is not None and resumed.training.progress.step == whole.progress.step > 11
    for own, other in zip(resumed.model.parameters(), whole.model.parameters()):
        assert torch.equal(own, other)


def test_drawn_tokens_are_read_with_the_rate_that_rises() -> None:
    made = training(TrainingSettings(steps=1), sampling=0.9)
    task, model = made.task, made.model
    assert isinstance(task, Transduction)
    batch = task.batches.next()
    true = [task.train.targets[place] for place in batch.places.tolist()]
    seen: list[torch.Tensor] = []
    model.register_forward_pre_hook(lambda module, given: seen.append(given[1]))
    task.batches.load_state_dict({"epoch": 0, "position": 0})
    task.loss(model, batch, None)
    assert len(seen) == 1  # nothing is drawn at first
    task.batches.load_state_dict({"epoch": 9, "position": 0})
    task.loss(model, batch, None)
    before, mixed = seen[1:]
    assert [row[1 : 1 + len(target)].tolist() for row, target in zip(before, true)] == [each.tolist() for each in true]
    assert (mixed[:, 0] == 1).all() and (mixed != before).float().mean() > 0.3


def test_smoothing_is_for_training_alone() -> None:
    made = training(TrainingSettings(steps=1), smoothing=0.5)
    task, batch = made.task, made.task.batches.next()
    with torch.no_grad():
        smoothed = task.loss(made.model.train(), batch, None)[0]
        plain = task.loss(made.model.eval(), batch, None)[0]
    assert abs(float(smoothed - plain)) > 1e-3


def test_a_rate_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match="sampling is a rate from 0 up to but not including 1, not 1.5"):
        training(TrainingSettings(steps=1), sampling=1.5)
