"""Sequences, labels and series that come from Python: checked, and as the values that models learn from."""

from __future__ import annotations

from typing import Any

import numpy as np

from rondeau.data.columns import Columns
from rondeau.data.frames import is_frame, series_of_frame
from rondeau.data.guessing import GoalName
from rondeau.data.numeric import shown
from rondeau.data.parts import encoded
from rondeau.data.sequences import Goal, ItemKind, Labels, Sequences, StepLabels, StepTargets, Targets, plural
from rondeau.data.series import Series, SeriesSet
from rondeau.data.times import Frequency
from rondeau.errors import DataError, InputError

_ALLOWED = (
    "give a list of arrays (steps, features), an array (sequences, steps, features), a list of texts or of lists of tokens"
)


def sequences_of(
    X: Any,
    y: Any = None,
    *,
    goal: GoalName = "",
    per_step: bool = False,
    kind: ItemKind | None = None,
    features: int | None = None,
    classes: np.ndarray | None = None,
    sample_weight: Any = None,
    missing: bool = False,
) -> Sequences:
    """Sequences and their labels or targets from Python's lists and numpy's arrays.

    Args:
        X: a list of arrays (steps, features) or (steps,) of any lengths, an array (sequences, steps, features) or (sequences,
            steps), a list of texts, or a list of lists of tokens.
        y: labels or targets, as ``goal`` says: (sequences,), targets also (sequences, targets); of steps a list with an array
            (steps,), targets also (steps, targets), for each sequence.
        goal: "label", "target", or "" if there is no ``y``.
        per_step: whether ``y`` is of each step.
        kind: "numbers", "texts" or "tokens" where only one will do, because a model was fitted to it.
        features: how many features there must be, because a model was fitted to so many.
        classes: those that labels may name, because a model was fitted to them; else those that come.
        sample_weight: how much each sequence counts (sequences,), or None.
        missing: whether NaN is allowed in ``X``, for a value that is missing.

    Raises:
        InputError: something does not fit; the message names the sequence, from 0 on, the step and the feature.

    Example:
        >>> data = sequences_of([[1, 2, 3], [4, 5]], ["a", "b"], goal="label")
        >>> data.lengths, data.goal.classes
        (array([3, 2]), array(['a', 'b'], dtype='<U1'))
    """
    items, found = _items(X, missing)
    if kind is not None and found != kind:
        raise InputError(f"X has sequences of the kind {found}, and the model was fitted to {kind}; give it the same kind")
    if found == "numbers":
        _check_features(items, features)
    given = _goal(y, items, goal, per_step, classes)
    return Sequences(items, found, given, weights=_weights(sample_weight, len(items)))


def _items(X: Any, missing: bool) -> tuple[list[Any], ItemKind]:
    """The sequences as arrays, texts or lists of tokens."""
    if isinstance(X, (str, bytes, dict, set)) or X is None:
        raise InputError(f"X is {shown(X)}; {_ALLOWED}")
    if not isinstance(X, (list, tuple)):
        X = _block(X)
    X = list(X)
    if not X:
        raise InputError("X has no sequences (0 samples); give at least one")
    if all(isinstance(item, str) for item in X):
        return _texts(X), "texts"
    if all(_is_tokens(item) for item in X):
        return [list(map(str, item)) for item in X], "tokens"
    return [_array(item, index, missing) for index, item in enumerate(X)], "numbers"


def _block(X: Any) -> np.ndarray:
    """An array as one of sequences: of texts, of lists, or of numbers (sequences, steps[, features])."""
    block = _converted(X, "X")
    if block.ndim == 0 or (block.ndim == 1 and block.dtype.kind in "biufc"):
        raise InputError(
            f"X has the shape {block.shape}, so it is one sequence at most; Reshape your data: give a list of sequences, [X]"
        )
    if block.ndim > 3:
        raise InputError(f"X has {block.ndim} dimensions, and at most (sequences, steps, features) are expected; {_ALLOWED}")
    if block.ndim > 1 and 0 in block.shape[1:]:
        raise InputError(
            f"X has empty sequences: 0 feature(s) (shape={block.shape}) while a minimum of 1 is required; give at least one"
        )
    return block


def _is_one(value: Any) -> bool:
    """Whether something is a single value and no sequence."""
    if isinstance(value, (list, tuple, range, dict, set)):
        return False
    return isinstance(value, (str, bytes)) or _converted(value, "a value").ndim == 0


