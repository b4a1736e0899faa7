"""What the classifier and the regressor share: members that pool over steps, learned as labels of whole sequences."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rondeau.data import Sequences, Split
from rondeau.errors import InputError
from rondeau.estimators.base import SequenceEstimator
from rondeau.models import Companioned, HashedNGrams, ManyToOne, Members
from rondeau.models.losses import Loss
from rondeau.train.labelling import Labelled, Labelling

LONG = 64  # steps that a recurrent layer learns well; of longer series it reads several at once


@dataclass(kw_only=True, eq=False, repr=False)
class ManyToOneEstimator(SequenceEstimator):
    """The parameters of an estimator that says one thing of a whole sequence.

    A subclass says with what loss, `_criterion`, and what its targets are, `_targets`.
    """

    hidden: int | str = "auto"
    dropout: float | str = "auto"
    pooling: str = "mean max"
    members: int = 3
    ngrams: int | str = "auto"
    frame: int | str = "auto"

    @property
    @abstractmethod
    def _criterion(self) -> Loss: ...

    @abstractmethod
    def _targets(self, data: Sequences, going_on: bool) -> Tensor:
        """What is to be said of each sequence, as its loss measures it."""

    def _importance(self, data: Sequences) -> np.ndarray:
        """How much each sequence counts (sequences,)."""
        return np.ones(len(data)) if data.weights is None else data.weights

    def _task(self, data: Sequences, split: Split, seed: int, going_on: bool) -> Labelling:
        targets = self._targets(data, going_on)
        tensors = [self.form_.tensor(item) for item in data.items]
        weights = torch.from_numpy(self._importance(data)).to(torch.get_default_dtype())

        def part(places: np.ndarray) -> Labelled:
            return Labelled([tensors[place] for place in places], targets[places], weights[places])

        held = part(split.held_out) if len(split.held_out) else None
        batch = self._batch(len(split.train))
        return Labelling(part(split.train), held, self._criterion, batch=batch, seed=seed, device=self.device)

    def _network(self) -> nn.Module:
        if not isinstance(self.members, int) or self.members < 1:
            raise InputError(f"members is a positive whole number, not {self.members!r}")
        outputs, dropout, longest = self._criterion.outputs, float(self._own("dropout")), int(self._own("ngrams"))
        members = Members(ManyToOne(self._encoder(), outputs, self.pooling, dropout) for _ in range(self.members))
        if not longest or self.form_.vocabulary is None:
            return members
        return Companioned(members, HashedNGrams(self.form_.vocabulary.size, outputs, longest, dropout=0.5))

    def _frame(self) -> int:
        if self.frame == "auto":
            return -(-self.form_.steps // LONG) if self.form_.vocabulary is None else 1
        if not isinstance(self.frame, int) or self.frame < 1:
            raise InputError(f"frame is auto or a positive whole number, not {self.frame!r}")
        return self.frame

    def _updates(self) -> int:
        return int(self._own("updates"))
