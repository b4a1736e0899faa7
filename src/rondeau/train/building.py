"""Building what a run is made of: the model, its task and its optimizer, once they are known to fit this machine."""

from __future__ import annotations

import torch
from torch import Tensor

from rondeau.data import Tokenizer
from rondeau.data.memory import memory
from rondeau.engine.backends.registry import choice
from rondeau.errors import InputError, RunError
from rondeau.ir import Cell
from rondeau.models import LanguageModel, parameter_count
from rondeau.train.devices import device
from rondeau.train.language_modelling import LanguageModelling
from rondeau.train.loop import Training
from rondeau.train.optimizers import optimizer
from rondeau.train.settings import LanguageModelSettings, Settings
from rondeau.train.tensors import TensorFile

IN_TRAINING = 4  # elements for each parameter: itself, its gradient, and two averages of the optimizer


def language_model(settings: LanguageModelSettings, cell: Cell, words: Tokenizer) -> LanguageModel:
    """A new model, on the processor."""
    return LanguageModel(
        words.size,
        cell,
        hidden=settings.hidden,
        layers=settings.layers,
        embedding=settings.embedding,
        dropout=settings.dropout,
        tied=settings.tied,
        backend=choice(settings.backend),
        sizes=settings.sizes,
    )


def training(model: LanguageModel, words: Tokenizer, train: Tensor, held: Tensor, settings: Settings) -> Training:
    """The training of a model, which goes to its device first."""
    where = device(settings.device)
    model.to(where)
    task = LanguageModelling(train.to(where), held.to(where), settings.batch, settings.window, words)
    return Training(model, task, optimizer(model, settings), settings=settings.training)


def check_memory(settings: LanguageModelSettings, cell: Cell, words: Tokenizer) -> None:
    """Refuses a model that cannot be learned here, before the system ends the process for it.

    Raises:
        InputError: it takes more memory than there is.
    """
    s = settings
    numel = parameter_count(
        words.size, cell, hidden=s.hidden, layers=s.layers, embedding=s.embedding, tied=s.tied, sizes=s.sizes
    )
    needed, there = 4 * IN_TRAINING * numel, memory()
    if there is not None and needed > there:
        raise InputError(
            f"{s.layers} x {s.hidden} units of {cell.name} are {numel:,} parameters and take {needed / 1e9:,.0f} GB to learn; "
            f"this machine has {there / 1e9:,.0f} GB; choose smaller sizes"
        )


def try_out(model: LanguageModel, tokens: Tensor) -> None:
    """Runs two steps, so that a backend that cannot do it says so before there is a folder."""
    with torch.no_grad():
        model.eval()(tokens[None, :2])  # where the training runs
    model.train()


def check_file(file: TensorFile, settings: LanguageModelSettings, cell: Cell, words: Tokenizer) -> None:
    """Compares the sizes of a model with the file of its weights, before it is built.

    Raises:
        RunError: they differ.
    """
    s = settings
    given = {"hidden": s.hidden, "layers": s.layers, "embedding": s.embedding}
    numel = parameter_count(words.size, cell, **given, tied=s.tied, sizes=s.sizes)
    if settings.layers > len(file.entries) or file.numel != numel:
        raise RunError(f"{file.path} holds {file.numel:,} elements, its configuration says {numel:,}; restore it from a copy")