def _converted(value: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # steps of several widths, a tensor that is on a GPU
        raise InputError(f"{name} is no array of numbers: {error}; give the same features at every step") from error


def _texts(items: list[str]) -> list[str]:
    empty = next((index for index, item in enumerate(items) if not item.strip()), None)
    if empty is not None:
        raise InputError(f"X[{empty}] is an empty text; leave it out")
    return [str(item) for item in items]


def _is_tokens(item: Any) -> bool:
    texts = isinstance(item, (list, tuple)) or (isinstance(item, np.ndarray) and item.ndim == 1)
    return texts and len(item) > 0 and all(isinstance(token, str) for token in item)


def _array(item: Any, index: int, missing: bool) -> np.ndarray:
    """One sequence as an array (steps, features)."""
    name = f"X[{index}]"
    if isinstance(item, str):
        raise InputError(f"{name} is the text {shown(item)} among sequences of another kind; {_ALLOWED}")
    array = floating(_converted(item, name), name)
    if array.ndim not in (1, 2):
        raise InputError(f"{name} has the shape {array.shape}, and (steps, features) or (steps,) is expected; {_ALLOWED}")
    array = array[:, None] if array.ndim == 1 else array
    if not array.size:
        raise InputError(f"{name} is an empty sequence, of the shape {array.shape}; leave it out")
    _check_finite(array, name, missing)
    return array


def floating(array: np.ndarray, name: str) -> np.ndarray:
    """An array as float32 or float64, which stay; other numbers become float64.

    Raises:
        InputError: it holds something else than real numbers.

    Example:
        >>> floating(np.array([1, 2]), "X").dtype
        dtype('float64')
    """
    if array.dtype.kind == "c":
        raise InputError(f"{name} has complex numbers; Complex data not supported: give real and imaginary parts as features")
    if array.dtype.kind not in "biufO":
        raise InputError(
            f"{name} has something that is no number, of the type {array.dtype}; give numbers, NaN where one is missing"
        )
    if array.dtype.kind == "f":
        return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
    try:
        return np.asarray(array, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{name} has something that is no number: {error}; give numbers, NaN where one is missing") from error


def _check_finite(array: np.ndarray, name: str, missing: bool) -> None:
    wrong = np.isinf(array) if missing else ~np.isfinite(array)
    if wrong.any():
        step, feature = (int(place) for place in np.argwhere(wrong)[0])
        what = "NaN" if np.isnan(array[step, feature]) else "infinity (inf)"
        hint = "fill it in or leave the sequence out" if not missing else "NaN stands for what is missing"
        raise InputError(f"{name} has {what} at step {step}, feature {feature}; {hint}")


def _check_features(items: list[np.ndarray], features: int | None) -> None:
    wanted = features or items[0].shape[1]
    wrong = next((index for index, item in enumerate(items) if item.shape[1] != wanted), None)
    if wrong is not None:
        who = f"the model was fitted to {wanted}" if features else f"X[0] has {wanted}"
        raise InputError(f"X[{wrong}] has {plural(items[wrong].shape[1], 'feature')} and {who}; give every sequence the same")


def _goal(y: Any, items: list[Any], goal: GoalName, per_step: bool, classes: np.ndarray | None) -> Goal | None:
    if not goal:
        return None
    if y is None:
        raise InputError(
            f"learning requires y to be passed, but the target y is None; give a {goal} for each "
            f"{'step' if per_step else 'sequence'}"
        )
    if _is_one(y) or isinstance(y, (dict, set)):
        raise InputError(f"y is {shown(y)}; give one for each of {plural(len(items), 'sequence')}")
    given = list(y) if isinstance(y, (list, tuple)) else list(_converted(y, "y"))
    if len(given) != len(items):
        raise InputError(f"y has {len(given)} entries for {plural(len(items), 'sequence')}; give one for each")
    if per_step:
        _check_steps(given, items)
        return _step_labels(given, classes) if goal == "label" else _step_targets(given)
    return _labels(given, classes) if goal == "label" else _targets(_converted(y, "y"), "y")


def _check_steps(given: list[Any], items: list[Any]) -> None:
    for index, (entries, item) in enumerate(zip(given, items)):
        if _is_one(entries) or len(entries) != len(item):
            have = "one entry" if _is_one(entries) else f"{len(entries)} entries"
            raise InputError(f"y[{index}] has {have} and X[{index}] {plural(len(item), 'step')}; give one for each step")


def _labels(given: list[Any], classes: np.ndarray | None) -> Labels:
    for index, name in enumerate(given):
        if name is None or name != name:
            raise InputError(f"y[{index}] is {name}; every sequence that is learned from needs a label")
        if not _is_one(name):
            raise InputError(
                f"y[{index}] is {shown(name)}, and one label for each sequence is expected; give y as (sequences,)"
            )
    names = np.array(given)
    if names.dtype.kind == "f" and (names != names.round()).any():
        index = int((names != names.round()).argmax())
        raise InputError(f"y[{index}] is {names[index]}, which is no class: Unknown label type: continuous; use a regressor")
    return Labels(*_encoded(names, classes, lambda index: f"y[{index}]"))


def _step_labels(given: list[Any], classes: np.ndarray | None) -> StepLabels:
    lengths = [len(entries) for entries in given]
    starts = np.cumsum([0, *lengths])
    names = [name for entries in given for name in entries]

    def place(index: int) -> str:
        row = int(np.searchsorted(starts, index, "right")) - 1
        return f"y[{row}][{index - starts[row]}]"

    absent = next((index for index, name in enumerate(names) if name is None or name != name), None)
    if absent is not None:
        raise InputError(f"{place(absent)} is {names[absent]}; every step of a sequence that is learned from needs a label")
    flat = np.array(names)
    codes, known = _encoded(flat, classes, place)
    return StepLabels(np.split(codes, starts[1:-1]), known)


def _encoded(names: np.ndarray, classes: np.ndarray | None, place: Any) -> tuple[np.ndarray, np.ndarray]:
    if classes is None:
        known, codes = np.unique(names, return_inverse=True)
        if len(known) < 2:
            raise InputError(f"y has one class only, {shown(known.tolist()[0])}; give sequences of at least two classes")
        return codes.reshape(-1), known
    try:
        return encoded(names.tolist(), classes.tolist(), place)
    except DataError as error:
        raise InputError(str(error)) from error


def _targets(values: np.ndarray, name: str) -> Targets:
    values = floating(values, name)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2:
        raise InputError(f"{name} has the shape {values.shape}, and (sequences,) or (sequences, targets) is expected")
    wrong = ~np.isfinite(values)
    if wrong.any():
        place = np.argwhere(wrong)[0]
        what = "NaN" if np.isnan(values[tuple(place)]) else "infinity"
        raise InputError(f"{name}[{place[0]}] is {what}; every sequence that is learned from needs a finite target")
    return Targets(values.astype(np.float64), _names(values.shape[1]))


def _step_targets(given: list[Any]) -> StepTargets:
    values: list[np.ndarray] = []
    for index, entries in enumerate(given):
        array = floating(_converted(entries, f"y[{index}]"), f"y[{index}]")
        array = array[:, None] if array.ndim == 1 else array
        _check_finite(array, f"y[{index}]", missing=True)
        if array.shape[1] != (values[0] if values else array).shape[1]:
            raise InputError(
                f"y[{index}] has {array.shape[1]} targets and y[0] has {values[0].shape[1]}; give the same everywhere"
            )
        values.append(array.astype(np.float64))
    return StepTargets(values, _names(values[0].shape[1]))


def _names(count: int) -> tuple[str, ...]:
    return ("target",) if count == 1 else tuple(f"target {number + 1}" for number in range(count))


def _weights(weights: Any, count: int) -> np.ndarray | None:
    if weights is None:
        return None
    array = floating(_converted(weights, "sample_weight"), "sample_weight").astype(np.float64)
    if array.shape != (count,):
        raise InputError(f"sample_weight has the shape {array.shape} for {plural(count, 'sequence')}; give one for each")
    if not np.isfinite(array).all() or (array < 0).any() or not array.any():
        index = int((~np.isfinite(array) | (array < 0)).argmax())
        what = "all zero" if not array.any() else f"{array[index]} at {index}"
        raise InputError(f"sample_weight is {what}; give numbers that are not negative, and some above zero")
    return array


def series_of(y: Any, columns: Columns | None = None) -> SeriesSet:
    """Series from an array (steps,) or (steps, targets), a list of such arrays, or a pandas frame.

    NaN stands for a missing value. Steps are one apart.

    Args:
        y: the series.
        columns: of a frame, as for `rondeau.data.series_of_frame`; only for frames.

    Raises:
        InputError: an array is none of numbers, is empty, has infinity, or other targets than the first.
        DataError: a frame is not sound.

    Example:
        >>> print(series_of(np.arange(48.0)).describe())
        1 series of value; length 48
        every 1, from 0 to 47
    """
    if is_frame(y):
        return series_of_frame(y, columns)
    if columns is not None:
        raise InputError("columns are for a pandas frame; give series from arrays without them")
    several = isinstance(y, (list, tuple)) and bool(y) and not all(map(_is_one, y))
    given = list(y) if several else [y]
    items = tuple(_series(each, f"y[{index}]" if several else "y", str(index)) for index, each in enumerate(given))
    width = items[0].values.shape[1]
    wrong = next((index for index, item in enumerate(items) if item.values.shape[1] != width), None)
    if wrong is not None:
        raise InputError(
            f"y[{wrong}] has {items[wrong].values.shape[1]} targets and y[0] has {width}; give every series the same"
        )
    names = ("value",) if width == 1 else tuple(f"value {number + 1}" for number in range(width))
    return SeriesSet(items, names, frequency=Frequency("numbers", 1.0))


def _series(given: Any, name: str, title: str) -> Series:
    if given is None or isinstance(given, (str, bytes, dict, set)):
        raise InputError(f"{name} is {shown(given)}; give an array (steps,), a list of arrays, or a pandas frame")
    values = floating(_converted(given, name), name).astype(np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or not values.size:
        raise InputError(
            f"{name} has the shape {values.shape}, and (steps,) or (steps, targets) is expected; give at least one step"
        )
    _check_finite(values, name, missing=True)
    steps = np.arange(float(len(values)))
    return Series(title, values, steps, steps, np.zeros((len(values), 0)), np.zeros((len(values), 0)), np.zeros(0))
