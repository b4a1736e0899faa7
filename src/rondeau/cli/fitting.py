"""Fitting an estimator before somebody's eyes, in a run folder: begun, gone on with, and scored beside its floors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rondeau.cli.dataset import NAME, DataSet
from rondeau.cli.fitted import parameters_of
from rondeau.cli.jobs import Job, Parts, Scores, make
from rondeau.cli.watch import watch
from rondeau.estimators.randomness import own_randomness, seed_of
from rondeau.train import SavedRun, Training, fingerprint, keep
from rondeau.train.manifest import Fingerprint


def begin(job: Job, parameters: dict[str, Any], data: DataSet, parts: Parts, place: Path, **how: bool) -> Any:
    """Fits an estimator in a new run folder; the estimator.

    Args:
        job: which one.
        parameters: its parameters.
        data: where the data lie.
        parts: the data.
        place: the run folder.
        how: ``overwrite`` what is there, ``as_json`` for a record as JSON lines.

    Raises:
        typer.Exit: it was stopped, see `watch`.
    """
    estimator = make(job, parameters)
    seed = seed_of(estimator.random_state)
    with own_randomness(seed, estimator.device):
        training = estimator.begin(parts.train, seed=seed)
        texts = {**estimator.texts(), NAME: data.with_columns(parts.whole.columns).to_json()}
        known = _known(job, parts)
        run = keep(training, place, estimator.kind, texts=texts, data=known, overwrite=how["overwrite"])
        watch(run, how["as_json"], introduction(estimator, training))
    estimator.finish(training)
    run.conclude(estimator.texts())
    return estimator


def go_on(saved: SavedRun, job: Job, parts: Parts, more: dict[str, Any], as_json: bool) -> Any:
    """Goes on with the run of an estimator; the estimator.

    Raises:
        typer.Exit: it was stopped, see `watch`.
    """
    estimator = make(job, parameters_of(saved))
    seed = saved.settings.seed
    with own_randomness(seed, estimator.device):
        training = estimator.begin(parts.train, seed=seed)
        run = saved.resume(training, data=_known(job, parts), **more)
        ended = training.finished
        watch(run, as_json, introduction(estimator, training))
    if ended:
        return estimator.load(saved.folder.path)
    estimator.finish(training)
    run.conclude(estimator.texts())
    return estimator


def _known(job: Job, parts: Parts) -> Fingerprint:
    """What tells these data apart from others."""
    return fingerprint(job.pairs(parts.train), [] if parts.test is None else job.pairs(parts.test))


def introduction(estimator: Any, training: Training) -> str:
    """What is to be trained, in a line."""
    count = sum(parameter.numel() for parameter in training.model.parameters())
    cell = estimator.cell if isinstance(estimator.cell, str) else estimator.cell.name
    return f"{type(estimator).__name__}: {cell}, {estimator.layers} x {estimator.hidden}, {count:,} parameters"


def conclude(job: Job, estimator: Any, parts: Parts, place: Path, floors: bool, as_json: bool) -> None:
    """Says how good an estimator is on what was held out, beside what predicts without a network."""
    found = {} if parts.test is None else job.scores(estimator, parts, floors)
    if as_json:
        for name, figures in found.items():
            print(json.dumps({"scored": name, **figures}))
        return
    if found:
        print(f"\n{table(found)}")
    print(f"\nsaved in {place}; predict with: rondeau predict {place} FILE --out FILE", flush=True)


def table(scores: Scores) -> str:
    """Scores, a row for each that was scored; what only some have is a dash for the others."""
    figures = list(dict.fromkeys(name for found in scores.values() for name in found))
    wide = max(map(len, [*scores, "held out"])) + 2
    lines = [f"{'held out':<{wide}}" + "".join(f"{name:>{len(name) + 2}}" for name in figures)]
    for who, found in scores.items():
        lines.append(f"{who:<{wide}}" + "".join(f"{_shown(found.get(name)):>{len(name) + 2}}" for name in figures))
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"
