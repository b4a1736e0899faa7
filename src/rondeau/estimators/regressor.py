"""`SequenceRegressor`: numbers for each sequence, as an estimator of scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import RegressorMixin
from torch import Tensor

from rondeau.data import Sequences, Targets
from rondeau.data.guessing import GoalName
from rondeau.errors import InputError
from rondeau.estimators.many_to_one import ManyToOneEstimator
from rondeau.models.losses import Loss, regression


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceRegressor(RegressorMixin, ManyToOneEstimator):
    """Says a number of a sequence, or several.

    Its sequences and its parameters are those of `SequenceClassifier`, but for these.

    Args:
        loss: "squared", "absolute" or "quantile".
        quantiles: for "quantile", in ascending order; `predict` gives the one nearest to the median, `predict_quantiles` all.

    Example:
        >>> import numpy as np
        >>> sequences = [np.full(n, n / 10) for n in range(2, 22)]
        >>> model = SequenceRegressor(epochs=30, random_state=0).fit(sequences, [len(each) for each in sequences])
        >>> bool(abs(model.predict([np.full(9, 0.9)])[0] - 9) < 2)
        True
    """

    loss: str = "squared"
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)

    kind: ClassVar[str] = "sequence regressor"
    _goal: ClassVar[GoalName] = "target"
    _fitted: ClassVar[tuple[str, ...]] = (*ManyToOneEstimator._fitted, "target_mean_", "target_deviation_", "many_targets_")

    def predict(self, X: Any) -> np.ndarray:
        """What is expected of each sequence, (sequences,), or (sequences, targets) if ``y`` was such."""
        said = self._said(X)
        if self.loss == "quantile":
            said = said[..., int(np.abs(np.array(self.quantiles) - 0.5).argmin())]
        return said if self.many_targets_ else said[:, 0]

    def predict_quantiles(self, X: Any) -> np.ndarray:
        """Every quantile (sequences, quantiles), or (sequences, targets, quantiles) if ``y`` had several targets.

        Raises:
            InputError: the loss is not "quantile".
        """
        said = self._said(X)
        if self.loss != "quantile":
            raise InputError(f"loss is {self.loss!r}, which says no quantiles; fit with loss='quantile'")
        return said if self.many_targets_ else said[:, 0]

    def _said(self, X: Any) -> np.ndarray:
        outputs = self._outputs(X)  # first of all, as it says when nothing was fitted
        said = self._criterion.say(outputs.double()).mean(0).numpy()
        shape = (1, -1) + (1,) * (said.ndim - 2)
        return said * self.target_deviation_.reshape(shape) + self.target_mean_.reshape(shape)

    @property
    def _criterion(self) -> Loss:
        return regression(self.loss, len(self.target_mean_), self.quantiles)

    def _targets(self, data: Sequences, going_on: bool) -> Tensor:
        assert isinstance(data.goal, Targets)
        values = data.goal.values
        if not going_on:
            self.target_mean_, deviation = values.mean(0), values.std(0)
            self.target_deviation_ = np.where(deviation > 0, deviation, 1.0)
        elif len(self.target_mean_) != values.shape[1]:
            raise InputError(f"y has {values.shape[1]} targets, and warm_start goes on with {len(self.target_mean_)}")
        scaled = (values - self.target_mean_) / self.target_deviation_
        return torch.from_numpy(scaled).to(torch.get_default_dtype())

    def begin(self, X: Any, y: Any = None, sample_weight: Any = None, *, seed: int) -> Any:
        """See `SequenceEstimator.begin`."""
        training = super().begin(X, y, sample_weight, seed=seed)
        self.many_targets_ = len(self.target_mean_) > 1 or np.asarray(y).ndim == 2
        return training

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags
