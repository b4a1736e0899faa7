"""`load`: the estimator in a run folder, whichever it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rondeau.errors import RunError
from rondeau.estimators.classifier import SequenceClassifier
from rondeau.estimators.forecaster import Forecaster
from rondeau.estimators.learner import Learner
from rondeau.estimators.regressor import SequenceRegressor
from rondeau.estimators.sequence_to_sequence import SequenceToSequence
from rondeau.estimators.tagger import SequenceTagger
from rondeau.train import open_run

ALL: tuple[type[Learner], ...] = (SequenceClassifier, SequenceRegressor, SequenceToSequence, SequenceTagger, Forecaster)
"""The estimators that a run folder may hold."""


def load(folder: str | Path) -> Any:
    """The estimator in a run folder, ready to predict.

    Raises:
        RunError: the folder is not sound, or holds no estimator.
    """
    name = open_run(folder).kind.name
    found = next((each for each in ALL if each.kind == name), None)
    if found is None:
        kinds = ", ".join(each.kind for each in ALL)
        raise RunError(f"{folder} holds a {name!r}, which is no estimator; those are {kinds}")
    return found.load(folder)
