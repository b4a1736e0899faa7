"""How good predictions are, in figures by name; the first of each kind is the one that its estimator's ``score`` gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, r2_score

from rondeau.data import StepLabels, entity_scores, is_bio
from rondeau.data.sequences import UNLABELLED

Figures = dict[str, float]


def classification_scores(true: np.ndarray, said: np.ndarray) -> Figures:
    """The part that is right, and the F1 score of every class, averaged.

    Args:
        true: classes (sequences,).
        said: classes (sequences,).
    """
    names = np.asarray(true).astype(str), np.asarray(said).astype(str)
    return {"accuracy": float(np.mean(names[0] == names[1])), "macro F1": float(f1_score(*names, average="macro"))}


def regression_scores(true: np.ndarray, said: np.ndarray) -> Figures:
    """The part of the variance that is explained, the mean absolute error and the root of the mean squared error.

    Args:
        true: numbers (..., targets); where one is missing nothing is scored.
        said: numbers (..., targets).
    """
    true, said = np.asarray(true, float), np.asarray(said, float).reshape(np.shape(true))
    known = ~np.isnan(true).reshape(len(true), -1).any(1)
    error = (said - true)[known]
    r2 = float(r2_score(true[known], said[known])) if known.sum() > 1 else float("nan")
    return {
        "R2": r2,
        "mean absolute error": float(np.abs(error).mean()),
        "root mean squared error": float(np.sqrt((error**2).mean())),
    }


def tagging_scores(goal: StepLabels, said: Sequence[Any]) -> Figures:
    """The part of the labelled steps that is right, and where labels mark entities (B-, I-) the F1 score of whole ones.

    Args:
        goal: the true classes of steps.
        said: for each sequence its classes (steps,).
    """
    codes = np.concatenate(goal.codes)
    known = codes != UNLABELLED
    names = np.concatenate([np.asarray(each, object) for each in said])
    figures = {"accuracy": float(np.mean(goal.classes[codes[known]] == names[known]))}
    if is_bio(list(map(str, goal.classes))) and known.all():
        true = [list(map(str, goal.classes[each])) for each in goal.codes]
        figures["entity F1"] = entity_scores(true, [list(map(str, each)) for each in said]).f1
    return figures
