"""What learns tags or numbers at every step: the parameters, the task and the network of `SequenceTagger`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn

from rondeau.data import Sequences, Split, StepLabels, StepTargets, bio_follows, is_bio, spelling
from rondeau.data.guessing import GoalName
from rondeau.engine.backends.registry import choice
from rondeau.errors import InputError
from rondeau.estimators.base import SequenceEstimator
from rondeau.models import CRF, ManyToMany, Reader, Words
from rondeau.models.losses import Loss, cross_entropy, regression
from rondeau.train import Training, TrainingSettings
from rondeau.train.tagging import Tagged, Tagging

LEARNED = 1_200_000  # steps that are read, over all epochs, of a small data set
FEWEST_EPOCHS, MOST_EPOCHS = 4, 100


@dataclass(kw_only=True, eq=False, repr=False)
class ManyToManyEstimator(SequenceEstimator):
    """The parameters of an estimator that says something of every step; see `SequenceTagger`."""

    hidden: int = 128
    dropout: float = 0.4
    goal: str = "label"
    steps: tuple[int, int] = (0, -1)
    crf: bool | str = "auto"
    constrained: bool = False
    spelling: bool | str = "auto"
    unknown: float = 0.1
    loss: str = "squared"
    class_weight: Mapping[Any, float] | str | None = None

    _per_step: ClassVar[bool] = True
    _fitted: ClassVar[tuple[str, ...]] = (
        *SequenceEstimator._fitted, "classes_", "target_mean_", "target_deviation_", "many_targets_", "n_steps_",
    )  # fmt: skip

    @property
    def _goal(self) -> GoalName:  # type: ignore[override]
        if self.goal not in ("label", "target"):
            raise InputError(f"goal is label or target, not {self.goal!r}")
        return "label" if self.goal == "label" else "target"

    def _tensor(self, item: Any) -> Tensor:
        """A sequence as the network reads it."""
        numbers = self.form_.tensor(item)
        if not self._spelled:
            return numbers
        return torch.cat([numbers[:, None], torch.tensor([spelling(word) for word in item])], 1)

    @property
    def _spelled(self) -> bool:
        """Whether how words are written is read."""
        words = self.form_.vocabulary
        if words is None or words.unit != "tokens":
            return False
        return any(len(word) > 1 for word in words.tokens) if self.spelling == "auto" else bool(self.spelling)

    @property
    def _chained(self) -> bool:
        """Whether there is a linear chain over the tags."""
        if self._goal != "label":
            return False
        return is_bio(self.classes_) if self.crf == "auto" else bool(self.crf)

    @property
    def _criterion(self) -> Loss:
        if self._goal == "label":
            return cross_entropy(len(self.classes_))
        if self.loss not in ("squared", "absolute"):
            raise InputError(f"the loss of numbers at every step is squared or absolute, not {self.loss!r}")
        return regression(self.loss, len(self.target_mean_), ())

    def begin(self, X: Any, y: Any = None, sample_weight: Any = None, *, seed: int) -> Training:
        """See `SequenceEstimator.begin`."""
        _check_steps(self.steps)
        training = super().begin(X, y, sample_weight, seed=seed)
        if self._goal == "target":
            first = X.goal.values[0] if y is None else next(iter(y))
            self.many_targets_ = len(self.target_mean_) > 1 or np.asarray(first).ndim == 2
        return training

    def _unit(self, data: Sequences) -> str:
        if data.kind == "texts" and self.tokens not in ("auto", "characters"):
            raise InputError(f"every character of a text has a tag, and tokens is {self.tokens!r}; give lists of words instead")
        return "characters" if data.kind == "texts" else self.tokens

    def _task(self, data: Sequences, split: Split, seed: int, going_on: bool) -> Tagging:
        if isinstance(data.goal, StepLabels):
            targets = self._tags(data.goal, going_on)
        else:
            assert isinstance(data.goal, StepTargets)
            targets = self._numbers(data.goal, going_on)
        tensors = [self._tensor(item) for item in data.items]
        weights = torch.ones(len(data)) if data.weights is None else torch.from_numpy(data.weights).float()

        def part(places: np.ndarray) -> Tagged:
            return Tagged([tensors[i] for i in places], [targets[i] for i in places], weights[places])

        self.n_steps_ = int(data.lengths[split.train].sum())
        return Tagging(
            part(split.train),
            part(split.held_out) if len(split.held_out) else None,
            self._criterion,
            classes=self.classes_ if self._goal == "label" else None,
            batch=self._batch(len(split.train)),
            steps=self.steps,
            class_weight=_class_weights(self.class_weight, data.goal, self._chained),
            seed=seed,
            device=self.device,
        )

    def _tags(self, goal: StepLabels, going_on: bool) -> list[Tensor]:
        """The codes of the tags of each sequence."""
        if going_on and not np.array_equal(goal.classes, self.classes_):
            raise InputError("the tags are others than those that warm_start goes on with; give the same, or set it to False")
        self.classes_: np.ndarray = goal.classes
        return [torch.from_numpy(codes.astype(np.int64)) for codes in goal.codes]

    def _numbers(self, goal: StepTargets, going_on: bool) -> list[Tensor]:
        """The numbers of each sequence, less the mean of all, over their deviation."""
        if not going_on:
            values = np.concatenate(goal.values)
            self.target_mean_, deviation = np.nanmean(values, 0), np.nanstd(values, 0)
            self.target_deviation_ = np.where(deviation > 0, deviation, 1.0)
        scaled = ((values - self.target_mean_) / self.target_deviation_ for values in goal.values)
        return [torch.from_numpy(values).to(torch.get_default_dtype()) for values in scaled]

    def _settings(self, count: int, evaluates: bool, seed: int) -> TrainingSettings:
        settings = super()._settings(count, evaluates, seed)
        if self.epochs != "auto":
            return settings
        epochs = int(np.clip(-(-LEARNED // self.n_steps_), FEWEST_EPOCHS, MOST_EPOCHS))
        return replace(settings, epochs=epochs, evaluations=epochs).checked()

    def _reader(self) -> Reader:
        words = self.form_.vocabulary
        if words is None or not self._spelled:
            return super()._reader()
        return Words(words.size, self.embedding, unknown=self.unknown)

    def _network(self) -> nn.Module:
        chain = None
        if self._chained:
            follows = bio_follows(self.classes_) if is_bio(self.classes_) else None
            chain = CRF(len(self.classes_), follows, constrained=self.constrained, backend=choice(self.backend))
        return ManyToMany(self._encoder(), self._criterion.outputs, self.dropout, chain)


def _check_steps(steps: Any) -> None:
    if not isinstance(steps, (tuple, list)) or len(steps) != 2 or not all(isinstance(step, int) for step in steps):
        raise InputError(f"steps are the first and the last that count, as (0, -1) for all, not {steps!r}")


def _class_weights(weight: Mapping[Any, float] | str | None, goal: StepLabels | StepTargets, chained: bool) -> Tensor | None:
    """How much a step counts by its tag, (classes,)."""
    if weight is None or not isinstance(goal, StepLabels):
        return None
    if chained:
        raise InputError("class_weight is for tags of which each is decided by itself; set crf=False, or leave it out")
    codes = np.concatenate(goal.codes)
    names = goal.classes[codes[codes >= 0]]
    return torch.from_numpy(compute_class_weight(weight, classes=goal.classes, y=names)).float()
