"""`SequenceClassifier`: a class for each sequence, as an estimator of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from rondeau.data import Labels, Sequences
from rondeau.data.guessing import GoalName
from rondeau.errors import InputError
from rondeau.estimators.many_to_one import ManyToOneEstimator
from rondeau.models.losses import Loss, classification


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceClassifier(ClassifierMixin, ManyToOneEstimator):
    """Says of what class a sequence is.

    Sequences are arrays (steps, features) of any lengths, texts, or lists of tokens; see `fit`. A table (sequences, steps) is
    read as sequences of one feature.

    Args:
        cell: the recurrent cell, or a name of the zoo.
        hidden: units of each layer, in each direction; "auto", here and below: see `rondeau.estimators.rules`.
        layers: recurrent layers above one another.
        bidirectional: whether each runs both forward and backward.
        dropout: the rate on features, between layers and before the head, while training.
        embedding: features of a token, for texts and tokens.
        tokens: what texts are read as: "characters" or "words"; "auto": words, where texts have some.
        pooling: how the outputs of all steps become one vector: "last", "mean", "max", "attention", or several with spaces.
        members: networks that are trained side by side and averaged.
        ngrams: for texts and tokens, the longest runs of tokens that a linear model beside the members sees; 0: none.
        loss: "cross_entropy", or "log_loss" for two classes; "auto" takes the one that fits.
        class_weight: how much each class counts, by class; "balanced": classes count alike, however many sequences they have.
        frame: steps of a series that are read at once, side by side; "auto": so many that some 64 are left of a long one.
        epochs: passes over the data; "auto" has few sequences passed over more often.
        batch_size: sequences in a batch at most; "auto" grows with their number.
        learning_rate, optimizer, schedule, weight_decay, clip_norm: as in `rondeau.train.TrainingSettings`.
        validation_fraction: the part held back to see when to stop, the same part of every class; None: none is, and training
            goes to its end. "auto": a tenth, where there are enough to spare.
        patience: evaluations, one an epoch, without progress after which training stops; the best weights are kept.
        random_state: a whole number for the same numbers each time.
        warm_start: whether another `fit` goes on with the weights that there are.
        verbose: whether to print how far training is.
        device: "cpu", "cuda" or "mps".
        backend: as for `rondeau.scan`.
        threads: processor threads while training; as PyTorch has them if not given.

    Attributes:
        classes_: the classes, sorted.
        network_: what was learned, a `torch.nn.Module`.
        history_: the rows of the training's record.
        settings_: of the training.
        n_features_in_: features of each step; of a table, its columns.
        n_iter_: updates of the weights.

    Example:
        >>> import numpy as np
        >>> up, down = [np.arange(n) / n for n in range(5, 15)], [np.arange(n)[::-1] / n for n in range(5, 15)]
        >>> model = SequenceClassifier(epochs=20, random_state=0).fit(up + down, ["up"] * 10 + ["down"] * 10)
        >>> model.predict([np.array([0.1, 0.4, 0.8]), np.array([0.9, 0.2])])
        array(['up', 'down'], dtype='<U4')
    """

    loss: str = "auto"
    class_weight: Mapping[Any, float] | str | None = None

    kind: ClassVar[str] = "sequence classifier"
    _goal: ClassVar[GoalName] = "label"
    _fitted: ClassVar[tuple[str, ...]] = (*ManyToOneEstimator._fitted, "classes_")

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each sequence (sequences,)."""
        found = self.predict_proba(X).argmax(1)
        return self.classes_[found]

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class (sequences, classes), in the order of ``classes_``."""
        outputs = self._outputs(X)  # first of all, as it says when nothing was fitted
        return self._criterion.say(outputs.double()).mean(0).numpy()

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The natural logarithm of `predict_proba`."""
        return np.log(np.maximum(self.predict_proba(X), np.finfo(np.float64).tiny))

    @property
    def _criterion(self) -> Loss:
        return classification(self.loss, len(self.classes_))

    def _targets(self, data: Sequences, going_on: bool) -> Tensor:
        assert isinstance(data.goal, Labels)
        if going_on and not np.array_equal(data.goal.classes, self.classes_):
            raise InputError(
                f"the classes are {', '.join(map(str, data.goal.classes[:9]))}, and warm_start goes on with "
                f"{', '.join(map(str, self.classes_[:9]))}; give the same, or set warm_start=False"
            )
        self.classes_: np.ndarray = data.goal.classes
        return torch.from_numpy(data.goal.codes.astype(np.int64))

    def _importance(self, data: Sequences) -> np.ndarray:
        assert isinstance(data.goal, Labels)
        own, labels = super()._importance(data), data.goal
        if self.class_weight is None:
            return own
        names = labels.classes[labels.codes]
        return own * compute_class_weight(self.class_weight, classes=labels.classes, y=names)[labels.codes]

    def _codes(self, data: Sequences) -> np.ndarray | None:
        assert isinstance(data.goal, Labels)
        return data.goal.codes
