"""The one training loop: batch after batch of any task, with its record, its callbacks and its end."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from rondeau.errors import InputError, RunError
from rondeau.models import detached
from rondeau.nn import Recurrent
from rondeau.train.callbacks import Callback, Checkpoints, EarlyStopping
from rondeau.train.devices import check_seed, device, move, use_threads
from rondeau.train.progress import Interval, Progress
from rondeau.train.record import Record, Row, bits
from rondeau.train.schedule import schedule
from rondeau.train.settings import TrainingSettings
from rondeau.train.task import Task
from rondeau.train.weights import copied, put_weights, weights

ADVICE = "Lower the setting learning_rate, or bound the gradient with clip_norm or clip_step"


class Training:
    """One run in progress: model, task, optimizer, callbacks, carried state and record. It knows nothing of what is learned.

    A run that stops early has the best weights in its model once it has ended; ``last`` are then those that training goes on
    with.

    Every setting is obeyed or refused. Made, it moves the model, and what the optimizer keeps, to ``device`` where one is
    named, has PyTorch use so many ``threads`` from then on, and with a ``patience`` adds that `EarlyStopping` before the
    callbacks. What it cannot do itself is yours: the batches and the task's own tensors are on the device because the task
    makes them there; ``torch.manual_seed(seed)`` comes before the model is made, whose initial weights are drawn then; and
    `Checkpoints`, which `BaseRun.fit` adds, save every ``save_every`` seconds. A seed or a time between checkpoints other than
    the default is refused where nothing has done so.

    Args:
        model: what learns.
        task: what it learns.
        optimizer: what changes its weights, such as `optimizer` makes; its learning rate is set before every step.
        callbacks: what happens beside, in this order.
        settings: when it ends, how fast it learns, what is clipped.
        record: where rows go.

    Raises:
        InputError: a setting is out of range, the schedule or the patience waits for evaluations of which there are none, this
            machine has no such device, or the random numbers did not begin with the seed.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task[Any, Any],
        optimizer: torch.optim.Optimizer,
        callbacks: Iterable[Callback] = (),
        *,
        settings: TrainingSettings,
        record: Record | None = None,
    ) -> None:
        self.settings = settings.checked()
        self.model, self.task, self.optimizer = model, task, optimizer
        self.callbacks = [*_early_stopping(self.settings, bool(task.metrics)), *callbacks]
        self.schedule = schedule(self.settings, bool(task.metrics))
        self.record = record or Record()
        self.progress = Progress(best=task.metrics[0].worst if task.metrics else math.inf)
        self.interval = Interval(0.0)
        self.state: Any = None
        self.stopping = False
        self.best: dict[str, Tensor] | None = None
        self.last: dict[str, Tensor] | None = None
        check_seed(self.settings)
        use_threads(self.settings.threads)
        if self.settings.device is not None:
            move(model, optimizer, device(self.settings.device))
        for module in model.modules():
            if isinstance(module, Recurrent) and settings.clip_step is not None:
                module.clip = settings.clip_step

    # how far

    @property
    def total(self) -> int | None:
        """The number of steps of the whole run, when that is settled beforehand."""
        epochs = self.settings.epochs
        return self.settings.steps if epochs is None else self.task.batches.steps(epochs)

    @property
    def done(self) -> float:
        """The part of the run (since it was last asked for more) that lies behind, 0 to 1: by steps, or for ``minutes`` by
        the clock."""
        progress, total = self.progress, self.total
        if total is not None:
            behind, whole = float(progress.step - progress.since_step), float(total - progress.since_step)
        else:
            assert self.settings.minutes is not None
            behind, whole = progress.seconds - progress.since_seconds, 60 * self.settings.minutes - progress.since_seconds
        return 1.0 if behind >= whole else behind / whole

    @property
    def finished(self) -> bool:
        """Whether the run has come to its end, by its settings or by a callback."""
        return self.done >= 1 or any(each.ends(self) for each in self.callbacks)

    def rate(self) -> float:
        """The learning rate now: a linear warm-up, then the schedule."""
        s, done = self.settings, self.done
        if done < s.warmup:
            return s.learning_rate * max(done / s.warmup, 0.01)
        return s.learning_rate * self.schedule.factor((done - s.warmup) / max(1 - s.warmup, 1e-9))

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
        TrainingSettings(**given, learning_rate=1.0 if learning_rate is None else learning_rate).checked()  # type: ignore[arg-type]
        changed: dict[str, float | None] = {} if learning_rate is None else {"learning_rate": learning_rate}
        progress = self.progress
        so_far = {"minutes": progress.seconds / 60, "epochs": self.task.batches.passed, "steps": progress.step}
        ends = {name: so_far[name] + value for name, value in given.items() if value is not None}
        if ends:
            changed |= {**dict.fromkeys(given), **ends}
            progress.since_step, progress.since_seconds, progress.worse = progress.step, progress.seconds, 0
            self.schedule.begin()
        elif changed and self.finished:
            raise RunError(f"the run has ended, at step {progress.step}; say how much more with minutes, epochs or steps")
        self.settings = replace(self.settings, **changed).checked()  # type: ignore[arg-type]
        return changed

    # running

    def run(self, *callbacks: Callback) -> None:
        """Trains to the end, or until ``stopping`` is set; called again, it goes on.

        Args:
            callbacks: more of them, for this call.

        Raises:
            RunError: the loss is no longer a number.
            InputError: the settings name a time between checkpoints, and no callback saves so often.
        """
        own = self.callbacks
        self.callbacks = [*own, *callbacks]
        try:
            _check_saving(self.settings, self.callbacks)
            self._run()
        finally:
            self.callbacks, self.stopping = own, False

    def _run(self) -> None:
        for each in self.callbacks:
            each.on_begin(self)
        self.interval, evaluate_at = Interval(self.done), _next_evaluation(self.done, self.settings.evaluations)
        while not self.finished and not self.stopping:
            begun = time.perf_counter()
            loss, norm, count = self.step()
            spent = time.perf_counter() - begun
            self.progress.seconds += spent
            self.interval.add(loss, norm, count, spent)
            begun = time.perf_counter()
            if self.task.metrics and self.done >= evaluate_at:
                self.write_row()
                self.evaluation()
                evaluate_at = _next_evaluation(self.done, self.settings.evaluations)
            elif self.stopping or self.finished or self.interval.due(self.done, self.progress):
                self.write_row()
            for each in self.callbacks:
                each.on_step(self)
            self.progress.seconds += time.perf_counter() - begun
        self.write_row()
        for each in self.callbacks:
            each.on_end(self)

    def step(self) -> tuple[float, float, float]:
        """One batch forward, backward and an update: the mean loss, the gradient's norm, and what the mean is of.

        Raises:
            RunError: the loss is not a number, or a mean of nothing.
        """
        if self.last is not None:
            put_weights(self.model, self.last)
            self.last = None
        total, count, state = self.task.loss(self.model, self.task.batches.next(), self.state)
        _check_count(count, self.task, self.progress.step + 1)
        loss = total / count
        value = loss.item()
        _check_finite("loss", value, self.progress.step + 1)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = _clipped(self.model, self.settings)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.step()
        self.state = detached(state) if self.task.carries_state else None
        self.progress.step += 1
        return value, norm, count

    # the record

    def write_row(self) -> None:
        """Writes a row over the steps since the last one, if there are any."""
        interval = self.interval
        if not interval.losses:
            return
        loss = sum(interval.losses) / len(interval.losses)
        self._add(
            step=self.progress.step,
            steps=len(interval.losses),
            epoch=self.task.batches.epoch,
            seconds=round(self.progress.seconds, 3),
            loss=loss,
            **({"bits": bits(loss)} if self.task.in_nats else {}),
            gradient_norm=interval.norm,
            learning_rate=self.rate(),
            **{f"{self.task.unit}_per_second": round(interval.count / max(interval.seconds, 1e-9))},
        )
        self.interval = Interval(self.done)

    def evaluation(self) -> Row:
        """Evaluates on held-out data, and notes whether that is the best so far.

        Raises:
            RunError: a metric is not a number, or the task did not find it.
        """
        found, first, progress = self.task.evaluate(self.model), self.task.metrics[0], self.progress
        _check_found(found, self.task)
        for name, value in found.items():
            _check_finite(name, value, progress.step)
        progress.evaluated = progress.step
        better = first.better(found[first.name], progress.best)
        progress.best, progress.worse = (found[first.name], 0) if better else (progress.best, progress.worse + 1)
        self.schedule.evaluated(better)
        row = {"step": progress.step, **found}
        for each in self.callbacks:
            each.on_evaluation(self, row)
        return self._add(**row)

    def _add(self, **row: Any) -> Row:
        self.record.add(**row)
        for each in self.callbacks:
            each.on_row(self, row)
        return row

    # the best weights

    def keep_best(self) -> None:
        """Keeps the weights of now as the best ones."""
        self.best = copied(weights(self.model))

    def use_best(self) -> None:
        """Puts the best weights into the model, where any are kept; a further `step` goes on from the last ones."""
        if self.best is not None and self.last is None:
            self.last = copied(weights(self.model))
            put_weights(self.model, self.best)


