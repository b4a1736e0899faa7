"""Callbacks: what happens while a run trains, beside the training. Telling, saving and stopping early are such."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rondeau.train.loop import Training
    from rondeau.train.record import Row


class Callback:
    """Hooks that do nothing; override those that matter. Setting ``training.stopping`` in any of them ends the run after the
    step at hand, to be gone on with later."""

    def on_begin(self, training: Training) -> None:
        """Before the first step of a call of `Training.run`."""

    def on_row(self, training: Training, row: Row) -> None:
        """After a row was added to the record, of training or of an evaluation."""

    def on_evaluation(self, training: Training, row: Row) -> None:
        """After an evaluation was added to the record, before its `on_row`."""

    def on_step(self, training: Training) -> None:
        """After a step, and the row and the evaluation that it called for."""

    def on_end(self, training: Training) -> None:
        """After the last step of a call of `Training.run`, whether the run has ended or was stopped."""

    def ends(self, training: Training) -> bool:
        """Whether the run has come to its end, beside the end that its settings name."""
        return False


class OnRow(Callback):
    """Calls a function with every new row of the record.

    Args:
        tell: what to call.
    """

    def __init__(self, tell: Callable[[Row], None]) -> None:
        self.tell = tell

    def on_row(self, training: Training, row: Row) -> None:
        """Tells the row."""
        self.tell(row)


class EarlyStopping(Callback):
    """Ends a run when it has not got better for some evaluations; the model then has the best weights.

    Args:
        patience: that many evaluations.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def on_evaluation(self, training: Training, row: Row) -> None:
        """Keeps the weights, if they are the best."""
        if not training.progress.worse:
            training.keep_best()

    def on_end(self, training: Training) -> None:
        """Puts the best weights into the model."""
        training.use_best()

    def ends(self, training: Training) -> bool:
        """Whether patience is at its end."""
        return training.progress.worse >= self.patience


class Checkpoints(Callback):
    """Saves at the beginning, after every evaluation, every so many seconds, and at the end.

    Args:
        save: what writes a checkpoint.
        seconds: the longest time between two.
    """

    def __init__(self, save: Callable[[], None], seconds: float) -> None:
        self.save, self.seconds, self._last = save, seconds, 0.0

    def on_begin(self, training: Training) -> None:
        """Saves what nothing was learned of yet."""
        if training.progress.step == training.progress.since_step:
            self.save()
        self._last = time.monotonic()

    def on_step(self, training: Training) -> None:
        """Saves, when it is time."""
        late = time.monotonic() - self._last >= self.seconds
        if late:
            training.write_row()  # so that the record says all that the checkpoint has learned
        if (late or training.progress.evaluated == training.progress.step) and not training.finished:
            self.save()
            self._last = time.monotonic()

    def on_end(self, training: Training) -> None:
        """Saves what there is."""
        self.save()
