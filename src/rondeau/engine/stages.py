"""The stages from equations to machine code, as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from rondeau.engine.compile.canonicalise import normalise
from rondeau.engine.compile.layout import arrange
from rondeau.engine.compile.printing import gradient_text, plan_text
from rondeau.engine.llvm.build import assembly
from rondeau.engine.runtime.program import Program
from rondeau.errors import InputError
from rondeau.ir.cell import Cell
from rondeau.ir.text import equations

STAGES = ("equations", "gradient", "plan", "llvm", "asm")


def stage(cell: Cell, name: str, sizes: Mapping[str, int]) -> str:
    """One stage of a cell's way to a kernel, for float32 and these sizes.

    Raises:
        InputError: no such stage, or a size is missing.
    """
    if name not in STAGES:
        raise InputError(f"the stage is one of {', '.join(STAGES)}, not {name!r}")
    if name == "equations":
        return equations(cell)
    given = [item.name for item in (*cell.contexts, *cell.masks)]
    program = Program(arrange(normalise(cell, sizes, given)), torch.float32)
    makers: dict[str, Callable[[Program], str]] = {"gradient": gradient, "plan": plans, "llvm": llvm, "asm": machine_code}
    return makers[name](program)


def gradient(program: Program) -> str:
    """What the reverse step computes, with the values that the forward step saves for it by name."""
    return gradient_text(program.layout)


def plans(program: Program) -> str:
    """The blocks of the training kernel and of the backward kernel."""
    return "\n".join(f"{kind}:\n{plan_text(program.plan(kind))}" for kind in ("train", "backward"))


def llvm(program: Program) -> str:
    """The LLVM text of the training and backward kernels, as written."""
    return "\n".join(f"; {kind}\n{program.code(kind).text}" for kind in ("train", "backward"))


def machine_code(program: Program) -> str:
    """Their assembly for this processor."""
    return "\n".join(f"# {kind}\n{assembly(program.code(kind).text)}" for kind in ("train", "backward"))
