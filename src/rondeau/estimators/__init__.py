"""Estimators by scikit-learn's conventions: sequences and labels or series in, predictions out."""

from rondeau.estimators.backtest import Backtest
from rondeau.estimators.classifier import SequenceClassifier
from rondeau.estimators.forecaster import Forecaster
from rondeau.estimators.loading import load
from rondeau.estimators.regressor import SequenceRegressor
from rondeau.estimators.sequence_to_sequence import SequenceToSequence
from rondeau.estimators.tagger import SequenceTagger

__all__ = [
    "Backtest",
    "Forecaster",
    "SequenceClassifier",
    "SequenceRegressor",
    "SequenceTagger",
    "SequenceToSequence",
    "load",
]
