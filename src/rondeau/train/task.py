"""What the loop asks of a task: its batches, the loss of one, how good a model is, and what an example looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module, contravariant=True)
Batch = TypeVar("Batch")
Given = TypeVar("Given", covariant=True)


class Batches(Protocol[Given]):
    """Batches, epoch after epoch, with a cursor that can be saved. `Streams` and `RaggedBatches` are such."""

    @property
    def epoch(self) -> int:
        """Whole epochs behind."""

    @property
    def count(self) -> int:
        """The number of batches in this epoch."""

    @property
    def passed(self) -> float:
        """Epochs behind, with the part of this one."""

    def steps(self, epochs: float) -> int:
        """The number of batches in so many epochs from the beginning."""

    def next(self) -> Given:
        """The next batch; after the last one of an epoch, the first of the next."""

    def state_dict(self) -> dict[str, int]:
        """Where the batches stand, always under the same names."""

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes where `state_dict` stood.

        Raises:
            InputError: there is no such place.
        """


@dataclass(frozen=True)
class Metric:
    """A figure of a model on held-out data: its name in the record, which direction is better, and how a person reads it,
    such as "held-out {:.4f} nats"; the name and four digits if not given."""

    name: str
    higher_is_better: bool = False
    wording: str = ""

    @property
    def worst(self) -> float:
        """What every value is better than."""
        return -torch.inf if self.higher_is_better else torch.inf

    def say(self, value: float) -> str:
        """The figure with a value, for a person to read."""
        return (self.wording or f"{self.name.replace('_', ' ')} {{:.4g}}").format(value)

    def better(self, value: float, other: float) -> bool:
        """Whether ``value`` is better than ``other``."""
        return value > other if self.higher_is_better else value < other


class Task(Protocol[Model, Batch]):
    """Something to learn, as the loop sees it. One that carries state from batch to batch is a `CarryingTask`.

    Example:
        >>> from rondeau.data import RaggedBatches
        >>> from rondeau.nn import Recurrent
        >>> from rondeau.train import Training, TrainingSettings, optimizer
        >>> class Sums:
        ...     unit, in_nats, carries_state = "sequences", False, False
        ...     metrics = (Metric("error"),)
        ...     def __init__(self, sequences):
        ...         self.batches, self.sequences = RaggedBatches(sequences, 8), sequences
        ...     def loss(self, model, batch, state):
        ...         _, (last,) = model(batch.inputs, lengths=batch.lengths)
        ...         errors = (last.sum(1) - batch.inputs.sum((1, 2))) ** 2
        ...         return errors.sum(), len(errors), None
        ...     def evaluate(self, model):
        ...         with torch.no_grad():
        ...             return {"error": sum(float((model(s[None])[1][0].sum() - s.sum()) ** 2) for s in self.sequences)}
        ...     def example(self, model):
        ...         return str(model(self.sequences[0][None])[1][0].sum().item())
        >>> _ = torch.manual_seed(0)
        >>> model, settings = Recurrent("gru", 1, 4), TrainingSettings(steps=40, learning_rate=0.05)
        >>> task = Sums([torch.rand(n, 1) / n for n in range(1, 20)])
        >>> training = Training(model, task, optimizer(model, settings), settings=settings)
        >>> training.run()
        >>> errors = training.record.column("error")
        >>> errors[-1] < errors[0] / 2
        True
    """

    @property
    def batches(self) -> Batches[Batch]:
        """What is learned from."""

    @property
    def unit(self) -> str:
        """What the count of a loss counts, in the plural, such as tokens or sequences."""

    @property
    def in_nats(self) -> bool:
        """Whether the loss is a cross entropy in nats, so that bits may be said as well."""

    @property
    def carries_state(self) -> bool:
        """Whether a batch starts with the state that the one before it ended with; it is then a `CarryingTask`."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The figures that `evaluate` finds; the first decides which weights are the best. None: nothing is held out."""

    def loss(self, model: Model, batch: Batch, state: Any) -> tuple[Tensor, float, Any]:
        """The sum of the losses of a batch, how many (or how much weight) it is a sum of, and the state after it.

        Args:
            model: what learns.
            batch: one of ``batches``.
            state: that after the batch before; None at the beginning, and always where no state is carried.
        """

    def evaluate(self, model: Model) -> dict[str, float]:
        """Every metric on held-out data, by name; the model is left in the mode in which it was."""

    def example(self, model: Model) -> str:
        """What the model makes of an example, for a person to read; draws no random numbers that training would draw."""


class CarryingTask(Task[Model, Batch], Protocol[Model, Batch]):
    """A task whose batches carry on the state of those before them, which a checkpoint keeps. `LanguageModelling` is one."""

    def initial_state(self, model: Model) -> Any:
        """A state as `loss` returns it: a tensor or nested tuples of them."""
