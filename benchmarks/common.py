"""What the benchmarks share: a zoo cell's work, and the files of results."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rondeau.cells import get
from rondeau.engine.measure import Shape, Work, circumstances, work
from rondeau.errors import InputError
from rondeau.ir import Cell
from rondeau.nn import Recurrent

RESULTS = Path(__file__).parent / "results"


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


def write(name: str, line: Mapping[str, Any]) -> None:
    """Appends a line to a file of results, with what else the figures depend on."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({**line, **circumstances(), "commit": commit}) + "\n")
    print(json.dumps(line), flush=True)
