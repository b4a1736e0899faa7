"""The stages from equations to machine code, as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rondeau.engine.compile.emitter import Kernel
from rondeau.engine.compile.pipeline import Pipeline
from rondeau.engine.compile.printing import gradient_text, plan_text
from rondeau.engine.compile.target import FLOAT32
from rondeau.engine.llvm.host import host_emitter
from rondeau.errors import InputError
from rondeau.ir.cell import Cell
from rondeau.ir.printing import equations

Kernels = Pipeline[Kernel]


def stage(cell: Cell, name: str, sizes: Mapping[str, int]) -> str:
    """One stage of a cell's way to a kernel, for float32 and these sizes.

    Raises:
        InputError: no such stage, or a size is missing.
    """
    if name not in STAGES:
        raise InputError(f"the stage is one of {', '.join(STAGES)}, not {name!r}")
    given = [item.name for item in (*cell.contexts, *cell.masks)]
    return STAGES[name](Pipeline(cell, sizes, host_emitter(FLOAT32), given))


def gradient(pipeline: Kernels) -> str:
    """What the reverse step computes, with the values that the forward step saves for it by name."""
    return gradient_text(pipeline.layout.step, pipeline.layout.reverse)


def plans(pipeline: Kernels) -> str:
    """The blocks of the training kernel and of the backward kernel."""
    return f"train:\n{plan_text(pipeline.plan('train'))}\nbackward:\n{plan_text(pipeline.plan('backward'))}"


def llvm(pipeline: Kernels) -> str:
    """The LLVM text of the training and backward kernels, as written."""
    return f"; train\n{pipeline.code('train').text}\n; backward\n{pipeline.code('backward').text}"


def machine_code(pipeline: Kernels) -> str:
    """Their assembly for this processor."""
    train, backward = (pipeline.emitter.assembly(pipeline.code(kernel)) for kernel in ("train", "backward"))
    return f"# train\n{train}\n# backward\n{backward}"


STAGES: dict[str, Callable[[Kernels], str]] = {
    "equations": lambda pipeline: equations(pipeline.cell),
    "gradient": gradient,
    "plan": plans,
    "llvm": llvm,
    "asm": machine_code,
}
