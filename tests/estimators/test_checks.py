"""scikit-learn's own checks of estimators, on tables (sequences, steps)."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from rondeau.estimators import SequenceClassifier, SequenceRegressor

QUICK: dict[str, Any] = {
    "hidden": 8, "members": 1, "epochs": 30, "batch_size": 64, "learning_rate": 0.05, "dropout": 0.0, "bidirectional": False,
    "pooling": "last", "threads": 1,
}  # fmt: skip
CANNOT = {
    "check_sample_weight_equivalence_on_dense_data": "a sequence that comes twice is in two batches, and one of weight two is "
    "in one; what is learned batch by batch is the same on average alone",
    "check_classifiers_train": "a list of lists may have sequences of any lengths, so other lengths than those fitted to are "
    "no error",
}


@parametrize_with_checks(
    [SequenceClassifier(**QUICK), SequenceRegressor(**{**QUICK, "pooling": "mean max", "bidirectional": True, "epochs": 60})],
    expected_failed_checks=lambda estimator: CANNOT,
)
@pytest.mark.filterwarnings("ignore")
def test_check(estimator: Any, check: Any) -> None:
    check(estimator)
