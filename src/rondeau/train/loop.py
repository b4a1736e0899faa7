"""The training loop: windows along contiguous streams, truncated backpropagation through time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from rondeau.data import Streams
from rondeau.errors import InputError, RunError
from rondeau.models.language_model import LanguageModel, detached
from rondeau.nn import Recurrent
from rondeau.train.record import Record, Row, bits
from rondeau.train.settings import Settings

EVALUATIONS = 6
ROWS = 50  # rows of training that a run of as many steps has at least
ROW_SECONDS = 1.0  # the longest time between two rows of the record; in a long run a thousandth of its time


@dataclass
class Progress:
    """How far a run is. ``since_step`` and ``since_seconds`` say where its last stretch began: 0, or where `resume` was asked
    for more. ``evaluated`` is the step of the last evaluation."""

    step: int = 0
    seconds: float = 0.0
    best: float = math.inf
    worse: int = 0
    evaluated: int = -1
    since_step: int = 0
    since_seconds: float = 0.0


class Interval:
    """The steps since the last row of the record."""

    def __init__(self, done: float) -> None:
        self.losses: list[float] = []
        self.norm, self.tokens, self.seconds, self.mark = 0.0, 0, 0.0, math.floor(done * ROWS)

    def add(self, loss: float, norm: float, tokens: int, seconds: float) -> None:
        """One more step."""
        self.losses.append(loss)
        self.norm, self.tokens, self.seconds = norm, self.tokens + tokens, self.seconds + seconds

    def due(self, done: float, progress: Progress) -> bool:
        """Whether it is time for a row: in each of the first steps, in each fiftieth of the run, and after a second."""
        early = progress.step - progress.since_step <= ROWS
        return early or math.floor(done * ROWS) > self.mark or self.seconds >= max(ROW_SECONDS, progress.seconds / 1000)


class Training:
    """One run in progress: model, optimizer, streams, carried state and record.

    With ``patience`` the model holds the best weights once it has ended, as it does in a run folder; ``last`` are then those
    that training goes on with.

    Args:
        model: what learns.
        train: tokens to learn from, (tokens,).
        held: tokens to evaluate on, (tokens,), or None.
        settings: how.
        record: where rows go.

    Raises:
        DataError: the text is too short for batch and window.
    """

    def __init__(
        self, model: LanguageModel, train: Tensor, held: Tensor | None, settings: Settings, record: Record | None = None
    ) -> None:
        self.settings = settings.checked()
        self.model, self.held = model, held
        self.record = record or Record()
        self.streams = Streams(train, settings.batch, settings.window)
        self.optimizer = torch.optim.AdamW(
            _groups(model, settings.weight_decay), lr=settings.learning_rate, betas=(0.9, 0.99), fused=True
        )
        self.progress = Progress()
        self.state: Any = None
        self.stopping = False
        self.best: dict[str, Tensor] | None = None
        self.last: dict[str, Tensor] | None = None
        for module in model.modules():
            if isinstance(module, Recurrent):
                module.clip = settings.clip_step

    # how far

    @property
    def total(self) -> int | None:
        """The number of steps of the whole run, when that is settled beforehand."""
        s = self.settings
        if s.epochs is not None:
            return math.ceil(s.epochs * self.streams.windows - 1e-6)
        return s.steps

    @property
    def done(self) -> float:
        """The part of the run (since it was last asked for more) that lies behind, 0 to 1: by steps, or for ``minutes`` by
        the clock."""
        progress = self.progress
        if self.total is not None:
            behind, whole = float(progress.step - progress.since_step), float(self.total - progress.since_step)
        else:
            assert self.settings.minutes is not None
            behind, whole = progress.seconds - progress.since_seconds, 60 * self.settings.minutes - progress.since_seconds
        return 1.0 if behind >= whole else behind / whole

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end, or has not got better for ``patience`` evaluations."""
        patience = self.settings.patience
        return self.done >= 1 or (patience is not None and self.progress.worse >= patience)

    def rate(self) -> float:
        """The learning rate now: a linear warm-up, then the schedule."""
        s, done = self.settings, self.done
        if done < s.warmup:
            return s.learning_rate * max(done / s.warmup, 0.01)
        rest = (done - s.warmup) / max(1 - s.warmup, 1e-9)
        factor = {"constant": 1.0, "linear": 1 - rest, "cosine": 0.5 * (1 + math.cos(math.pi * min(rest, 1.0)))}[s.schedule]
        return s.learning_rate * max(factor, 0.01)

    def more(
        self,
        *,
        minutes: float | None = None,
        epochs: float | None = None,
        steps: int | None = None,
        learning_rate: float | None = None,
    ) -> dict[str, float | None]:
        """Goes on for so much more from here, with a schedule, a warm-up and a patience that begin anew; or, without an end,
        to the same end with another learning rate.

        Returns:
            The settings that are now others.

        Raises:
            InputError: a number out of range, or more than one end.
            RunError: the run has ended, and only a learning rate is given.
        """
        given = {"minutes": minutes, "epochs": epochs, "steps": steps}
        Settings(**given, learning_rate=1.0 if learning_rate is None else learning_rate).checked()  # type: ignore[arg-type]
        changed: dict[str, float | None] = {} if learning_rate is None else {"learning_rate": learning_rate}
        progress = self.progress
        so_far = {"minutes": progress.seconds / 60, "epochs": progress.step / self.streams.windows, "steps": progress.step}
        ends = {name: so_far[name] + value for name, value in given.items() if value is not None}
        if ends:
            changed |= {**dict.fromkeys(given), **ends}
            progress.since_step, progress.since_seconds, progress.worse = progress.step, progress.seconds, 0
        elif changed and self.finished:
            raise RunError(f"the run has ended, at step {progress.step}; say how much more with minutes, epochs or steps")
        self.settings = replace(self.settings, **changed).checked()  # type: ignore[arg-type]
        return changed

    # running

    def run(self, each: Callable[[Row], None] | None = None, save: Callable[[], None] | None = None) -> None:
        """Trains to the end, or until ``stopping`` is set.

        Args:
            each: sees every new row of the record.
            save: called at every evaluation, every ``save_every`` seconds, and at the end.

        Raises:
            RunError: the loss is no longer a number.
        """
        tell = each or (lambda row: None)
        keep = save or (lambda: None)
        interval, saved, next_evaluation = Interval(self.done), time.monotonic(), self._next_evaluation()
        while not self.finished and not self.stopping:
            begun = time.perf_counter()
            loss, norm, count = self.step()
            spent = time.perf_counter() - begun
            self.progress.seconds += spent
            interval.add(loss, norm, count, spent)
            begun, evaluate = time.perf_counter(), self.held is not None and self.done >= next_evaluation
            late = time.monotonic() - saved >= self.settings.save_every
            if evaluate or late or self.stopping or self.finished or interval.due(self.done, self.progress):
                tell(self._row(interval))
                interval = Interval(self.done)
            if evaluate:
                tell(self.evaluation())
                next_evaluation = self._next_evaluation()
            if (evaluate or late) and not self.finished:
                keep()
                saved = time.monotonic()
            self.progress.seconds += time.perf_counter() - begun
        self.use_best()
        keep()

    def _next_evaluation(self) -> float:
        return min(math.floor(self.done * EVALUATIONS + 1e-9) + 1, EVALUATIONS) / EVALUATIONS

    def step(self) -> tuple[float, float, int]:
        """One window forward, backward and an update: the loss in nats, the gradient's norm, the number of tokens.

        Raises:
            RunError: the loss is not a number.
        """
        if self.last is not None:
            put_weights(self.model, self.last)
            self.last = None
        settings, window = self.settings, self.streams.next()
        if window.start:
            self.state = None
        logits, state = self.model(window.inputs, self.state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), window.targets.flatten())
        value = loss.item()
        self._sound("loss", value, self.progress.step + 1)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if settings.clip_value is not None:
            nn.utils.clip_grad_value_(self.model.parameters(), settings.clip_value)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm or math.inf)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.step()
        self.state = detached(state)
        self.progress.step += 1
        return value, float(norm), window.targets.numel()

    def _sound(self, what: str, value: float, step: int) -> None:
        if not math.isfinite(value):
            raise RunError(
                f"the {what} is {value} at step {step}; the last saved state is sound. "
                "Lower --learning-rate, or clip with --clip-norm or --clip-step"
            )

    def _row(self, interval: Interval) -> Row:
        loss = sum(interval.losses) / len(interval.losses)
        return self.record.add(
            step=self.progress.step,
            steps=len(interval.losses),
            epoch=self.streams.epoch,
            seconds=round(self.progress.seconds, 3),
            loss=loss,
            bits=bits(loss),
            gradient_norm=interval.norm,
            learning_rate=self.rate(),
            tokens_per_second=round(interval.tokens / max(interval.seconds, 1e-9)),
        )

    def evaluation(self) -> Row:
        """Evaluates on the held-out text, and keeps the weights if they are the best and there is a ``patience``.

        Raises:
            RunError: the loss is not a number.
        """
        assert self.held is not None
        nats = evaluate(self.model, self.held)
        progress = self.progress
        self._sound("held-out loss", nats, progress.step)
        progress.evaluated = progress.step
        if nats < progress.best:
            progress.best, progress.worse = nats, 0
            if self.settings.patience is not None:
                self.best = copied(weights(self.model))
        else:
            progress.worse += 1
        return self.record.add(step=progress.step, held_out=nats, held_out_bits=bits(nats))

    def use_best(self) -> None:
        """Puts the best weights into the model, if there is a ``patience``; a further `step` goes on from the last ones."""
        if self.best is not None and self.last is None:
            self.last = copied(weights(self.model))
            put_weights(self.model, self.best)


