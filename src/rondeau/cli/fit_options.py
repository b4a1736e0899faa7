"""The options of ``rondeau fit``: where in a file what stands, and those parameters of the estimators that matter.

What is not given is left to the estimator, or to what the file says of itself; so no default stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rondeau.train.declared import Group, setting
from rondeau.train.methods import OPTIMIZERS, SCHEDULES

FORMATS = ("csv", "tsv", "jsonl", "ts", "conll")
SHAPES = ("text", "long", "wide")


@dataclass(frozen=True, kw_only=True)
class TableOptions(Group):
    """How a file is read."""

    id: str | None = setting(None, "The column that says which sequence or series a row belongs to.")
    time: str | None = setting(None, "The column with the times of rows.")
    format: str | None = setting(None, "csv, tsv, jsonl, ts or conll, where the file's name does not tell.", choices=FORMATS)


@dataclass(frozen=True, kw_only=True)
class SequenceOptions(TableOptions):
    """Where the sequences stand."""

    text: str | None = setting(None, "The column with a text or a whole sequence in each row; of CoNLL columns its number.")
    features: str | None = setting(None, "The columns with the numbers of a step, commas between.")
    shape: str | None = setting(None, "text, long (a step in each row) or wide (steps in numbered columns).", choices=SHAPES)


@dataclass(frozen=True, kw_only=True)
class LabelOptions(SequenceOptions):
    """Where the sequences and their classes stand."""

    label: str | None = setting(None, "The column with the classes; of CoNLL columns its number.")


@dataclass(frozen=True, kw_only=True)
class TargetOptions(SequenceOptions):
    """Where the sequences and their numbers stand."""

    target: str | None = setting(None, "The column with the numbers to be said.")


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(Group):
    """What the network is made of."""

    cell: str | None = setting(None, "A name from `rondeau cells`, or one of your own as FILE.py:NAME; the file's code runs.")
    hidden: int | None = setting(None, "Hidden units of each layer.", least=1)
    layers: int | None = setting(None, "Recurrent layers.", least=1, most=10_000)
    dropout: float | None = setting(None, "The rate of dropout while training.", least=0, below=1)
    backend: str | None = setting(None, "auto, or a backend of rondeau.scan.")


@dataclass(frozen=True, kw_only=True)
class EncoderOptions(NetworkOptions):
    """What a network that reads whole sequences is made of."""

    bidirectional: bool | None = setting(None, "Whether layers run both forward and backward.")
    embedding: int | None = setting(None, "Features of a token's embedding.", least=1)


@dataclass(frozen=True, kw_only=True)
class PoolingOptions(EncoderOptions):
    """What a network that says one thing of a sequence is made of."""

    tokens: str | None = setting(None, "What texts are read as.", choices=("auto", "characters", "words"))
    pooling: str | None = setting(None, "How steps become one vector: last, mean, max, attention, or several with spaces.")
    members: int | None = setting(None, "Networks that are trained side by side and averaged.", least=1)


@dataclass(frozen=True, kw_only=True)
class ClassWeightOptions(Group):
    """How much classes count."""

    class_weight: str | None = setting(
        None, "balanced: classes count alike, however many sequences they have.", choices=("balanced",)
    )


@dataclass(frozen=True, kw_only=True)
class LearningOptions(Group):
    """How to learn."""

    epochs: int | None = setting(None, "Passes over the data at most.", least=1)
    batch_size: int | None = setting(None, "Sequences in a batch at most.", least=1)
    learning_rate: float | None = setting(None, "The highest learning rate.", above=0)
    optimizer: str | None = setting(None, "adamw, adam, sgd, rmsprop or adagrad.", choices=tuple(OPTIMIZERS))
    schedule: str | None = setting(None, "cosine, linear, plateau or constant.", choices=tuple(SCHEDULES))
    clip_norm: float | None = setting(None, "Bound on the norm of the whole gradient.", above=0)
    validation_fraction: float | None = setting(None, "The part to see by when to stop.", above=0, below=1)
    patience: int | None = setting(None, "Stop after so many evaluations without progress.", least=1)
    device: str | None = setting(None, "cpu, cuda or mps.", choices=("cpu", "cuda", "mps"))
    threads: int | None = setting(None, "Processor threads.", least=1)


@dataclass(frozen=True, kw_only=True)
class Classify(LabelOptions, PoolingOptions, ClassWeightOptions, LearningOptions):
    """All of ``rondeau fit classify``."""

    sections: ClassVar[Mapping[str, type[Group]]] = {
        "data": LabelOptions,
        "model": PoolingOptions,
        "classes": ClassWeightOptions,
        "training": LearningOptions,
    }


@dataclass(frozen=True, kw_only=True)
class Regress(TargetOptions, PoolingOptions, LearningOptions):
    """All of ``rondeau fit regress``."""

    sections: ClassVar[Mapping[str, type[Group]]] = {
        "data": TargetOptions,
        "model": PoolingOptions,
        "training": LearningOptions,
    }


@dataclass(frozen=True, kw_only=True)
class StepOptions(LabelOptions):
    """Where the sequences and what is true of their steps stand."""

    target: str | None = setting(None, "The column with a number of each step, to be said instead of a class.")


@dataclass(frozen=True, kw_only=True)
class Tag(StepOptions, EncoderOptions, LearningOptions):
    """All of ``rondeau fit tag``."""

    sections: ClassVar[Mapping[str, type[Group]]] = {
        "data": StepOptions,
        "model": EncoderOptions,
        "training": LearningOptions,
    }


@dataclass(frozen=True, kw_only=True)
class SeriesOptions(TableOptions):
    """Where the series stand, and what is known beside them."""

    target: str | None = setting(None, "The column that is to be forecast; several with commas between.")
    past: str | None = setting(None, "Columns of numbers that are known up to the present, commas between.")
    future: str | None = setting(None, "Columns of numbers that are known ahead, commas between.")
    static: str | None = setting(None, "Columns that stay the same all along a series, commas between.")
    shape: str | None = setting(None, "long, or wide (each column a series of its own).", choices=("long", "wide"))


@dataclass(frozen=True, kw_only=True)
class ForecastOptions(NetworkOptions):
    """What a network that forecasts is made of."""

    horizon: int | None = setting(None, "Steps ahead.", least=1)
    head: str | None = setting(None, "What is said of each number: quantiles, point, normal, student_t or negative_binomial.")


@dataclass(frozen=True, kw_only=True)
class Forecast(SeriesOptions, ForecastOptions, LearningOptions):
    """All of ``rondeau fit forecast``."""

    sections: ClassVar[Mapping[str, type[Group]]] = {
        "data": SeriesOptions,
        "model": ForecastOptions,
        "training": LearningOptions,
    }
