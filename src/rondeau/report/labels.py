"""What a report says of estimators of whole sequences: a classifier and a regressor, shown data whose answers are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rondeau.data import Labels, Sequences, Targets
from rondeau.errors import InputError
from rondeau.estimators import SequenceClassifier, SequenceRegressor
from rondeau.report import classes, numbers
from rondeau.report.items import shown
from rondeau.report.page import Section, paragraph


def of_classifier(model: SequenceClassifier, data: Sequences) -> list[Section]:
    """The sections of a classifier: classes, confusion, the surest mistakes.

    Args:
        model: fitted.
        data: sequences with labels.

    Raises:
        InputError: the sequences have no labels, or none of the classes that were learned.
    """
    if not isinstance(data.goal, Labels):
        raise InputError("a report of a classifier compares with labels, and these sequences have none; name their column")
    places = {name: code for code, name in enumerate(map(str, model.classes_))}
    table = np.array([places.get(str(name), -1) for name in data.goal.classes], np.int64)
    truth = table[data.goal.codes]
    known = np.flatnonzero(truth >= 0)
    if not len(known):
        raise InputError(
            f"none of the classes {_some(data.goal.classes)} was learned; those that were are {_some(model.classes_)}"
        )
    part, right = data.take(known), truth[known]
    probabilities = model.predict_proba(part)
    counts = classes.confusion(right, probabilities.argmax(1), model.classes_.tolist())
    sections = [classes.by_class(counts, model.classes_.tolist())]
    left = len(data) - len(known)
    if left:
        said = f"{left:,} sequences are of classes that were never learned, and are left out."
        sections.append(Section("Unknown classes", (paragraph(said, "bad"),)))
    return [*sections, classes.worst(right, probabilities, model.classes_.tolist(), _show(part))]


def of_regressor(model: SequenceRegressor, data: Sequences) -> list[Section]:
    """The sections of a regressor: each target, and the largest errors of each.

    Args:
        model: fitted.
        data: sequences with numbers.

    Raises:
        InputError: the sequences have no numbers to compare with, or not as many as the model says.
    """
    if not isinstance(data.goal, Targets):
        raise InputError("a report of a regressor compares with numbers, and these sequences have none; name their column")
    predicted = model.predict(data).reshape(len(data), -1)
    if predicted.shape != data.goal.values.shape:
        raise InputError(
            f"the model says {predicted.shape[1]} numbers of each sequence, and {data.goal.values.shape[1]} are given; "
            "name the columns that it learned"
        )
    found = []
    for name, truth, said in zip(data.goal.names, data.goal.values.T, predicted.T):
        found += [numbers.closeness(truth, said, name), numbers.worst(truth, said, _show(data))]
    return found


def _show(data: Sequences) -> Callable[[np.ndarray], Sequence[str]]:
    return lambda places: shown(data, places)


def _some(names: np.ndarray) -> str:
    return ", ".join(map(str, names[:6])) + (", ..." if len(names) > 6 else "")
