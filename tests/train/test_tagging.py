"""Labels at every step as a task: which steps count, and that training finds what is there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from rondeau.data import bio_follows
from rondeau.errors import DataError
from rondeau.models import CRF, ManyToMany, Numbers, SequenceEncoder, Tokens, recurrent_layers
from rondeau.models.losses import cross_entropy, squared
from rondeau.train import Training, TrainingSettings, optimizer
from rondeau.train.tagging import Tagged, Tagging, outputs_of

BIO = np.array(["B-X", "I-X", "O"])


def sequences(count: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Tokens; one entity begins at each 1 and goes on over the tokens 2 behind it."""
    draw = torch.Generator().manual_seed(0)
    items = [torch.randint(1, 5, (1 + int(n),), generator=draw) for n in torch.randint(1, 9, (count,), generator=draw)]
    tags = []
    for item in items:
        row, inside = [], False
        for token in item.tolist():
            inside = token == 1 or (inside and token == 2)
            row.append(0 if token == 1 else 1 if inside else 2)
        tags.append(torch.tensor(row))
    return items, tags


def part(items, tags, weights=None) -> Tagged:
    return Tagged(items, tags, torch.ones(len(items)) if weights is None else weights)


def tagger(crf: bool = False) -> ManyToMany:
    torch.manual_seed(0)
    encoder = SequenceEncoder(Tokens(5, 6), recurrent_layers("gru", 6, 12))
    return ManyToMany(encoder, 3, crf=CRF(3, bio_follows(BIO)) if crf else None)


def tagging(train: Tagged, held: Tagged | None = None, **options) -> Tagging:
    return Tagging(train, held, cross_entropy(3), **{"classes": BIO, "batch": 8, **options})


@pytest.mark.parametrize("crf", [False, True])
def test_it_learns_what_hangs_on_what_came_before(crf: bool) -> None:
    items, tags = sequences(150)
    task = tagging(part(items[:100], tags[:100]), part(items[100:], tags[100:]))
    model, settings = tagger(crf), TrainingSettings(steps=150, learning_rate=0.03, evaluations=2)
    training = Training(model, task, optimizer(model, settings), settings=settings)
    training.run()
    assert training.record.column("entity_f1")[-1] > 0.97 and training.record.column("accuracy")[-1] > 0.99
    losses = training.record.column("loss")
    assert losses[-1] < losses[0] / 5
    assert set(task.example(model).split()) <= set(BIO)


def test_the_loss_is_that_of_the_chosen_known_steps_by_hand() -> None:
    items, tags = sequences(6)
    tags[0][0] = -1
    weights, of_class = torch.tensor([1.0, 2.0, 0.5, 1.0, 1.0, 3.0]), torch.tensor([1.0, 2.0, 4.0])
    task = tagging(part(items, tags, weights), batch=6, steps=(0, 2), class_weight=of_class)
    model = tagger()
    batch = task.batches.next()
    total, count, _ = task.loss(model, batch, None)
    wanted = scale = 0.0
    for place in batch.places.tolist():
        scores = model(items[place][None])[0]
        for step in range(min(3, len(items[place]))):
            tag = int(tags[place][step])
            if tag >= 0:
                weight = float(weights[place] * of_class[tag])
                wanted = wanted + weight * functional.cross_entropy(scores[step], torch.tensor(tag))
                scale += weight
    torch.testing.assert_close(total, wanted)
    assert count == pytest.approx(scale)


def test_steps_that_are_not_chosen_have_no_gradient() -> None:
    items, tags = sequences(6)
    for crf in (False, True):
        model, task = tagger(crf), tagging(part(items, tags), batch=6, steps=(-1, -1))
        batch = task.batches.next()
        outputs = model(batch.inputs, lengths=batch.lengths).detach().requires_grad_()
        model.forward = lambda *_, outputs=outputs, **__: outputs
        task.loss(model, batch, None)[0].backward()
        touched = (outputs.grad.abs() > 1e-9).any(-1)
        for row, length in enumerate(batch.lengths.tolist()):
            assert touched[row, length - 1] and not touched[row, length:].any()
            assert crf or not touched[row, : length - 1].any()


def test_numbers_at_every_step_and_those_that_are_missing() -> None:
    draw = torch.Generator().manual_seed(0)
    items = [torch.randn(n, 2, generator=draw) for n in range(2, 30)]
    values = [item.sum(1, keepdim=True).cumsum(0) for item in items]
    values[0][:] = torch.nan
    values[1][0] = torch.nan
    torch.manual_seed(0)
    model = ManyToMany(SequenceEncoder(Numbers(np.zeros(2), np.ones(2)), recurrent_layers("gru", 2, 16)), 1)
    task = Tagging(part(items, values), part(items, values), squared(1), classes=None, batch=8)
    assert len(task.train.sequences) == 27
    assert [metric.name for metric in task.metrics] == ["held_out"]
    settings = TrainingSettings(steps=150, learning_rate=0.02)
    training = Training(model, task, optimizer(model, settings), settings=settings)
    before = task.evaluate(model)["held_out"]
    training.run()
    assert task.evaluate(model)["held_out"] < before / 5
    assert len(task.example(model).split(", ")) == len(task.train.sequences[0])


def test_nothing_to_learn_from_is_said() -> None:
    items, tags = sequences(3)
    with pytest.raises(DataError, match="no step from 50 to -1"):
        tagging(part(items, tags), steps=(50, -1))


def test_outputs_of_many_are_those_of_each() -> None:
    items, _ = sequences(40)
    model = tagger().train()
    seen = 0
    for places, outputs, lengths in outputs_of(model, items):
        for place, output, length in zip(places.tolist(), outputs, lengths.tolist()):
            torch.testing.assert_close(output[:length], model(items[place][None])[0])
            seen += 1
    assert seen == 40 and model.training
