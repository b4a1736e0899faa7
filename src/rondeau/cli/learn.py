"""Learning a text before somebody's eyes: what is said of a language model before and after `watch`."""

from __future__ import annotations

import json
from contextlib import nullcontext

from rich.console import Console

from rondeau.cli.watch import watch
from rondeau.models import Score, compare
from rondeau.train import Run, bits, evaluate

WIDE = 66  # columns that the closing table takes with the sizes


def learn(run: Run, as_json: bool, baselines: bool) -> None:
    """Trains ``run`` to its end, saying how it goes, and compares it with n-gram models.

    Raises:
        typer.Exit: it was stopped, see `watch`.
    """
    watch(run, as_json, _introduction(run))
    if not as_json:
        _conclude(run, baselines)
    elif baselines:
        for score in _baselines(run):
            print(json.dumps({"ngram": score.order, "held_out": score.nats, "entries": score.entries}))


def _introduction(run: Run) -> str:
    count = sum(parameter.numel() for parameter in run.model.parameters())
    s = run.settings
    assert run.train is not None and run.held is not None
    what = f"{run.cell.name}, {s.layers} x {s.hidden}, {count:,} parameters, {run.tokenizer.size} {s.tokenizer}"
    return f"{what}\nlearning {len(run.train):,} tokens of {s.corpus}, holding out the last {len(run.held):,}"


def _baselines(run: Run) -> list[Score]:
    assert run.train is not None and run.held is not None
    return compare(run.train, run.held, run.tokenizer.size)


def _chosen(run: Run, found: list[float]) -> float:
    """The held-out loss of the weights for use; measured anew where the record has lost it."""
    assert run.held is not None and run.training is not None
    if run.settings.patience is not None:
        return run.training.progress.best
    return found[-1] if found else evaluate(run.model, run.held)


def _conclude(run: Run, baselines: bool) -> None:
    """The closing table: the network, and n-gram models beside it."""
    assert run.training is not None and run.folder is not None
    nats = _chosen(run, run.training.record.column("held_out"))
    console = Console()
    with console.status("comparing with n-gram models") if console.is_terminal else nullcontext():
        scores = _baselines(run) if baselines else []
    rows = [("unigram" if s.order == 1 else f"{s.order}-gram", s.nats, f"{s.entries:,} entries") for s in scores]
    rows.append((run.cell.name, nats, f"{sum(parameter.numel() for parameter in run.model.parameters()):,} parameters"))
    wide = console.width >= WIDE
    print(f"\n{'held out, per token':<24}{'nats':>8}{'bits':>8}{'   size' * wide}")
    for name, value, size in rows:
        print(f"{name:<24}{value:>8.4f}{bits(value):>8.4f}{f'   {size}' * wide}")
    print(f"\nsaved in {run.folder.path}; let it write with: rondeau sample {run.folder.path}", flush=True)
