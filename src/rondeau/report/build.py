"""A whole report: of a language model, and of a fitted estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rondeau.data import Text
from rondeau.errors import InputError
from rondeau.estimators import Forecaster, SequenceClassifier, SequenceRegressor, SequenceTagger
from rondeau.report.labels import of_classifier, of_regressor
from rondeau.report.language_model import samples, surprises
from rondeau.report.page import Section, page, table
from rondeau.report.series import of_forecaster
from rondeau.report.steps import of_tagger
from rondeau.report.training import learning
from rondeau.train import Run
from rondeau.train.record import NAME as RECORD
from rondeau.train.record import Record

OF: Mapping[str, Callable[[Any, Any], list[Section]]] = {
    SequenceClassifier.kind: of_classifier,
    SequenceRegressor.kind: of_regressor,
    SequenceTagger.kind: of_tagger,
}
"""What a report says of an estimator that reads sequences, beside its training, by the kind of run."""

Scores = Mapping[str, Mapping[str, float]]


def of_language_model(run: Run, text: Text | None = None) -> str:
    """The report of a language model, an HTML document that refers to nothing outside of it.

    Args:
        run: as `rondeau.train.load` gives it.
        text: what it is shown, to see what surprises it; nothing if not given.

    Raises:
        InputError: the model knows fewer than two tokens of the text, or matplotlib is not installed.
    """
    assert run.folder is not None
    rows = Record.read(run.folder.path / RECORD).rows
    parts = [_settings(vars(run.settings)), learning(rows), samples(run)]
    if text is not None:
        parts += surprises(run, text)
    count = sum(parameter.numel() for parameter in run.model.parameters())
    tokens = f"{run.tokenizer.size:,} {run.tokenizer.kind} of {run.settings.corpus}"
    return page(f"{run.folder.path.name}: a language model", [f"{run.cell.name}, {count:,} parameters, {tokens}"], parts)


def of_estimator(
    name: str, model: Any, data: Any = None, said: str = "", scores: Scores | None = None, learned: Any = None
) -> str:
    """The report of a fitted estimator, an HTML document that refers to nothing outside of it.

    Args:
        name: of the run.
        model: the estimator.
        data: sequences or series whose answers are known; without them the report is of the training alone.
        said: a few lines about the data.
        scores: figures by who made them, the floors first.
        learned: the series that a forecaster was fitted to, where those shown are the same and longer.

    Raises:
        InputError: the data do not fit the model, or matplotlib is not installed.
    """
    if model.kind not in (*OF, Forecaster.kind):
        kinds = ", ".join((*OF, Forecaster.kind))
        raise InputError(f"there is no report of a {model.kind!r} yet; there is one of each {kinds}")
    parts = [] if not scores else [_beside(scores)]
    if data is not None:
        forecasts = isinstance(model, Forecaster)
        parts += of_forecaster(model, data, learned) if forecasts else OF[model.kind](model, data)
    parts += [learning(model.history_), _settings(model.get_params(deep=False))]
    count = sum(parameter.numel() for parameter in model.network_.parameters())
    lines = [f"{type(model).__name__}, {count:,} parameters", *said.splitlines()]
    return page(f"{name}: a {model.kind}", lines, parts)


def _beside(scores: Scores) -> Section:
    """The section of scores beside what predicts without a network."""
    figures = list(next(iter(scores.values())))
    rows = [[who, *(found[figure] for figure in figures)] for who, found in scores.items()]
    return Section("Held-out score", (table(["", *figures], rows),))


def _settings(values: Mapping[str, Any]) -> Section:
    """The section of settings by name; what is None or empty is left out."""
    return Section("Settings", (table(["setting", "value"], [[n, f"{v}"] for n, v in values.items() if v not in (None, {})]),))
