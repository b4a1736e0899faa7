"""Estimators as texts of a run folder and back: parameters, and what was fitted beside the weights, as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rondeau.cells import get
from rondeau.data import Columns, Frequency, Symbols
from rondeau.data.windows import Covariates
from rondeau.errors import InputError, RunError
from rondeau.estimators.form import Form
from rondeau.estimators.series_plan import SeriesPlan
from rondeau.estimators.vocabulary import Vocabulary
from rondeau.ir import Cell, from_json, to_json
from rondeau.models.lag_skip import Recipe
from rondeau.train import Kind

TEXTS = ("cell.json", "estimator.json")


def kind(name: str) -> Kind:
    """The kind of run that an estimator's is, by its name."""
    return Kind(name, TEXTS)


def written(parameters: Mapping[str, Any], fitted: Mapping[str, Any]) -> dict[str, str]:
    """The texts that say what an estimator is beside its weights."""
    seed = parameters["random_state"]
    simple = {**parameters, "random_state": seed if isinstance(seed, (int, np.integer)) else None}
    body = {"parameters": _encoded(simple), "fitted": _encoded(fitted)}
    cell = parameters["cell"]
    return {"cell.json": to_json(get(cell) if isinstance(cell, str) else cell), "estimator.json": json.dumps(body) + "\n"}


def read(texts: Mapping[str, str], where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and what was fitted, as `written` took them; the cell is that of ``cell.json``.

    Raises:
        RunError: the texts are not such.
    """
    try:
        body = json.loads(texts["estimator.json"])
        parameters, fitted = _decoded(body["parameters"]), _decoded(body["fitted"])
        cell = from_json(texts["cell.json"])
        named = isinstance(parameters["cell"], str) and get(parameters["cell"]) == cell
        return {**parameters, "cell": parameters["cell"] if named else cell}, fitted
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{where}: estimator.json does not say what was fitted; restore it from a copy") from error


def _encoded(value: Any) -> Any:
    """A value as JSON: what JSON has not as an object that says what it is."""
    if isinstance(value, Cell):
        return None
    if isinstance(value, Mapping):
        return {"is": "dictionary", "items": [[_plain(name), _encoded(item)] for name, item in value.items()]}
    if isinstance(value, np.ndarray):
        items = [_plain(item) for item in value.ravel()]
        return {"is": "array", "items": items, "shape": list(value.shape), "dtype": value.dtype.str}
    if type(value) in _RECORDS:
        return {"is": _RECORDS[type(value)], **{name: _encoded(item) for name, item in vars(value).items()}}
    if isinstance(value, (Symbols, Vocabulary)):
        return {"is": type(value).__name__.lower(), "unit": value.unit, "tokens": list(value.tokens)}
    if isinstance(value, tuple):
        return {"is": "tuple", "items": [_encoded(item) for item in value]}
    return [_encoded(item) for item in value] if isinstance(value, list) else _plain(value)


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, (str, int, float, bool, type(None))):
        raise InputError(f"{value!r} cannot be written into a run folder; use texts, numbers, None, tuples or dictionaries")
    return value


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    parts = {name: _decoded(item) for name, item in value.items() if name != "is"}
    return _MAKERS[value["is"]](**parts)


_RECORDS: dict[type, str] = {
    Form: "form",
    Columns: "columns",
    Frequency: "frequency",
    Covariates: "covariates",
    Recipe: "recipe",
    SeriesPlan: "series plan",
}
"""The dataclasses that are written field by field, by the names under which they are."""

_MAKERS: dict[str, Callable[..., Any]] = {
    "array": lambda items, shape, dtype: np.array(items, np.dtype(dtype)).reshape(shape),
    "dictionary": lambda items: dict(items),
    "symbols": lambda unit, tokens: Symbols(unit, tuple(tokens)),
    "tuple": lambda items: tuple(items),
    "vocabulary": lambda unit, tokens: Vocabulary(unit, tuple(tokens)),
    **{name: made for made, name in _RECORDS.items()},
}
