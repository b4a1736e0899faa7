"""Estimators by scikit-learn's conventions: sequences and labels in, predictions out."""

from rondeau.estimators.classifier import SequenceClassifier
from rondeau.estimators.loading import load
from rondeau.estimators.regressor import SequenceRegressor

__all__ = ["SequenceClassifier", "SequenceRegressor", "load"]
