"""Floors: what predicts without a network, on the same parts of the same data. A network that is not better is not worth it.

Each function learns from ``train`` and gives, by the floor's name, what it says of ``test`` in the form in which an estimator's
``predict`` says it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rondeau.data import Labels, Sequences, StepLabels, StepTargets, Targets
from rondeau.data.sequences import UNLABELLED
from rondeau.estimators.neighbour import nearest

SPACED = 0.5
"""The part of texts with a space from which on texts are taken for words."""
Said = dict[str, Any]


def classification_floors(train: Sequences, test: Sequences) -> Said:
    """The most frequent class, and of texts a logistic regression on TF-IDF, of numbers the nearest sequence's class.

    Returns:
        Classes (sequences,) by the name of the floor.
    """
    goal = cast(Labels, train.goal)
    said: Said = {"most frequent class": np.full(len(test), goal.classes[np.bincount(goal.codes).argmax()])}
    if train.kind == "numbers":
        said["nearest sequence"] = goal.classes[goal.codes[nearest(train.items, test.items)]]
    else:
        model = make_pipeline(_tfidf(train), LogisticRegression(C=10.0, max_iter=1000)).fit(train.items, goal.codes)
        said["TF-IDF, logistic regression"] = goal.classes[model.predict(test.items)]
    return said


def regression_floors(train: Sequences, test: Sequences) -> Said:
    """The mean, and a ridge regression on TF-IDF of texts, on a summary of numbers.

    Returns:
        Numbers (sequences, targets) by the name of the floor.
    """
    values = cast(Targets, train.goal).values
    said: Said = {"mean": np.tile(values.mean(0), (len(test), 1))}
    if train.kind == "numbers":
        ridge = make_pipeline(StandardScaler(), Ridge()).fit(summaries(train.items), values)
        said["ridge on a summary"] = ridge.predict(summaries(test.items)).reshape(len(test), -1)
    else:
        model = make_pipeline(_tfidf(train), Ridge()).fit(train.items, values)
        said["TF-IDF, ridge"] = model.predict(test.items).reshape(len(test), -1)
    return said


def tagging_floors(train: Sequences, test: Sequences) -> Said:
    """The most frequent class of all steps, and of tokens that of the word, of numbers a logistic regression on the step.

    Returns:
        For each sequence its classes (steps,), by the name of the floor.
    """
    goal = cast(StepLabels, train.goal)
    codes = np.concatenate(goal.codes)
    most = int(np.bincount(codes[codes != UNLABELLED]).argmax())
    said: Said = {"most frequent class": [goal.classes[np.full(len(item), most)] for item in test.items]}
    if train.kind == "numbers":
        said["logistic regression on the step"] = _by_step(train, test, codes, goal.classes)
    else:
        usual = _usual(train.items, goal.codes)
        said["most frequent class of the word"] = [
            goal.classes[[usual.get(word, most) for word in item]] if len(item) else goal.classes[:0] for item in test.items
        ]
    return said


def step_regression_floors(train: Sequences, test: Sequences) -> Said:
    """The mean of all steps, and of numbers a ridge regression on the step.

    Returns:
        For each sequence its numbers (steps, targets), by the name of the floor.
    """
    values = np.concatenate(cast(StepTargets, train.goal).values)
    known = ~np.isnan(values).any(1)
    said: Said = {"mean": [np.tile(values[known].mean(0), (len(item), 1)) for item in test.items]}
    if train.kind == "numbers":
        model = make_pipeline(StandardScaler(), Ridge()).fit(_rows(train.items)[known], values[known])
        said["ridge on the step"] = [model.predict(_rows([item])).reshape(len(item), -1) for item in test.items]
    return said


def summaries(items: Sequence[np.ndarray]) -> np.ndarray:
    """What can be said of arrays (steps, features) without their order but for the ends: of every feature mean, deviation,
    least, greatest, first and last, and the number of steps; (sequences, 6 * features + 1)."""
    return np.array([_summary(np.nan_to_num(item)) for item in items])


def _summary(item: np.ndarray) -> np.ndarray:
    if not len(item):
        return np.zeros(6 * item.shape[1] + 1)
    parts = [item.mean(0), item.std(0), item.min(0), item.max(0), item[0], item[-1]]
    return np.append(np.concatenate(parts), len(item))


def _rows(items: Sequence[np.ndarray]) -> np.ndarray:
    """All steps one below another, a number that is missing as zero."""
    return np.nan_to_num(np.concatenate(items))


def _by_step(train: Sequences, test: Sequences, codes: np.ndarray, classes: np.ndarray) -> list[np.ndarray]:
    known = codes != UNLABELLED
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(_rows(train.items)[known], codes[known])
    return [classes[model.predict(_rows([item]))] for item in test.items]


def _usual(items: Sequence[Sequence[str]], codes: Sequence[np.ndarray]) -> dict[str, int]:
    """The most frequent code of every token."""
    counts: dict[str, Counter[int]] = {}
    for tokens, own in zip(items, codes):
        for token, code in zip(tokens, own.tolist()):
            if code != UNLABELLED:
                counts.setdefault(token, Counter())[code] += 1
    return {token: count.most_common(1)[0][0] for token, count in counts.items()}


def _tfidf(train: Sequences) -> TfidfVectorizer:
    """Counts of words and pairs of words where texts have some, else of runs of one to four characters; of tokens as such."""
    common = {"sublinear_tf": True, "min_df": 1}
    if train.kind == "tokens":
        return TfidfVectorizer(analyzer=cast(Callable[..., Any], list), **common)
    if np.mean([" " in text.strip() for text in train.items]) >= SPACED:
        return TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\w+|[^\w\s]+", **common)
    return TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), **common)
