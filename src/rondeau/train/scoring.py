"""A language model as a scorer, which can be fitted like an n-gram model."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from rondeau.models import LanguageModel
from rondeau.train.language_modelling import LanguageModelling
from rondeau.train.loop import Training
from rondeau.train.optimizers import optimizer
from rondeau.train.settings import TrainingSettings


class NetworkScorer:
    """A language model with the settings to train it by; a `rondeau.models.Scorer`.

    Args:
        model: what learns and scores.
        settings: how it learns.
        batch: streams that are read side by side.
        window: steps that the gradient goes back through time.

    Example:
        >>> import torch
        >>> scorer = NetworkScorer(LanguageModel(3, hidden=4), TrainingSettings(steps=5), batch=2, window=8)
        >>> scorer.fit(torch.arange(60) % 3).log_probability(torch.tensor([0, 1, 2])).shape
        (3,)
    """

    def __init__(self, model: LanguageModel, settings: TrainingSettings, batch: int = 16, window: int = 80) -> None:
        self.model, self.settings, self.batch, self.window = model, settings, batch, window

    @property
    def size(self) -> int:
        """The number of different tokens."""
        return self.model.size

    def fit(self, tokens: Tensor) -> NetworkScorer:
        """Trains the model on ``tokens`` (tokens,), from the weights that it has; the scorer itself.

        Raises:
            DataError: the text is too short for batch and window.
            RunError: the loss is no longer a number.
        """
        task = LanguageModelling(tokens, None, self.batch, self.window)
        Training(self.model, task, optimizer(self.model, self.settings), settings=self.settings).run()
        return self

    def log_probability(self, tokens: Tensor) -> np.ndarray:
        """See `LanguageModel.log_probability`."""
        return self.model.log_probability(tokens)
