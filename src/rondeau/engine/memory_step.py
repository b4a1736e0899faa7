"""`MemoryStep`: one step of a cell on memory that stays where it is, ready to be called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial

import torch
from torch import Tensor

from rondeau.engine.backends import compiled
from rondeau.engine.compile.arguments import HEADER
from rondeau.engine.inputs.check import check_inputs
from rondeau.engine.inputs.scan_inputs import States
from rondeau.engine.runtime.batch_rows import dense
from rondeau.engine.runtime.hoisted import hoisted_values
from rondeau.errors import InputError
from rondeau.ir import Cell, State, verify
from rondeau.ir.expressions import Expr, node
from rondeau.ir.rewrite import rewrite
from rondeau.ir.step import Equation


class MemoryStep:
    """A cell whose step reads its input and contexts from memory, and leaves its states where it found them.

    ``run()`` is one call of a kernel on the calling thread: it allocates nothing, and waits for nothing.

    Args:
        cell: the equations; masks stand at their means.
        params: each parameter by name; their values are copied.
        x: (batch, input), what each step reads.
        state: each (batch, width), contiguous: what each step begins with, and then leaves there.
        contexts: each (batch, width), by name.

    Raises:
        InputError: an argument does not fit, or no kernel can run this.

    Example:
        >>> from rondeau import cells
        >>> x, h = torch.ones(1, 2), torch.zeros(1, 2)
        >>> params = {"W": torch.eye(2), "U": torch.eye(2), "b": torch.zeros(2)}
        >>> step = MemoryStep(cells.elman("relu"), params, x, (h,), {})
        >>> for _ in range(3):
        ...     step.run()
        >>> step.output, h
        (tensor([[3., 3.]]), tensor([[3., 3.]]))
    """

    @torch.no_grad()
    def __init__(
        self, cell: Cell, params: Mapping[str, Tensor], x: Tensor, state: States, contexts: Mapping[str, Tensor]
    ) -> None:
        memory = (*state, x, *(contexts[item.name] for item in cell.contexts))
        copies = {name: value.clone(memory_format=torch.contiguous_format) for name, value in params.items()}
        self._inputs = check_inputs(from_memory(cell), copies, x.unsqueeze(1), memory)
        refusal = compiled.refusal(self._inputs)
        if refusal is not None:
            raise InputError(f"no kernel can step this: {refusal}")
        self._program = compiled.PROGRAMS.of(self._inputs, single=len(x) == 1)
        self._rows = dense(len(x), 1, False, 1, 1, False)
        run = self._program.prepare(self._inputs, self._rows)
        self.output, self._call, self._hoisted = run.results[0].squeeze(1), run.call, run.saved.hoisted
        self._keep = run.workspace, memory  # the table of arguments points there
        code, kernel = self._program.kernel("infer")
        for at, buffer in enumerate(code.buffers, HEADER):
            if buffer.kind == "state":
                self._call.words[at] = memory[int(buffer.key or 0)].data_ptr()
        self._pack = partial(kernel.pack, self._call.address, 0, 1)
        self.run = partial(kernel.brief, self._call.address, 0, 0, 1)
        self._pack()

    @torch.no_grad()
    def refresh(self, params: Mapping[str, Tensor]) -> None:
        """Reads the parameters anew."""
        for name, value in params.items():
            self._inputs.params[name].copy_(value)
        for buffer, value in hoisted_values(self._program.layout, self._inputs, self._rows).items():
            self._hoisted[buffer].copy_(value)
        self._pack()


@lru_cache(maxsize=256)
def from_memory(cell: Cell) -> Cell:
    """The cell with states that stay as they are in place of its input and contexts, so that no value leaves the loop."""
    taken = {item.name for item in cell.declared}
    kept: dict[str, State] = {}
    for item in (cell.input, *cell.contexts):
        kept[item.name] = State(_free(item.name, taken), item.width)
        taken.add(kept[item.name].name)

    def rule(expr: Expr) -> Expr | None:
        if expr.op != "input" or expr.attrs[0] not in kept:
            return None
        return node("state", (), (kept[str(expr.attrs[0])].name,), expr.width)

    new = rewrite([*(e.expr for e in cell.equations), *cell.roots], rule)
    return verify(
        replace(
            cell,
            inputs=(cell.input, *cell.masks),
            states=(*cell.states, *kept.values()),
            equations=tuple(Equation(e.name, new[e.expr]) for e in cell.equations),
            output=new[cell.output],
            next=(*(new[expr] for expr in cell.next), *(state.symbol for state in kept.values())),
        )
    )


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
