"""Estimators by scikit-learn's conventions: sequences and labels in, predictions out."""

from rondeau.estimators.classifier import SequenceClassifier
from rondeau.estimators.loading import load
from rondeau.estimators.regressor import SequenceRegressor
from rondeau.estimators.sequence_to_sequence import SequenceToSequence
from rondeau.estimators.tagger import SequenceTagger

__all__ = ["SequenceClassifier", "SequenceRegressor", "SequenceTagger", "SequenceToSequence", "load"]
