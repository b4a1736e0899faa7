"""Watching a run of any kind: a progress bar on a terminal, plain lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from rondeau.train import BaseRun

PLAIN_EVERY = 10.0  # seconds between plain lines
T = TypeVar("T")
CLOSED = 13  # the number of SIGPIPE, which not every system has


def watch(run: BaseRun, as_json: bool, introduction: str) -> None:
    """Trains ``run`` to its end under the eyes of whoever started it; Ctrl-C, SIGTERM and a closed output save and end.

    Args:
        run: ready to be fitted, with a folder.
        as_json: whether to print the rows of the record as JSON lines, and nothing else.
        introduction: what to say first.

    Raises:
        typer.Exit: it was stopped; the status is 128 and the number of the signal, 130 for Ctrl-C.
    """
    console = Console(highlight=False)
    show = _lines() if as_json else _bar(run, console) if console.is_terminal else _plain(run)
    assert run.training is not None and run.folder is not None
    with _interruptible(run) as signals, show as tell:
        if not as_json:
            _while_heard(run, _say, signals)(introduction)
        if not as_json and run.training.finished:
            ended = f"this run has ended, at step {run.training.progress.step}; nothing is added to it"
            _while_heard(run, _say, signals)(ended)
        run.fit(_while_heard(run, tell, signals))
    if not run.training.finished:
        print(f"stopped and saved; go on with: rondeau resume {run.folder.path}", file=sys.stderr)
        raise typer.Exit(128 + signals[0] if signals else 1)


def _say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def _interruptible(run: BaseRun) -> Iterator[list[int]]:
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


def _while_heard(run: BaseRun, tell: Callable[[T], None], signals: list[int]) -> Callable[[T], None]:
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
def _plain(run: BaseRun) -> Iterator[Callable[[dict[str, Any]], None]]:
    last = [time.monotonic() - PLAIN_EVERY]

    def tell(row: dict[str, Any]) -> None:
        if "steps" not in row:
            print(f"step {row['step']}  {_evaluated(run, row)}", flush=True)
        elif time.monotonic() - last[0] >= PLAIN_EVERY:
            last[0] = time.monotonic()
            print(f"step {row['step']}  {'  '.join(_figures(run, row))}", flush=True)

    yield tell


@contextmanager
def _bar(run: BaseRun, console: Console) -> Iterator[Callable[[dict[str, Any]], None]]:
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
            if "steps" in row:
                progress.update(task, description=_fitting(_figures(run, row), room))
                return
            progress.console.print(_evaluated(run, row))
            progress.console.print(run.training.task.example(run.model), style="dim", markup=False)

        yield tell


def _evaluated(run: BaseRun, row: dict[str, Any]) -> str:
    """What a row of evaluation says, in the words of its metrics."""
    assert run.training is not None
    return ", ".join(metric.say(row[metric.name]) for metric in run.training.task.metrics)


def _figures(run: BaseRun, row: dict[str, Any]) -> list[str]:
    """What a row of training says, the most important first."""
    assert run.training is not None
    unit = run.training.task.unit
    loss = f"{row['bits']:.3f} bits" if "bits" in row else f"loss {row['loss']:.4g}"
    speed = f"{row[f'{unit}_per_second']:,} {unit}/s"
    return [loss, speed, f"gradient {row['gradient_norm']:.2f}", f"rate {row['learning_rate']:.2g}"]


def _fitting(parts: list[str], room: int) -> str:
    """As many of the parts as there is room for, and the first in any case."""
    while len(parts) > 1 and len("  ".join(parts)) > room:
        parts = parts[:-1]
    return "  ".join(parts)
