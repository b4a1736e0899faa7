"""Batch norm for sequences: against PyTorch's over the true steps alone."""

from __future__ import annotations

import pytest
import torch

from rondeau.data import RaggedBatches
from rondeau.errors import InputError
from rondeau.models import recurrent_layers
from rondeau.nn import Bidirectional, Recurrent, SequenceBatchNorm, Stack
from rondeau.train import Metric, Training, TrainingSettings, optimizer

LENGTHS = [5, 1, 3]


def ragged() -> torch.Tensor:
    x = 3 + 2 * torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    for row, length in zip(x, LENGTHS):
        row[length:] = 1e6  # what lies there must not matter
    return x


def steps(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([row[:length] for row, length in zip(x, LENGTHS)])


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("affine", [True, False])
def test_statistics_are_those_of_the_true_steps(momentum: float | None, affine: bool) -> None:
    theirs = torch.nn.BatchNorm1d(4, momentum=momentum, affine=affine)
    if affine:
        torch.nn.init.normal_(theirs.weight), torch.nn.init.normal_(theirs.bias)
    ours = SequenceBatchNorm(4, momentum=momentum, affine=affine)
    ours.load_state_dict(theirs.state_dict())
    for _ in range(3):
        x = ragged().requires_grad_()
        y, state = ours(x, lengths=LENGTHS)
        wanted = theirs(flat := steps(x))
        torch.testing.assert_close(steps(y), wanted)
        gradient = torch.randn_like(wanted)
        leaves = (x, *ours.parameters())
        expected = torch.autograd.grad(wanted, (flat, *theirs.parameters()), gradient)
        found = torch.autograd.grad(steps(y), leaves, gradient)
        torch.testing.assert_close((steps(found[0]), *found[1:]), expected)
        assert state == () and not y[1, 1:].any() and not found[0][1, 1:].any()
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    torch.testing.assert_close(steps(ours.eval()(ragged(), lengths=LENGTHS)[0]), theirs.eval()(steps(ragged())))


def test_without_lengths_every_step_counts() -> None:
    x, theirs, ours = torch.randn(3, 5, 4), torch.nn.BatchNorm1d(4), SequenceBatchNorm(4)
    torch.testing.assert_close(ours(x)[0], theirs(x.transpose(1, 2)).transpose(1, 2))
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_a_lone_step_comes_out_as_the_shift() -> None:
    norm = SequenceBatchNorm(4)
    assert not norm(torch.randn(1, 1, 4))[0].any() and norm.running_var.isfinite().all()
    assert not norm(torch.randn(1, 3, 4), lengths=[1])[0].any() and norm.running_var.isfinite().all()


def test_half_precision_is_normalised_in_float32() -> None:
    x = (100 + torch.randn(64, 64, 4)).bfloat16()
    y = SequenceBatchNorm(4)(x)[0]
    assert y.dtype == torch.bfloat16 and y.float().mean().abs() < 0.05


def stack() -> Stack:
    torch.manual_seed(0)
    return Stack(Recurrent("gru", 4, 6), SequenceBatchNorm(6), Recurrent("lstm", 6, 3))


def test_in_a_stack_it_hears_of_lengths() -> None:
    x, deep = ragged(), stack()
    y, (_, nothing, _) = deep(x, lengths=LENGTHS)
    first, norm, above = deep
    by_hand = above(norm(first(x, lengths=LENGTHS)[0], lengths=LENGTHS)[0], lengths=LENGTHS)[0]
    torch.testing.assert_close(y, by_hand)
    padded = torch.cat([x, torch.full((3, 4, 4), 7.0)], 1)
    torch.testing.assert_close(deep(padded, lengths=LENGTHS)[0][:, :5], y)
    both = Bidirectional(stack(), Stack(Recurrent("gru", 4, 3, reverse=True), SequenceBatchNorm(3)))
    assert both(x, lengths=LENGTHS)[0].shape == (3, 5, 6) and nothing == ()


def test_it_has_no_direction_and_takes_none_away() -> None:
    ahead, behind = (Stack(Recurrent("gru", 4, 6, reverse=way), SequenceBatchNorm(6)) for way in (False, True))
    assert ahead.reverse is False and behind.reverse is True
    assert not SequenceBatchNorm(3).ordered and ahead.ordered
    assert recurrent_layers("gru", 4, 6, batch_norm=True).reverse is False
    with pytest.raises(InputError, match="reverse=True"):
        Bidirectional(ahead, ahead)


def test_models_have_it_between_their_layers() -> None:
    deep = recurrent_layers("gru", 4, 6, layers=2, bidirectional=True, batch_norm=True)
    assert [type(module) for module in deep] == [Recurrent, SequenceBatchNorm] * 2
    assert deep(ragged(), lengths=LENGTHS)[0].shape == (3, 5, 12)


def test_a_packed_batch() -> None:
    x, deep = ragged(), stack()
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    y, _ = deep(packed)
    again, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True)
    torch.testing.assert_close(again, deep(x, lengths=LENGTHS)[0])


