"""`Run`: a model with all that it was made with, its training and its folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from rondeau.data import Tokenizer
from rondeau.errors import RunError, RunWarning
from rondeau.ir import Cell
from rondeau.models import LanguageModel
from rondeau.train import optimizers, state
from rondeau.train.callbacks import Callback, Checkpoints, OnRow
from rondeau.train.checkpoint import Checkpoint
from rondeau.train.folder import RunFolder
from rondeau.train.loop import ADVICE, Training
from rondeau.train.manifest import Facts
from rondeau.train.record import NAME as RECORD
from rondeau.train.record import Record, Row
from rondeau.train.settings import Settings, TrainingSettings
from rondeau.train.weights import copied, weights

Own = TypeVar("Own", bound="BaseRun")


@dataclass(kw_only=True)
class BaseRun:
    """A model of any kind with its settings, and where it lives.

    ``facts`` are those of the checkpoint that it came from or wrote last. A run that was started or resumed in a folder holds
    its lock, so that nobody else writes there, until `fit` or `close`.
    """

    model: nn.Module
    settings: TrainingSettings
    training: Training | None = None
    folder: RunFolder | None = None
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

    def fit(self: Own, each: Callable[[Row], None] | None = None, callbacks: Iterable[Callback] = ()) -> Own:
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

    def create(self, folder: str | Path, texts: Mapping[str, str], overwrite: bool = False) -> None:
        """Gives a new run its folder, with the texts that describe it.

        Raises:
            RunError: something is there already and ``overwrite`` is off, it is in use, or it cannot be written.
            InputError: the optimizer is not the one that the settings name, or keeps other tensors.
        """
        assert self.training is not None
        optimizers.check(self.training.optimizer, self.training.settings)
        model, rest = state.saved(self.training)
        self.folder = RunFolder.create(folder, texts, {"model": model, "state": rest}, self.facts, overwrite)
        self.training.record = Record(self.folder.path / RECORD)

    def go_on(self, found: Checkpoint, more: Mapping[str, float | None]) -> None:
        """Takes the training to where it was saved, with its record.

        Args:
            found: the checkpoint that the weights came from.
            more: what `Training.more` takes; the settings and the facts then say so.

        Raises:
            RunError: the state is not one of this run, or the run has ended and only a learning rate is given.
            InputError: a number is out of range, or more than one end is given.
        """
        assert self.training is not None and self.folder is not None
        state.check(self.training, found.parts["state"].entries)
        state.restore(self.training, found.tensors("state"))
        changed = self.training.more(**more)  # type: ignore[arg-type]
        self.settings = replace(self.settings, **changed)  # type: ignore[arg-type]
        self.facts = replace(self.facts, settings={**self.facts.settings, **changed})
        record = self.training.record = Record.read(self.folder.path / RECORD, self.facts.record)
        record.rewind(self.training.progress.step)
        if record.note:
            warnings.warn(record.note, RunWarning, stacklevel=4)

    def save(self) -> None:
        """Writes a checkpoint, if the run has a folder.

        Raises:
            RunError: it cannot be written, or the weights are no longer finite; the old one then stands.
        """
        if self.folder is None or self.training is None:
            return
        model, rest = state.saved(self.training)
        step = self.training.progress.step
        for name, value in model.items():
            if not value.isfinite().all():
                raise RunError(f"{name} is no longer finite at step {step}; the last saved state is sound. {ADVICE}")
        mark = self.training.record.mark()
        self.facts = replace(self.facts, step=step, torch=torch.__version__, record=mark)
        self.folder.save(model, rest, self.facts)

    def conclude(self, texts: Mapping[str, str]) -> None:
        """Keeps what was made of the model since it was trained: its weights as they are now, for use, and texts in place of
        those of the same names. Training would go on from the weights that it ended with.

        Raises:
            RunError: the folder is in use, was written meanwhile, or cannot be written.
        """
        assert self.folder is not None
        self.folder.claim()
        try:
            found = self.folder.read(("model", "state"))
            trained, rest, now = found.tensors("model"), found.tensors("state"), copied(weights(self.model))
            if any(not torch.equal(value.cpu(), trained[name]) for name, value in now.items()):
                rest = {**{f"{kind}.{name}": value for kind in ("best", "last") for name, value in trained.items()}, **rest}
            self.folder.rewrite({**found.texts, **texts}, {"model": now, "state": rest}, found.manifest.facts)
        finally:
            self.close()

    def close(self) -> None:
        """Lets go of the folder, so that another run may write there."""
        if self.folder is not None:
            self.folder.release()


@dataclass(kw_only=True)
class Run(BaseRun):
    """A language model with its tokenizer, its cell and its settings; ``train`` and ``held`` are the tokens to learn from and
    those held out, while it is trained."""

    model: LanguageModel
    settings: Settings
    tokenizer: Tokenizer
    cell: Cell
    train: Tensor | None = None
    held: Tensor | None = None
