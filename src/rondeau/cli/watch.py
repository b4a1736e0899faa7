"""Watching a run: a progress bar on a terminal, plain lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from rondeau.models import Score, compare
from rondeau.train import Run, bits, evaluate

PLAIN_EVERY = 10.0  # seconds between plain lines
WIDE = 66  # columns that the closing table takes with the sizes
T = TypeVar("T")
CLOSED = 13  # the number of SIGPIPE, which not every system has


def watch(run: Run, as_json: bool, baselines: bool) -> None:
    """Trains ``run`` to its end under the eyes of whoever started it; Ctrl-C, SIGTERM and a closed output save and end.

    Raises:
        typer.Exit: it was stopped; the status is 128 and the number of the signal, 130 for Ctrl-C.
    """
    console = Console(highlight=False)
    show = _lines() if as_json else _bar(run, console) if console.is_terminal else _plain(run)
    assert run.training is not None and run.folder is not None
    with _interruptible(run) as signals, show as tell:
        if not as_json:
            _while_heard(run, _introduce, signals)(run)
        run.fit(_while_heard(run, tell, signals))
    if not run.training.finished:
        print(f"stopped and saved; go on with: rondeau resume {run.folder.path}", file=sys.stderr)
        raise typer.Exit(128 + signals[0] if signals else 1)
    if not as_json:
        _conclude(run, baselines)
    elif baselines:
        for score in _baselines(run):
            print(json.dumps({"ngram": score.order, "held_out": score.nats, "entries": score.entries}))


def _introduce(run: Run) -> None:
    count = sum(parameter.numel() for parameter in run.model.parameters())
    s = run.settings
    assert run.training is not None and run.train is not None and run.held is not None
    what = f"{run.cell.name}, {s.layers} x {s.hidden}, {count:,} parameters, {run.tokenizer.size} {s.tokenizer}"
    text = f"learning {len(run.train):,} tokens of {s.corpus}, holding out the last {len(run.held):,}"
    print(f"{what}\n{text}", flush=True)
    if run.training.finished:
        print(f"this run has ended, at step {run.training.progress.step}; nothing is added to it", flush=True)


@contextmanager
def _interruptible(run: Run) -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and a closed terminal ask the loop to stop after the step at hand; which did is in the list. A second
    one ends at once."""
    found: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        assert run.training is not None
        if found:
            raise KeyboardInterrupt
        found.append(number)
        run.training.stopping = True

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # as under nohup
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _while_heard(run: Run, tell: Callable[[T], None], signals: list[int]) -> Callable[[T], None]:
    """``tell``, or where nothing more can be written, a stop after the step at hand, as by a signal."""

    def heard(what: T) -> None:
        assert run.training is not None
        try:
            tell(what)
        except OSError as error:
            signals.append(CLOSED)
            run.training.stopping = True
            if not isinstance(error, BrokenPipeError):
                print(f"the output cannot be written: {error.strerror}", file=sys.stderr)

    return heard


@contextmanager
def _lines() -> Iterator[Callable[[dict[str, Any]], None]]:
    yield lambda row: print(json.dumps(row), flush=True)


@contextmanager
def _plain(run: Run) -> Iterator[Callable[[dict[str, Any]], None]]:
    last = [time.monotonic() - PLAIN_EVERY]

    def tell(row: dict[str, Any]) -> None:
        if "held_out" in row:
            print(f"step {row['step']}  held-out {row['held_out']:.4f} nats, {row['held_out_bits']:.4f} bits", flush=True)
        elif time.monotonic() - last[0] >= PLAIN_EVERY:
            last[0] = time.monotonic()
            print(f"step {row['step']}  {'  '.join(_figures(row))}", flush=True)

    yield tell


@contextmanager
def _bar(run: Run, console: Console) -> Iterator[Callable[[dict[str, Any]], None]]:
    columns = (
        BarColumn(bar_width=max(4, min(40, console.width // 4))),
        TextColumn("{task.percentage:>3.0f}%", table_column=Column(no_wrap=True, min_width=4)),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True, min_width=5)),
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
    )
    room = console.width - max(4, min(40, console.width // 4)) - 13
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=1.0)

        def tell(row: dict[str, Any]) -> None:
            assert run.training is not None
            progress.update(task, completed=run.training.done)
            if "held_out" not in row:
                progress.update(task, description=_fitting(_figures(row), room))
                return
            progress.console.print(f"held-out {row['held_out']:.4f} nats, {row['held_out_bits']:.4f} bits")
            progress.console.print(run.training.task.example(run.model), style="dim", markup=False)

        yield tell


def _figures(row: dict[str, Any]) -> list[str]:
    """What a row of training says, the most important first."""
    speed = f"{row['tokens_per_second']:,} tokens/s"
    return [f"{row['bits']:.3f} bits", speed, f"gradient {row['gradient_norm']:.2f}", f"rate {row['learning_rate']:.2g}"]


def _fitting(parts: list[str], room: int) -> str:
    """As many of the parts as there is room for, and the first in any case."""
    while len(parts) > 1 and len("  ".join(parts)) > room:
        parts = parts[:-1]
    return "  ".join(parts)


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
