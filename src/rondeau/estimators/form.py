"""`Form`: what kind of sequences a model was fitted to, and others as the same."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import column_or_1d
from torch import Tensor

from rondeau.data import Sequences, sequences_of
from rondeau.data.frames import is_frame
from rondeau.data.guessing import GoalName
from rondeau.data.sequences import ItemKind
from rondeau.errors import InputError
from rondeau.estimators.vocabulary import Vocabulary
from rondeau.models.encoder import moments


@dataclass(frozen=True, eq=False)
class Form:
    """What kind of sequences a model was fitted to.

    Args:
        kind: "numbers", "texts" or "tokens".
        features: of each step, for numbers.
        columns: of the table (sequences, steps), if it was fitted to one; then a table has as many again.
        names: the columns' names, if that table had any.
        sequences, steps: how many of them, and the steps of the one in the middle.
        mean, deviation, change, masked: `rondeau.models.encoder.Moments`, for numbers.
        vocabulary: the tokens that it knows, for texts and tokens.
    """

    kind: ItemKind
    features: int = 0
    columns: int | None = None
    names: tuple[str, ...] | None = None
    mean: np.ndarray | None = None
    deviation: np.ndarray | None = None
    change: np.ndarray | None = None
    masked: bool = False
    vocabulary: Vocabulary | None = None
    sequences: int = 0
    steps: int = 0

    @staticmethod
    def of(X: Any, data: Sequences, tokens: str = "auto") -> Form:
        """The form of sequences that were read from ``X``."""
        count, steps = len(data), int(np.median(data.lengths))
        if data.kind != "numbers":
            return Form(data.kind, vocabulary=Vocabulary.of(data.items, tokens), sequences=count, steps=steps)
        scale, features = moments(data.items), data.items[0].shape[1]
        return Form(data.kind, features, table_columns(X), column_names(X), *scale, sequences=count, steps=steps)

    def read(self, X: Any, reader: str) -> Sequences:
        """Sequences of this form, for the estimator called ``reader``.

        Raises:
            InputError: they are of another kind, or have other features or columns.
        """
        data = given(X, kind=self.kind, features=self.features or None)
        self.check(X, data, reader)
        return data

    def check(self, X: Any, data: Sequences, reader: str) -> None:
        """Refuses sequences, read from ``X`` for the estimator called ``reader``, that are not of this form.

        Raises:
            InputError: they are not.
        """
        if data.kind != self.kind or (self.features and data.items[0].shape[1] != self.features):
            given(X, kind=self.kind, features=self.features or None)
        columns = table_columns(X)
        if columns is not None and self.columns is not None and columns != self.columns:
            raise InputError(
                f"X has {columns} features, but {reader} is expecting {self.columns} features as input, the columns of the "
                "table that it was fitted to; give sequences of other lengths as a list"
            )
        if data.kind == "numbers":
            _check_names(self.names, column_names(X))

    def tensor(self, item: Any) -> Tensor:
        """A sequence as the model reads it: numbers (steps, features), or the numbers of tokens (steps,)."""
        return torch.from_numpy(np.ascontiguousarray(item)) if self.vocabulary is None else self.vocabulary.encode(item)


def given(
    X: Any,
    y: Any = None,
    *,
    goal: GoalName = "",
    per_step: bool = False,
    kind: ItemKind | None = None,
    features: int | None = None,
    classes: np.ndarray | None = None,
    sample_weight: Any = None,
) -> Sequences:
    """Sequences as `rondeau.data.sequences_of` reads them, or such as were read already, which bring their own labels.

    Raises:
        InputError: something does not fit.
    """
    if isinstance(X, Sequences):
        read = X
        if goal and y is None:
            if X.goal is None:
                raise InputError("the sequences have no labels, and none are given; read them with goal=, or give y")
            return X
        X, sample_weight = read.items, read.weights if sample_weight is None else sample_weight
    if is_frame(X) and getattr(X, "ndim", 1) == 2:
        X = _column_of_texts(X)
    if issparse(X):
        raise InputError("X is sparse, and only dense sequences are read; give X.toarray()")
    return sequences_of(
        X,
        _raveled(y) if goal == "label" and not per_step else y,
        goal=goal,
        per_step=per_step,
        kind=kind,
        features=features,
        classes=classes,
        sample_weight=sample_weight,
        missing=True,
    )


def _column_of_texts(frame: Any) -> Any:
    """A frame as it is, if it holds numbers; its only column, if that holds something else.

    Raises:
        InputError: it has several columns, and not all hold numbers.
    """
    others = [str(name) for name, kind in zip(frame.columns, frame.dtypes) if kind.kind not in "biufc"]
    if not others:
        return frame
    if len(frame.columns) == 1:
        return frame.iloc[:, 0].tolist()
    raise InputError(
        f"X is a frame whose column {others[0]!r} holds no numbers; give the column that is to be read, X[{others[0]!r}], or "
        "read the frame with rondeau.data.sequences_of_frame"
    )


def _raveled(y: Any) -> Any:
    """Labels (sequences,); those in one column become such, as everywhere in scikit-learn."""
    return column_or_1d(y, warn=True) if isinstance(y, np.ndarray) and y.ndim == 2 and y.shape[1] == 1 else y


def table_columns(X: Any) -> int | None:
    """The columns of a table (sequences, steps); None for sequences given otherwise."""
    table = isinstance(X, (np.ndarray, Tensor)) or is_frame(X)
    return int(X.shape[1]) if table and len(X.shape) == 2 else None


def column_names(X: Any) -> tuple[str, ...] | None:
    """The names of a frame's columns, if all are texts."""
    if table_columns(X) is None or not is_frame(X) or not all(isinstance(name, str) for name in X.columns):
        return None
    return tuple(X.columns)


def _check_names(fitted: tuple[str, ...] | None, names: tuple[str, ...] | None) -> None:
    """What scikit-learn says of the names of columns that are others than those fitted to."""
    if fitted is None and names is not None:
        warnings.warn("X has feature names, but the model was fitted without feature names", UserWarning, stacklevel=4)
    if fitted is not None and names is None:
        warnings.warn("X has no feature names, but the model was fitted with feature names", UserWarning, stacklevel=4)
    if fitted is not None and names is not None and fitted != names:
        raise InputError(f"X has the columns {', '.join(names)}, and the model was fitted to {', '.join(fitted)}; give these")