def weights(model: nn.Module) -> dict[str, Tensor]:
    """The parameters of a model by name, one that is used twice only once."""
    return {name: value.detach() for name, value in model.named_parameters()}


@torch.no_grad()
def put_weights(model: nn.Module, values: dict[str, Tensor]) -> None:
    """Sets the parameters of a model to values that `weights` gave.

    Raises:
        InputError: others are given than it has, or of another shape or type.
    """
    own = dict(model.named_parameters())
    if {n: (v.shape, v.dtype) for n, v in own.items()} != {n: (v.shape, v.dtype) for n, v in values.items()}:
        raise InputError("the weights do not fit the model: give it those of a model of the same sizes")
    for name, value in values.items():
        own[name].copy_(value)


def copied(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies that nothing changes."""
    return {name: value.detach().clone() for name, value in values.items()}


@torch.inference_mode()
def evaluate(model: LanguageModel, tokens: Tensor, streams: int = 16, window: int = 256) -> float:
    """Mean nats per token of a text, with the state carried along it.

    The text is read as a few parallel strands; every token is scored but the first of each strand.

    Raises:
        InputError: fewer than two tokens.
    """
    if len(tokens) < 2:
        raise InputError(f"evaluation needs at least two tokens, got {len(tokens)}")
    training = model.training
    model.eval()
    strands = max(1, min(streams, len(tokens) // (4 * window)))
    length = len(tokens) // strands
    part = tokens[: strands * length].view(strands, length)
    total, count, state = 0.0, 0, None
    for start in range(0, length - 1, window):
        stop = min(start + window, length - 1)
        logits, state = model(part[:, start:stop], state)
        targets = part[:, start + 1 : stop + 1]
        total += nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum").item()
        count += targets.numel()
    model.train(training)
    return total / count


def _groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices, none for vectors."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    matrices, vectors = [p for p in parameters if p.dim() > 1], [p for p in parameters if p.dim() < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
