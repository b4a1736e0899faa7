"""``rondeau bench``: how fast a cell runs here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rondeau.cli import chosen, complete

if TYPE_CHECKING:
    from rich.table import Table

    from rondeau.benchmark.measure import Competitor, Shape, Timing, Work
    from rondeau.ir import Cell

YARDSTICK = "nn.LSTM"
WIDE = 80  # columns that the whole table takes, with some room
NOTE = "train: forward and all gradients; ms: the shortest; ratio to the first row's"


def command(
    cell: Annotated[str, typer.Argument(help=chosen.HELP, autocompletion=complete.cells)] = "lstm",
    shape: Annotated[str, typer.Option(help="Time, batch, input and hidden size.")] = "100,32,256,256",
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    repeats: Annotated[int, typer.Option(help="Rounds in which all take turns.")] = 10,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="compiled, torch, reference (a loop in Python), or nn.LSTM (PyTorch's, of the same size: a yardstick). May be"
            " given several times; all that can run the cell if not given."
        ),
    ] = None,
    size: Annotated[list[str] | None, typer.Option(help=chosen.SIZES, metavar="NAME=NUMBER")] = None,
    json: Annotated[Path | None, typer.Option(help="A file to which the figures are appended as JSON lines.")] = None,
) -> None:
    """Time a cell, forward with all gradients and inference, on one backend after another.

    Their results are compared first. The first backend is the base of the ratios.

    Example: rondeau bench peephole_lstm --shape 100,16,64,128 --against compiled --against nn.LSTM
    """
    from rondeau.errors import InputError

    found = chosen.find(cell)
    extent = _extent(found, shape, chosen.sizes(size))
    if dtype not in ("float32", "float64"):
        raise InputError(f"--dtype is float32 or float64, not {dtype!r}")
    if repeats < 1:
        raise InputError(f"--repeats is at least 1, not {repeats}")
    task = _task(found, extent, dtype)
    names = _competing(task, against)
    _write(json, [])  # before the time is spent
    lines = _measured(task, names, extent, dtype, repeats)
    _write(json, lines)
    _show(_title(found.name, dtype, extent), lines)


def _task(cell: Cell, extent: Shape, dtype: str) -> Work:
    """What is to be done: a run of the cell with the weights of a new layer."""
    import torch

    from rondeau.benchmark.measure import work
    from rondeau.nn import Recurrent

    others: dict[str, Any] = {name: value for name, value in extent.sizes(cell).items() if name not in ("input", "hidden")}
    layer = Recurrent(cell, extent.input, extent.hidden, dtype=getattr(torch, dtype), **others)
    return work(cell, layer.params, extent)


def _measured(task: Work, names: list[str], extent: Shape, dtype: str, repeats: int) -> list[dict[str, Any]]:
    """The figures of all competitors, once their results are equal."""
    from rondeau.benchmark.measure import assert_equal, interleave, operations
    from rondeau.cells import lstm
    from rondeau.engine.backends.registry import named

    backends = [named(name) for name in names if name != YARDSTICK]
    assert_equal([task.first().on(name) for name in backends])
    runs = [*(task.on(name) for name in backends), *([_yardstick(task)] if YARDSTICK in names else [])]
    times = {kind: interleave(_functions(runs, kind), repeats=repeats) for kind in ("train", "infer")}
    counts = {one.name: operations(lstm() if one.name == YARDSTICK else task.cell, extent) for one in runs}
    return [_line(task.cell.name, extent, dtype, name, count, times) for name, count in counts.items()]


def _extent(cell: Cell, shape: str, others: dict[str, int]) -> Shape:
    """The size of the run."""
    from dataclasses import replace

    extent = _shape(shape)
    chosen.every_size(cell, extent.input, extent.hidden, others)  # refuses what the cell has not
    return replace(extent, others=tuple(others.items()))


def _shape(text: str) -> Shape:
    from rondeau.benchmark.measure import Shape
    from rondeau.errors import InputError

    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(
            f"--shape is four positive whole numbers, time,batch,input,hidden, such as 100,32,256,256; not {text!r}"
        )
    time, batch, input, hidden = map(int, parts)
    return Shape(time, batch, input, hidden)


def _competing(task: Work, against: list[str] | None) -> list[str]:
    """The names of those to measure, backends first."""
    from rondeau.engine import BACKENDS, explain
    from rondeau.errors import InputError

    names: list[str] = list(BACKENDS)
    refusals = explain(task.cell, task.x, task.params, **task.options()).refusals
    unknown = [name for name in against or () if name not in (*names, YARDSTICK)]
    if unknown:
        raise InputError(f"--against is one of {', '.join([*names, YARDSTICK])}, not {unknown[0]!r}")
    for name in against or ():
        if name in refusals:
            raise InputError(f"the backend {name} cannot run {task.cell.name} here: {refusals[name]}")
    able = [name for name in [*names, YARDSTICK] if name not in refusals]
    chosen = [name for name in able if name in against] if against else able
    if chosen == [YARDSTICK]:
        raise InputError(f"--against {YARDSTICK} alone leaves out {task.cell.name}; name a backend too")
    return chosen


def _yardstick(task: Work) -> Competitor:
    import torch

    from rondeau.benchmark.measure import layer

    module = torch.nn.LSTM(task.x.shape[-1], task.gradient.shape[-1], batch_first=True, dtype=task.x.dtype)
    return layer(YARDSTICK, module, task.x, task.gradient)


def _functions(runs: list[Competitor], kind: str) -> dict[str, Any]:
    return {one.name: getattr(one, kind) for one in runs}


def _line(cell: str, size: Shape, dtype: str, name: str, count: int, times: dict[str, dict[str, Timing]]) -> dict[str, Any]:
    """The figures of one competitor. All gradients take twice the operations of the forward run."""
    from rondeau.benchmark.measure import circumstances

    line: dict[str, Any] = {"cell": cell, "shape": size.numbers, "dtype": dtype, "on": name}
    line |= {"sizes": dict(size.others)} if size.others else {}
    for kind, flops in (("train", 3 * count), ("infer", count)):
        own, base = times[kind][name], next(iter(times[kind].values()))
        line[kind] = {
            "least_ms": own.least, "median_ms": own.median, "ratio": own.least / base.least, "gflops": flops / own.least / 1e6,
        }  # fmt: skip
    return line | circumstances()


def _write(path: Path | None, lines: list[dict[str, Any]]) -> None:
    """Appends JSON lines.

    Raises:
        InputError: the file cannot be written.
    """
    import json

    from rondeau.errors import InputError

    if path is None:
        return
    if path.is_fifo():
        raise InputError(f"--json {path} is a FIFO, whose reader would be waited for; choose a file")
    try:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
    except OSError as error:
        raise InputError(f"--json {path} cannot be written: {error.strerror}; choose another file") from None


def _title(cell: str, dtype: str, size: Shape) -> str:
    named = [*zip(("time", "batch", "input", "hidden"), size.numbers), *size.others]
    return f"{cell}, {dtype}, " + ", ".join(f"{name} {value}" for name, value in named)


def _show(title: str, lines: list[dict[str, Any]]) -> None:
    """One table; where it is wider than the terminal, one for training and below it one for inference."""
    from rich.console import Console

    console = Console(highlight=False)
    parts = [("train", "infer")] if console.width >= WIDE else [("train",), ("infer",)]
    console.print(title, markup=False)
    for kinds in parts:
        console.print(_table(kinds, lines))
    console.print(NOTE, style="dim")


def _table(kinds: tuple[str, ...], lines: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("", min_width=max(len(line["on"]) for line in lines))
    for kind in kinds:
        for head in (f"{kind} ms", "median", "ratio", "GFLOP/s"):
            table.add_column(head, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(line["on"], *(field for kind in kinds for field in _fields(line[kind])))
    return table


def _fields(figures: dict[str, float]) -> list[str]:
    speed = figures["gflops"]
    least, median, ratio = (_short(figures[name]) for name in ("least_ms", "median_ms", "ratio"))
    return [least, median, ratio, f"{speed:.0f}" if speed >= 10 else f"{speed:.2g}"]


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 1000 else f"{value:.0f}"
