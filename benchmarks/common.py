"""What the benchmarks share: a zoo cell's work, and the files of results."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rondeau.benchmark.measure import Shape, Work, circumstances, work
from rondeau.cells import get
from rondeau.errors import InputError
from rondeau.ir import Cell
from rondeau.nn import Recurrent

RESULTS = Path(__file__).parent / "results"
STAT = Path("/proc/stat")


def fitting(cell: Cell, shape: Shape) -> Shape:
    """The shape, with the hidden size lowered until the cell's groups divide it."""
    try:
        for width in (*(state.width for state in cell.states), *(item.rows for item in cell.parameters)):
            width.bind(shape.sizes(cell))
    except InputError:
        return fitting(cell, replace(shape, hidden=shape.hidden - 1))
    return shape


def zoo_work(name: str, shape: Shape) -> Work:
    """A cell of the zoo on random data with its own initial values."""
    torch.manual_seed(0)
    cell = get(name)
    others = {size: shape.hidden for size in cell.sizes if size not in ("input", "hidden")}
    return work(cell, Recurrent(cell, shape.input, shape.hidden, **others).params, shape)


def undisturbed(measure: Callable[[], dict[str, Any]], attempts: int = 5) -> dict[str, Any]:
    """What ``measure`` returns, begun when the machine is idle, and repeated while other processes took more than a
    twentieth of a core meanwhile. The share that they took is added as ``others``; elsewhere than on Linux it is not known."""
    if not STAT.exists():
        return measure()
    found = []
    while not found or (found[-1]["others"] > 0.05 and len(found) < attempts):
        _wait()
        begin, busy, own = time.perf_counter(), _busy(), sum(os.times()[:4])
        line = measure()
        others = _busy() - busy - (sum(os.times()[:4]) - own)
        found.append({**line, "others": round(max(others, 0.0) / (time.perf_counter() - begin), 3)})
    return min(found, key=lambda line: line["others"])


def _busy() -> float:
    """Seconds that all cores together have worked since the start of the machine."""
    user, nice, system, _, _, *rest = map(int, STAT.read_text(encoding="ascii").splitlines()[0].split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def _wait(patience: float = 60.0) -> None:
    """Returns when the machine has been idle for half a second, or patience is over."""
    end = time.perf_counter() + patience
    while time.perf_counter() < end:
        busy = _busy()
        time.sleep(0.5)
        if _busy() - busy < 0.05:
            return


def write(name: str, line: Mapping[str, Any]) -> None:
    """Appends a line to a file of results, with what else the figures depend on."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({**line, **circumstances(), "commit": commit}) + "\n")
    print(json.dumps(line), flush=True)
