"""``rondeau bench``: how fast a cell runs here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rondeau.benchmark.measure import Competitor, Shape, Timing, Work

YARDSTICK = "nn.LSTM"


def command(
    cell: Annotated[str, typer.Argument(help="A name from `rondeau cells`.")] = "lstm",
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
    json: Annotated[Path | None, typer.Option(help="A file to which the figures are appended as JSON lines.")] = None,
) -> None:
    """Time a cell, forward with all gradients and inference, on one backend after another.

    Their results are held to one another first. The first backend is the base of the ratios.

    Example: rondeau bench peephole_lstm --shape 100,16,64,128 --against compiled --against nn.LSTM
    """
    import torch

    from rondeau.benchmark.measure import assert_equal, interleave, operations, work
    from rondeau.cells import get
    from rondeau.errors import InputError
    from rondeau.nn import Recurrent

    chosen, size = get(cell), _shape(shape)
    if dtype not in ("float32", "float64"):
        raise InputError(f"--dtype is float32 or float64, not {dtype!r}")
    if repeats < 1:
        raise InputError(f"--repeats is at least 1, not {repeats}")
    others: dict[str, Any] = {name: size.hidden for name in chosen.sizes if name not in ("input", "hidden")}
    layer = Recurrent(chosen, size.input, size.hidden, dtype=getattr(torch, dtype), **others)
    task = work(chosen, layer.params, size)
    names = _competing(task, against)
    backends = [name for name in names if name != YARDSTICK]
    _write(json, [])  # before the time is spent
    assert_equal([task.first().on(name) for name in backends])
    runs = [*(task.on(name) for name in backends), *([_yardstick(task)] if YARDSTICK in names else [])]
    times = {kind: interleave(_functions(runs, kind), repeats=repeats) for kind in ("train", "infer")}
    counts = {one.name: operations(get("lstm") if one.name == YARDSTICK else chosen, size) for one in runs}
    lines = [_line(chosen.name, size, dtype, name, count, times) for name, count in counts.items()]
    _write(json, lines)
    _show(f"{chosen.name}, {dtype}, time {size.time}, batch {size.batch}, input {size.input}, hidden {size.hidden}", lines)


def _shape(text: str) -> Shape:
    from rondeau.benchmark.measure import Shape
    from rondeau.errors import InputError

    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(
            f"--shape is four positive whole numbers, time,batch,input,hidden, such as 100,32,256,256; not {text!r}"
        )
    return Shape(*map(int, parts))


def _competing(task: Work, against: list[str] | None) -> list[str]:
    """The names of those to measure, backends first."""
    from rondeau.engine import BACKENDS, explain
    from rondeau.errors import InputError

    names = [backend.name for backend in BACKENDS]
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
    from dataclasses import astuple

    from rondeau.benchmark.measure import circumstances

    line: dict[str, Any] = {"cell": cell, "shape": astuple(size), "dtype": dtype, "on": name}
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
    try:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
    except OSError as error:
        raise InputError(f"--json {path} cannot be written: {error.strerror}; choose another file") from None


def _show(title: str, lines: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    note = "train: forward and all gradients; ms: the shortest; ratio to the first row's"
    table = Table("", title=title, caption=note, box=None, title_justify="left", caption_justify="left")
    for head in ("train ms", "median", "ratio", "GFLOP/s", "infer ms", "median", "ratio", "GFLOP/s"):
        table.add_column(head, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(line["on"], *_fields(line["train"]), *_fields(line["infer"]))
    Console().print(table)


def _fields(figures: dict[str, float]) -> list[str]:
    speed = figures["gflops"]
    least, median, ratio = (f"{figures[name]:.2f}" for name in ("least_ms", "median_ms", "ratio"))
    return [least, median, ratio, f"{speed:.0f}" if speed >= 10 else f"{speed:.2g}"]
