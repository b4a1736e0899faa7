"""`SequenceTagger`: a tag or numbers at every step of a sequence, as an estimator of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rondeau.data import Sequences, StepLabels, StepTargets
from rondeau.errors import InputError
from rondeau.estimators.form import given
from rondeau.estimators.many_to_many import ManyToManyEstimator
from rondeau.models import ManyToMany, chosen_steps
from rondeau.train.tagging import outputs_of


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceTagger(ManyToManyEstimator):
    """Says a tag of every step of a sequence, or with ``goal="target"`` numbers.

    Sequences are lists of words, arrays (steps, features) or texts, whose steps are characters; see `fit`. ``y`` has a list of
    tags, or of numbers, for each, one for every step. Words are read by themselves and by how they are written, so that one
    that was never seen has features too. Its other parameters are those of `SequenceClassifier`.

    Args:
        goal: "label" for tags, "target" for numbers.
        steps: the first and the last step of a sequence that count in the loss and the score; negative: counted from its end.
        crf: whether a linear chain over the tags decides for all steps together; "auto": where the tags are BIO tags.
        constrained: whether paths that BIO does not allow have no probability in training either; none is ever predicted.
        spelling: whether how words are written is read; "auto": where tokens are longer than a character.
        unknown: the rate at which a word is taken for an unknown one while training, its spelling left.
        loss: of numbers, "squared" or "absolute".
        class_weight: how much a step counts by its tag, or "balanced"; not with a chain.
        epochs: passes over the data; "auto": the more, the fewer steps there are.

    Attributes:
        classes_: the tags, sorted.
        network_: what was learned, a `rondeau.models.ManyToMany`.
        history_: the rows of the training's record.
        settings_: of the training.

    Example:
        >>> texts = [["the", "cat", "sleeps"], ["a", "dog", "barks"], ["the", "dog", "sleeps"], ["a", "cat", "barks"]]
        >>> model = SequenceTagger(hidden=16, epochs=30, random_state=0).fit(texts, [["D", "N", "V"]] * 4)
        >>> model.predict([["the", "dog", "barks"]])
        [['D', 'N', 'V']]
    """

    kind: ClassVar[str] = "sequence tagger"

    def predict(self, X: Any) -> list[Any]:
        """For each sequence the tags of its steps, a list; with ``goal="target"`` an array (steps,), or (steps, targets) if
        ``y`` was such."""
        data = self._read(X)
        if self._goal == "label":
            return [self.classes_[codes].tolist() for codes in self._said(data, self._model.decode)]
        said = self._said(data, lambda outputs, lengths: outputs.double())
        numbers = [each * self.target_deviation_ + self.target_mean_ for each in said]
        return numbers if self.many_targets_ else [each[:, 0] for each in numbers]

    def predict_proba(self, X: Any) -> list[np.ndarray]:
        """For each sequence the probability of each tag at each step, (steps, classes), in the order of ``classes_``.

        Raises:
            InputError: it says numbers.
        """
        data = self._read(X)
        if self._goal != "label":
            raise InputError("numbers have no probabilities; fit with goal='label'")
        return self._said(data, self._model.probabilities)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The share of tags that are right, over all chosen steps of all sequences; of numbers R squared.

        For the F1 of entities see `rondeau.data.entity_scores`.
        """
        found = self.predict(X)
        classes = self.classes_ if self._goal == "label" else None
        data = given(X, y, goal=self._goal, per_step=True, sample_weight=sample_weight, classes=classes)
        own = np.ones(len(data)) if data.weights is None else data.weights
        weights = np.concatenate([weight * _chosen(len(item), self.steps) for weight, item in zip(own, data.items)])
        if isinstance(data.goal, StepLabels):
            codes = np.concatenate(data.goal.codes)
            right = data.goal.classes[codes] == np.concatenate(found)
            return float(np.average(right, weights=weights * (codes >= 0)))
        assert isinstance(data.goal, StepTargets)
        said = np.concatenate([each.reshape(len(each), -1) for each in found])
        return _r_squared(np.concatenate(data.goal.values), said, weights)

    def _said(self, data: Sequences, say: Callable[[Tensor, Tensor], Tensor]) -> list[np.ndarray]:
        """What ``say`` makes of the outputs and lengths of each sequence, (steps, ...)."""
        found: list[Any] = [None] * len(data)
        for places, outputs, lengths in outputs_of(self._model, data.items, self.device, self._tensor):
            for place, each, length in zip(places.tolist(), say(outputs, lengths).cpu().numpy(), lengths.tolist()):
                found[place] = each[:length]
        return found

    @property
    def _model(self) -> ManyToMany:
        assert isinstance(self.network_, ManyToMany)
        return self.network_


def _chosen(length: int, steps: tuple[int, int]) -> np.ndarray:
    return chosen_steps(torch.tensor([length]), length, *steps)[0].numpy()


def _r_squared(true: np.ndarray, said: np.ndarray, weights: np.ndarray) -> float:
    """R squared over the known steps, a mean over targets."""
    known = ~np.isnan(true).any(1)
    true, said, weights = true[known], said[known], weights[known][:, None]
    left = (weights * (true - said) ** 2).sum(0)
    spread = (weights * (true - np.average(true, axis=0, weights=weights[:, 0])) ** 2).sum(0)
    return float(np.mean(1 - left / np.where(spread > 0, spread, 1.0)))