def test_stepped_it_uses_the_running_averages() -> None:
    deep = stack()
    for _ in range(5):
        deep(ragged(), lengths=LENGTHS)
    x = torch.randn(2, 6, 4)
    stepper = deep.eval().stepper(batch=2)
    found = torch.stack([stepper.step(x[:, step].contiguous()).clone() for step in range(6)], 1)
    torch.testing.assert_close(found, deep(x)[0])


def test_compiled_and_exported() -> None:
    deep, x = stack(), torch.randn(3, 5, 4)
    deep(x)
    deep.eval()
    lengths = torch.tensor(LENGTHS)
    program = torch.export.export(deep, (x,), {"lengths": lengths})
    torch.testing.assert_close(program.module()(x, lengths=lengths)[0], deep(x, lengths=lengths)[0])
    norm, twin = SequenceBatchNorm(4), SequenceBatchNorm(4)
    y = torch.compile(norm, backend="eager", fullgraph=True)(x, lengths=lengths)[0]
    torch.testing.assert_close(y, twin(x, lengths=lengths)[0])
    torch.testing.assert_close(norm.running_mean, twin.running_mean)


class Ends:
    """The sum of a sequence, through a batch norm."""

    unit, in_nats, carries_state = "sequences", False, False
    metrics: tuple[Metric, ...] = ()

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(0)
        self.batches = RaggedBatches([torch.randn(n, 4, generator=draw) for n in range(1, 30)], 4)

    def loss(self, model, batch, state):
        _, (*_, (last, _)) = model(batch.inputs, lengths=batch.lengths)
        return (last.sum(1) - batch.inputs.sum((1, 2))).square().sum(), len(batch.lengths), None


def test_running_averages_go_on_where_a_state_dict_left_off() -> None:
    def training(steps: int) -> Training:
        model, settings = stack(), TrainingSettings(steps=steps, learning_rate=0.01, schedule="constant", warmup=0)
        return Training(model, Ends(), optimizer(model, settings), settings=settings)

    whole, half, rest = training(6), training(3), training(6)
    whole.run(), half.run()
    rest.model.load_state_dict(half.model.state_dict())
    rest.optimizer.load_state_dict(half.optimizer.state_dict())
    rest.task.batches.load_state_dict(half.task.batches.state_dict())
    rest.progress.step = 3
    rest.run()
    for name, value in whole.model.state_dict().items():
        assert rest.model.state_dict()[name].equal(value), name


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SequenceBatchNorm(0), "positive"),
        (lambda: SequenceBatchNorm(3, momentum=2), "momentum from 0 to 1"),
        (lambda: SequenceBatchNorm(3, epsilon=0), "epsilon is positive"),
        (lambda: SequenceBatchNorm(3)(torch.zeros(2, 5, 4)), r"\(batch, time, 3\)"),
        (lambda: SequenceBatchNorm(3)(torch.zeros(2, 5, 3), lengths=[1]), "batch of 2"),
        (lambda: SequenceBatchNorm(3)(torch.zeros(2, 5, 3), trace=("f",)), "trace"),
    ],
)
def test_what_does_not_fit_is_refused(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
