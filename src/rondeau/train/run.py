"""Runs from settings: building, starting, saving, resuming and loading one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rondeau.cells import get
from rondeau.data import Text, Tokenizer, hold_out, load_text, tokenizer
from rondeau.errors import RunError
from rondeau.ir import Cell
from rondeau.models import LanguageModel
from rondeau.train.folder import RunFolder
from rondeau.train.loop import Training
from rondeau.train.record import Record, Row
from rondeau.train.settings import Settings


@dataclass
class Run:
    """A model with its tokenizer and settings, and where it lives."""

    model: LanguageModel
    tokenizer: Tokenizer
    settings: Settings
    cell: Cell
    training: Training | None = None
    folder: RunFolder | None = None
    train: Tensor | None = None
    held: Tensor | None = None

    def fit(self, each: Callable[[Row], None] | None = None) -> Run:
        """Trains to the end, saving as it goes; the run itself."""
        assert self.training is not None
        if self.folder is not None and self.training.progress.step == 0:
            self.save()
        self.training.run(each, self.save)
        return self

    def save(self) -> None:
        """Writes a checkpoint, if the run has a folder.

        Raises:
            RunError: it cannot be written; the old one then stands.
        """
        if self.folder is not None and self.training is not None:
            facts = {"step": self.training.progress.step, "torch": torch.__version__}
            self.folder.save(self.model.state_dict(), self.training.tensors(), facts)


def start(
    settings: Settings,
    text: Text | None = None,
    *,
    cell: Cell | None = None,
    folder: str | Path | None = None,
    overwrite: bool = False,
) -> Run:
    """A new run, ready to `Run.fit`.

    Args:
        settings: all that decides the run.
        text: the corpus; read from ``settings.corpus`` if not given.
        cell: a cell of one's own; that of ``settings.cell`` if not given.
        folder: where to keep it; nowhere if not given.
        overwrite: whether a run that is there may be replaced.

    Raises:
        InputError, DataError, RunError: settings, text or folder are not sound.

    Example:
        >>> from rondeau.data import Text
        >>> tiny = Settings(hidden=8, embedding=4, batch=2, window=5, steps=3)
        >>> run = start(tiny, Text.of("to be or not to be " * 20)).fit()
        >>> run.training.progress.step
        3
    """
    settings = settings.checked()
    chosen = cell or get(settings.cell)
    corpus = text or load_text(settings.corpus, settings.encoding)
    words = tokenizer(settings.tokenizer, corpus.text, settings.vocabulary)
    train, held = hold_out(words.encode(corpus.text), settings.held_out)
    _threads(settings)
    torch.manual_seed(settings.seed % 2**64)
    model = _model(settings, chosen, words)
    training = Training(model, train, held, settings)
    run = Run(model, words, settings, chosen, training, None, train, held)
    if folder is not None:
        texts = {"config.toml": settings.to_toml(), "cell.json": chosen.to_json(), "tokenizer.json": words.to_json()}
        run.folder = RunFolder.create(folder, texts, overwrite)
        training.record = Record(run.folder.path / "metrics.jsonl")
    return run


def resume(folder: str | Path, text: Text | None = None) -> Run:
    """The run in ``folder``, where it was last saved, ready to `Run.fit`.

    With ``steps`` or ``epochs`` it ends with the very weights of a run that was never interrupted. With ``minutes`` the
    learning rate follows the clock, whose recorded time goes on, so it ends alike but not bit for bit.

    Raises:
        RunError: the folder is not sound, or the corpus is another one.
    """
    run = load(folder)
    assert run.folder is not None
    run.folder.settle()
    corpus = text or load_text(run.settings.corpus, run.settings.encoding)
    run.train, run.held = hold_out(run.tokenizer.encode(corpus.text), run.settings.held_out)
    _threads(run.settings)
    record = Record.read(run.folder.path / "metrics.jsonl")
    run.training = Training(run.model, run.train, run.held, run.settings, record)
    run.training.restore(run.folder.load("state"))
    record.rewind(run.training.progress.step)
    return run


def load(folder: str | Path) -> Run:
    """The model in ``folder``, to sample from and to evaluate.

    Raises:
        RunError: the folder is not sound.
    """
    place = RunFolder.open(folder)
    settings = Settings.of(Settings.toml(place.text("config.toml"), str(place.path / "config.toml")))
    chosen, words = Cell.from_json(place.text("cell.json")), Tokenizer.from_json(place.text("tokenizer.json"))
    model = _model(settings, chosen, words)
    try:
        model.load_state_dict(place.load("model"))
    except RuntimeError as error:
        raise RunError(f"the weights in {place.path} do not fit its configuration; restore it from a copy") from error
    return Run(model, words, settings, chosen, folder=place)


def _model(settings: Settings, cell: Cell, words: Tokenizer) -> LanguageModel:
    return LanguageModel(
        words.size,
        cell,
        hidden=settings.hidden,
        layers=settings.layers,
        embedding=settings.embedding,
        dropout=settings.dropout,
        tied=settings.tied,
        clip=settings.clip_step,
        backend=settings.backend,
        sizes=settings.sizes,
    )


def _threads(settings: Settings) -> None:
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
