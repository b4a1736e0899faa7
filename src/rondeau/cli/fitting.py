"""Fitting an estimator before somebody's eyes, in a run folder: begun, gone on with, and scored beside its floors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rondeau.cli.dataset import NAME, DataSet, Parts
from rondeau.cli.jobs import Job
from rondeau.cli.watch import watch
from rondeau.estimators.randomness import own_randomness, seed_of
from rondeau.train import SavedRun, Training, keep

Scores = dict[str, dict[str, float]]


def begin(estimator: Any, parts: Parts, data: DataSet, place: Path, overwrite: bool, as_json: bool) -> Any:
    """Fits an estimator in a new run folder; the estimator.

    Raises:
        typer.Exit: it was stopped, see `watch`.
    """
    seed = seed_of(estimator.random_state)
    with own_randomness(seed, estimator.device):
        training = estimator.begin(parts.train, seed=seed)
        texts = {**estimator.texts(), NAME: _where(data, parts).to_json()}
        run = keep(training, place, estimator.kind, texts=texts, data=parts.fingerprint(), overwrite=overwrite)
        watch(run, as_json, introduction(estimator, training))
    estimator.finish(training)
    run.conclude(estimator.texts())
    return estimator


def go_on(saved: SavedRun, job: Job, parts: Parts, more: dict[str, Any], as_json: bool) -> Any:
    """Goes on with the run of an estimator; the estimator.

    Raises:
        typer.Exit: it was stopped, see `watch`.
    """
    from rondeau.estimators import saving

    estimator = job.make(**saving.read(saved.texts, str(saved.folder.path))[0])
    seed = saved.settings.seed
    with own_randomness(seed, estimator.device):
        training = estimator.begin(parts.train, seed=seed)
        run = saved.resume(training, data=parts.fingerprint(), **more)
        ended = training.finished
        watch(run, as_json, introduction(estimator, training))
    if ended:
        return estimator.load(saved.folder.path)
    estimator.finish(training)
    run.conclude(estimator.texts())
    return estimator


def _where(data: DataSet, parts: Parts) -> DataSet:
    """Where the data lie, with the columns that were found; so a file that has gained some is still read alike."""
    from dataclasses import asdict, replace

    columns = {} if parts.whole.columns is None else asdict(parts.whole.columns)
    return replace(data, columns=columns or dict(data.columns))


def introduction(estimator: Any, training: Training) -> str:
    """What is to be trained, in a line."""
    count = sum(parameter.numel() for parameter in training.model.parameters())
    cell = estimator.cell if isinstance(estimator.cell, str) else estimator.cell.name
    return f"{type(estimator).__name__}: {cell}, {estimator.layers} x {estimator.hidden}, {count:,} parameters"


def conclude(estimator: Any, parts: Parts, place: Path, floors: bool, as_json: bool) -> None:
    """Says how good an estimator is on what was held out, beside what predicts without a network."""
    found = compared(estimator, parts, floors)
    if as_json:
        for name, figures in found.items():
            print(json.dumps({"scored": name, **figures}))
        return
    if found:
        print(f"\n{table(found)}")
    print(f"\nsaved in {place}; predict with: rondeau predict {place} FILE --out FILE", flush=True)


def compared(estimator: Any, parts: Parts, floors: bool) -> Scores:
    """The figures of an estimator on what was held out, behind those of what predicts without a network if wanted; nothing
    where nothing was held out."""
    test, job = parts.test, parts.job
    if test is None:
        return {}
    found = {name: job.scores(test, said) for name, said in job.floors(parts.train, test).items()} if floors else {}
    return {**found, type(estimator).__name__: job.scores(test, estimator.predict(test))}


def table(scores: Scores) -> str:
    """Scores, a row for each that was scored."""
    figures = list(next(iter(scores.values())))
    wide = max(map(len, [*scores, "held out"])) + 2
    lines = [f"{'held out':<{wide}}" + "".join(f"{name:>{len(name) + 2}}" for name in figures)]
    for who, found in scores.items():
        lines.append(f"{who:<{wide}}" + "".join(f"{_shown(found[name]):>{len(name) + 2}}" for name in figures))
    return "\n".join(lines)


def _shown(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"
