"""`Settings`: all that decides a training run, as one value. Each setting is declared here, once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

from rondeau.errors import InputError
from rondeau.train.declared import LARGEST, Group, setting, short
from rondeau.train.methods import OPTIMIZERS, SCHEDULES, described, options

THREADS = max(64, 4 * (os.cpu_count() or 1))
ENDS = ("minutes", "epochs", "steps")
Stacked = TypeVar("Stacked", bound="StackSettings")
Trained = TypeVar("Trained", bound="TrainingSettings")


@dataclass(frozen=True, kw_only=True)
class TextSettings(Group):
    """Which text to learn, and how it becomes tokens."""

    corpus: str = setting("shakespeare", "A file, a folder, a glob pattern, or a name: shakespeare, python.")
    encoding: str = setting("utf-8", "Of the text files.")
    tokenizer: str = setting("characters", "characters, bytes or words.")
    vocabulary: int | None = setting(None, "For words: the size of the vocabulary.", least=2)
    held_out: float = setting(0.05, "The last part of the text, kept for evaluation.", above=0, below=1)
    window: int = setting(80, "Steps that the gradient goes back through time.", least=1)
    batch: int = setting(16, "Streams of text read side by side.", least=1)


@dataclass(frozen=True, kw_only=True)
class StackSettings(Group):
    """Recurrent layers, as every model has them."""

    cell: str = setting("lstm", "A name from `rondeau cells`, or one of your own as FILE.py:NAME; the file's code runs.")
    hidden: int = setting(320, "Hidden units of each layer.", least=1)
    sizes: Mapping[str, int] = setting(
        {},
        "A size of the cell beside input and hidden, as NAME=NUMBER; may be given several times.",
        option="size",
        example="projection=64",
    )
    layers: int = setting(1, "Recurrent layers.", least=1, most=10_000)
    dropout: float = setting(0.0, "Rate after embedding, between layers, before softmax.", least=0, below=1)
    backend: str = setting("auto", "auto, or a backend of rondeau.scan.")

    def checked(self: Stacked) -> Stacked:
        """See `Group.checked`."""
        for name, size in self.sizes.items():
            if not 1 <= size <= LARGEST:
                raise InputError(f"sizes are positive whole numbers, not {name}={short(size)}")
        return super().checked()


@dataclass(frozen=True, kw_only=True)
class LanguageModelSettings(StackSettings):
    """What a `rondeau.models.LanguageModel` is made of."""

    embedding: int = setting(64, "Features of a token's embedding; 0: one-hot input.", least=0)
    tied: bool = setting(False, "Use the embedding's weights in the softmax.")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(Group):
    """How to learn, and how long. One of ``minutes``, ``epochs`` and ``steps`` says when to end.

    ``optimizer_options`` and ``schedule_options`` are numbers that the method has of its own, such as ``{"momentum": 0.9}``.
    """

    minutes: float | None = setting(None, "Train so long (3 if no end is given).", above=0)
    epochs: float | None = setting(None, "Train for so many passes over the data.", above=0)
    steps: int | None = setting(None, "Train for so many batches.", least=1)
    optimizer: str = setting("adamw", "adamw, adam, sgd, rmsprop or adagrad.", choices=tuple(OPTIMIZERS))
    optimizer_options: Mapping[str, float] = setting(
        {},
        f"A setting of the optimizer's own, as NAME=NUMBER; may be given several times. {described(OPTIMIZERS)}.",
        option="optimizer-option",
        example="momentum=0.9",
    )
    learning_rate: float = setting(0.004, "The highest learning rate.", above=0, most=1 << 120)
    schedule: str = setting("cosine", "How it falls: cosine, linear, plateau or constant.", choices=tuple(SCHEDULES))
    schedule_options: Mapping[str, float] = setting(
        {},
        f"A setting of the schedule's own, as NAME=NUMBER; may be given several times. {described(SCHEDULES)}.",
        option="schedule-option",
        example="factor=0.5",
    )
    warmup: float = setting(0.02, "The part of the run in which it rises.", least=0, most=1)
    weight_decay: float = setting(0.01, "Decay of the matrices.", least=0)
    clip_norm: float | None = setting(0.5, "Bound on the norm of the whole gradient.", above=0)
    clip_value: float | None = setting(None, "Bound on each element of the parameters' gradient.", above=0)
    clip_step: float | None = setting(None, "Bound on each element that flows back, at every step.", above=0)
    evaluations: int = setting(6, "Evaluations on held-out data, evenly over the run.", least=1, most=100_000)
    patience: int | None = setting(None, "Stop after so many evaluations without progress.", least=1)
    seed: int = setting(1, "Of all randomness.", least=0, most=1 << 1024)
    device: str | None = setting(
        None, "cpu, cuda or mps; that of the model if not given, which is cpu for a new one.", choices=("cpu", "cuda", "mps")
    )
    threads: int | None = setting(None, "Processor threads.", least=1, most=THREADS)
    save_every: float = setting(60.0, "The longest time between two checkpoints, in seconds.", above=0)

    def checked(self: Trained) -> Trained:
        """These settings, once each is in range; three minutes if no end is given.

        Raises:
            InputError: one is not.
        """
        super().checked()
        options(self.optimizer, OPTIMIZERS, self.optimizer_options)
        options(self.schedule, SCHEDULES, self.schedule_options)
        ends = [name for name in ENDS if getattr(self, name) is not None]
        if len(ends) > 1:
            raise InputError(f"give one of minutes, epochs and steps, not {' and '.join(ends)}")
        return self if ends else replace(self, minutes=3.0)


@dataclass(frozen=True, kw_only=True)
class Settings(TextSettings, LanguageModelSettings, TrainingSettings):
    """What language model to learn, from what, and how long: the three groups of settings, flat in Python and as the tables
    ``data``, ``model`` and ``training`` in TOML.

    ``corpus`` is what `load_text` takes; for a text given in Python its name in angle brackets.

    Example:
        >>> Settings(hidden=64, steps=30).training.steps
        30
        >>> Settings.of({"model": {"hidden": 64}, "training": {"steps": 30}}) == Settings(hidden=64, steps=30)
        True
    """

    sections: ClassVar[Mapping[str, type[Group]]] = {
        "data": TextSettings,
        "model": LanguageModelSettings,
        "training": TrainingSettings,
    }

    @property
    def data(self) -> TextSettings:
        """Which text, and how it becomes tokens."""
        return self.section("data")

    @property
    def model(self) -> LanguageModelSettings:
        """What the model is made of."""
        return self.section("model")

    @property
    def training(self) -> TrainingSettings:
        """How to learn, and how long."""
        return self.section("training")
