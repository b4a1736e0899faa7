"""Golden plans: what `schedule` makes of a dozen cells of different kinds, whatever the processor.

``python tests/engine/test_plans.py`` writes the files of ``plans`` anew; read their differences before you commit them.
"""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from rondeau import cell, concat, context, input, past, softmax, state, tanh, weight
from rondeau.cells import ALL
from rondeau.engine import stages
from rondeau.engine.compile.target import FLOAT32, Processor, Target, Types
from rondeau.engine.compile.tiling import Tiling
from rondeau.engine.llvm.emitter import LLVM
from rondeau.ir import Cell

FOLDER = Path(__file__).parent / "plans"
EMITTER = LLVM(Target(Processor("any processor", 256), Types.all(FLOAT32)), Tiling(heights=(3, 2, 1)))
SIZES = {"input": 20, "hidden": 24, "projection": 6, "output": 5, "context": 3}
ZOO = ("elman", "lstm", "peephole_lstm_full", "gru", "gru_reset_before", "min_gru", "projected_lstm", "zoneout_lstm",
       "layer_norm_gru", "deep_transition_rnn", "clockwork", "conditioned_lstm")  # fmt: skip


@cell
def focusing(x=input(), h=state(), v=context("hidden"), U=weight("hidden", "hidden"), W=weight("hidden", "input")):
    a = softmax(U @ h + v)
    h = tanh(concat(a[:"hidden/3"] * past(h, 2)["2*hidden/3":], (W @ x)["hidden/3":]))
    return h


CELLS: dict[str, Cell] = {**{name: ALL[name] for name in ZOO}, "focusing": focusing}


def text(item: Cell) -> str:
    """The golden text of a cell: its equations and its plans."""
    with mock.patch.object(stages, "host_emitter", lambda real: EMITTER):
        plans = stages.stage(item, "plan", {name: SIZES[name] for name in item.sizes})
    return "\n".join(line.rstrip() for line in f"{item}\n\n{plans}".splitlines()) + "\n"


@pytest.mark.parametrize("name", CELLS)
def test_the_plan_is_the_one_on_file(name: str) -> None:
    file, found = FOLDER / f"{name}.txt", text(CELLS[name])
    expected = file.read_text(encoding="utf-8") if file.exists() else ""
    changes = "\n".join(difflib.unified_diff(expected.splitlines(), found.splitlines(), str(file), "now", lineterm=""))
    assert found == expected, (
        f"the plan of {name} is another than the one on file. If that is meant, write the files anew with\n"
        f"    python tests/engine/test_plans.py\nand read what changed:\n{changes}"
    )


def test_every_file_has_a_cell() -> None:
    assert {file.stem for file in FOLDER.glob("*.txt")} == set(CELLS)


TURNING = """
from rondeau import cell, input, state, weight
from rondeau.engine.compile.pipeline import Pipeline
from rondeau.engine.compile.target import FLOAT32
from rondeau.engine.llvm.host import host_emitter

@cell
def turning(x=input(2), a=state(2), b=state(2), c=state(2), d=state(2), U=weight(2, 2)):
    return x + U @ b, U @ c, U @ d, U @ a

print(Pipeline(turning, {}, host_emitter(FLOAT32)).code("train").text)
"""


def test_the_code_does_not_depend_on_the_order_of_sets() -> None:
    """Or a kernel on disk would not be found again."""
    seeds = [{**os.environ, "PYTHONHASHSEED": seed} for seed in "123"]
    runs = [subprocess.Popen([sys.executable, "-c", TURNING], env=env, stdout=subprocess.PIPE) for env in seeds]
    texts = {run.communicate()[0] for run in runs}
    assert len(texts) == 1 and b"@part" in texts.pop()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, item in CELLS.items():
        (FOLDER / f"{name}.txt").write_text(text(item), encoding="utf-8", newline="\n")
