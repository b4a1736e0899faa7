"""`Run`: a model with all that it was made with, its training and its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from rondeau.data import Tokenizer
from rondeau.errors import RunError
from rondeau.ir import Cell
from rondeau.models import LanguageModel
from rondeau.train import state
from rondeau.train.callbacks import Callback, Checkpoints, OnRow
from rondeau.train.folder import RunFolder
from rondeau.train.loop import Training
from rondeau.train.manifest import Facts
from rondeau.train.record import Record, Row
from rondeau.train.settings import Settings


@dataclass
class Run:
    """A model with its tokenizer and settings, and where it lives.

    ``facts`` are those of the checkpoint that it came from or wrote last. A run that was started or resumed in a folder holds
    its lock, so that nobody else writes there, until `fit` or `close`.
    """

    model: LanguageModel
    tokenizer: Tokenizer
    settings: Settings
    cell: Cell
    training: Training | None = None
    folder: RunFolder | None = None
    train: Tensor | None = None
    held: Tensor | None = None
    facts: Facts = field(default_factory=Facts)

    @property
    def record(self) -> Record:
        """The rows of its training.

        Raises:
            RunError: the run is for use only, and has none.
        """
        if self.training is None:
            raise RunError("this run is for use only and has no record; resume it, or read metrics.jsonl in its folder")
        return self.training.record

    def fit(self, each: Callable[[Row], None] | None = None, callbacks: Iterable[Callback] = ()) -> Run:
        """Trains to the end, saving as it goes; the run itself. A run that has ended stays as it is.

        Args:
            each: sees every new row of the record.
            callbacks: what else is to happen meanwhile.

        Raises:
            RunError: the loss is no longer a number, or the folder is in use or cannot be written.
        """
        assert self.training is not None
        try:
            if self.training.finished:
                self.training.use_best()
                return self
            if self.folder is not None:
                self.folder.claim()
            tell = [] if each is None else [OnRow(each)]
            self.training.run(*tell, *callbacks, Checkpoints(self.save, self.settings.save_every))
        finally:
            self.close()
        return self

    def save(self) -> None:
        """Writes a checkpoint, if the run has a folder.

        Raises:
            RunError: it cannot be written, or the weights are no longer finite; the old one then stands.
        """
        if self.folder is None or self.training is None:
            return
        weights, rest = state.saved(self.training)
        step = self.training.progress.step
        for name, value in weights.items():
            if not value.isfinite().all():
                raise RunError(
                    f"{name} is no longer finite at step {step}; the last saved state is sound. "
                    "Lower --learning-rate, or clip with --clip-norm or --clip-step"
                )
        mark = self.training.record.mark()
        self.facts = replace(self.facts, step=step, torch=torch.__version__, record=mark)
        self.folder.save(weights, rest, self.facts)

    def close(self) -> None:
        """Lets go of the folder, so that another run may write there."""
        if self.folder is not None:
            self.folder.release()