def _early_stopping(settings: TrainingSettings, evaluates: bool) -> list[Callback]:
    """The callback that the setting ``patience`` asks for."""
    if settings.patience is None:
        return []
    if not evaluates:
        raise InputError(f"patience is {settings.patience}, but the task has no metrics; hold out some data, or leave it out")
    return [EarlyStopping(settings.patience)]


def _check_saving(settings: TrainingSettings, callbacks: Iterable[Callback]) -> None:
    """Refuses a time between checkpoints that is not the default, where nothing saves so often."""
    wanted = settings.save_every
    saving = any(isinstance(each, Checkpoints) and each.seconds == wanted for each in callbacks)
    if wanted != TrainingSettings.defaults()["save_every"] and not saving:
        raise InputError(f"save_every is {wanted}, but nothing saves so often; add the callback Checkpoints(save, {wanted})")


def _next_evaluation(done: float, evaluations: int) -> float:
    """The part of the run after which the next of so many evaluations is due."""
    return min(math.floor(done * evaluations + 1e-9) + 1, evaluations) / evaluations


def _clipped(model: nn.Module, settings: TrainingSettings) -> float:
    """Clips the gradient, by value and then by its norm, which is returned as it was between the two."""
    if settings.clip_value is not None:
        nn.utils.clip_grad_value_(model.parameters(), settings.clip_value)
    return float(nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm or math.inf))


def _check_count(count: float, task: Task[Any, Any], step: int) -> None:
    if not count > 0:
        raise RunError(
            f"the task's loss is a sum over {count} {task.unit} at step {step}, which has no mean; "
            "give batches of which every one has something to learn"
        )


def _check_found(found: dict[str, float], task: Task[Any, Any]) -> None:
    """Refuses an evaluation that lacks a metric."""
    for metric in task.metrics:
        if metric.name not in found:
            names = ", ".join(found) or "nothing"
            raise RunError(f"the task has the metric {metric.name}, but its evaluate gave {names}; use the same names in both")


def _check_finite(what: str, value: float, step: int) -> None:
    if not math.isfinite(value):
        raise RunError(f"the {what} is {value} at step {step}; the last saved state is sound. {ADVICE}")
