"""What the estimators of labels reach on real data with nothing changed, beside what costs nothing, on the same parts.

    python benchmarks/estimators.py JapaneseVowels --seeds 3

prints a line of JSON for each set that is named; without a name, for all.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from labelled_data import NAMES, Parts
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from rondeau.estimators import SequenceClassifier
from rondeau.estimators.neighbour import nearest

Score = Callable[[np.ndarray, np.ndarray], float]


def accuracy(truth: np.ndarray, found: np.ndarray) -> float:
    """The part that is right."""
    return float(accuracy_score(truth, found))


def f1(truth: np.ndarray, found: np.ndarray) -> float:
    """F1 of the positive class."""
    return float(f1_score(truth, found))


def macro_f1(truth: np.ndarray, found: np.ndarray) -> float:
    """F1, a mean over classes."""
    return float(f1_score(truth, found, average="macro"))


def nearest_series(parts: Parts) -> np.ndarray:
    """The class of the nearest series by dynamic time warping."""
    return parts.y[nearest(parts.X, parts.test_X)]


def bag_of_words(parts: Parts, **options: Any) -> np.ndarray:
    """TF-IDF and logistic regression, its penalty chosen by cross-validation on the part to learn from."""
    model = make_pipeline(TfidfVectorizer(sublinear_tf=True, **options), LogisticRegression(max_iter=300))
    grid = {"logisticregression__C": [1.0, 10.0, 30.0]}
    return GridSearchCV(model, grid, cv=3, scoring="f1_macro").fit(parts.X, parts.y).predict(parts.test_X)


def pixels(parts: Parts) -> np.ndarray:
    """Logistic regression on all numbers of a sequence."""
    X, test = (np.reshape(each, (len(each), -1)) / 255 for each in (parts.X, parts.test_X))
    return LogisticRegression(max_iter=300).fit(X, parts.y).predict(test)


FLOORS: dict[str, tuple[Score, str, Callable[[Parts], np.ndarray]]] = {
    "JapaneseVowels": (accuracy, "1-NN DTW", nearest_series),
    "BasicMotions": (accuracy, "1-NN DTW", nearest_series),
    "ItalyPowerDemand": (accuracy, "1-NN DTW", nearest_series),
    "GunPoint": (accuracy, "1-NN DTW", nearest_series),
    "amazon": (f1, "TF-IDF of words and pairs", lambda parts: bag_of_words(parts, ngram_range=(1, 2))),
    "names": (macro_f1, "TF-IDF of characters", lambda parts: bag_of_words(parts, analyzer="char_wb", ngram_range=(1, 4))),
    "digits": (accuracy, "logistic regression", pixels),
}
"""By the name of a set: how it is scored, and its floor."""


def measured(name: str, seeds: int) -> dict[str, Any]:
    """The scores of a set, and how long learning took."""
    parts = NAMES[name]()
    score, what, floor = FLOORS[name]
    scores, seconds, model = [], [], SequenceClassifier()
    for seed in range(seeds):
        begun = time.perf_counter()
        model = SequenceClassifier(random_state=seed).fit(parts.X, parts.y)
        seconds.append(time.perf_counter() - begun)
        scores.append(score(parts.test_y, model.predict(parts.test_X)))
    most = np.full(len(parts.test_y), Counter(parts.y.tolist()).most_common(1)[0][0])
    return {
        "data": name,
        "measure": score.__name__,
        "mean": round(float(np.mean(scores)), 4),
        "scores": [round(each, 4) for each in scores],
        "floor": round(score(parts.test_y, floor(parts)), 4),
        "floor_is": what,
        "most_frequent": round(score(parts.test_y, most), 4),
        "learned_from": len(parts.X),
        "judged_on": len(parts.test_X),
        "seconds": round(float(np.mean(seconds)), 1),
        "epochs": model.settings_.epochs,
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    """Prints a line for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; all if none is given")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    for name in given.names or NAMES:
        print(json.dumps(measured(name, given.seeds)), flush=True)


if __name__ == "__main__":
    main()
