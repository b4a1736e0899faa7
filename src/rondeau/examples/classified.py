"""What the recipes of labelled sequences share: learn, compare with floors, draw which class is taken for which."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rondeau.data import Labels, Sequences
from rondeau.estimators import SequenceClassifier
from rondeau.estimators.floors import classification_floors
from rondeau.estimators.scores import classification_scores
from rondeau.examples.labelled import Parts
from rondeau.examples.outcome import Outcome, drawing, saved

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def classified(
    model: SequenceClassifier, parts: Parts, out: Path, name: str, effort: float, figure: str = "accuracy"
) -> tuple[SequenceClassifier, Outcome]:
    """Fits a classifier, and compares it with what predicts without a network.

    Args:
        model: not fitted yet.
        parts: to learn from, and to be judged on.
        out: the folder for the picture.
        name: of the recipe, and of the picture.
        effort: 1 for all of it; less takes a part of the sequences and of the passes over them.
        figure: which of `classification_scores` is told.
    """
    parts = parts.some(effort)
    if effort < 1:
        model.set_params(epochs=max(1, int(30 * effort)), members=1)
    said = model.fit(parts.train).predict(parts.test)
    true = labels(parts.test)
    floors = {
        floor: classification_scores(true, found)[figure]
        for floor, found in classification_floors(parts.train, parts.test).items()
    }
    scores = {"SequenceClassifier": classification_scores(true, said)[figure]}
    picture = saved(confused(true, said, model.classes_), out, name)
    return model, Outcome(f"{figure} on {len(parts.test):,} held-out sequences", scores, floors, picture)


def labels(data: Sequences) -> np.ndarray:
    """The class of each sequence, (sequences,)."""
    assert isinstance(data.goal, Labels)
    return data.goal.classes[data.goal.codes]


def confused(true: np.ndarray, said: np.ndarray, classes: np.ndarray) -> Figure:
    """Which class is taken for which, as shares of each."""
    order = np.argsort(classes)
    places = [order[np.searchsorted(classes, each, sorter=order)] for each in (true, said)]
    counts = np.bincount(places[0] * len(classes) + places[1], minlength=len(classes) ** 2).reshape(len(classes), -1)
    figure, (axes,) = drawing(high=5.5)
    axes.imshow(np.sqrt(counts / np.maximum(counts.sum(1, keepdims=True), 1)), cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), list(map(str, classes)), rotation=90)
    axes.set_yticks(range(len(classes)), list(map(str, classes)))
    axes.set(xlabel="said", ylabel="true", title="classes taken for one another (square roots of shares)")
    return figure
