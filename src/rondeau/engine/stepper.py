"""`Stepper`: one sequence, step after step, each an entry of a table: no tensor is made in a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rondeau.engine.backends import compiled
from rondeau.engine.compile.arguments import HEADER
from rondeau.engine.inputs.check import check_inputs
from rondeau.engine.inputs.scan_inputs import States
from rondeau.engine.runtime.batch_rows import dense
from rondeau.errors import InputError
from rondeau.ir.cell import Cell

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Stepper:
    """A cell that reads one entry of a table of inputs at a time.

    What depends on the entry alone is worked out for the whole table once, and the weights are laid out once.

    Args:
        cell: the equations, without contexts.
        params: each parameter by name.
        table: (entries, input).
        state: the states before the first step, each (1, width).

    Raises:
        InputError: an argument does not fit, or no kernel can run this.

    Example:
        >>> from rondeau import cells
        >>> params = {"W": torch.eye(2), "U": torch.zeros(2, 2), "b": torch.zeros(2)}
        >>> stepper = Stepper(cells.elman("relu"), params, torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
        >>> stepper.step(1)
        array([0., 2.], dtype=float32)
    """

    @torch.no_grad()
    def __init__(self, cell: Cell, params: Mapping[str, Tensor], table: Tensor, state: States | None = None) -> None:
        inputs = check_inputs(cell, params, table.unsqueeze(0), state)
        refusal = compiled.refusal(inputs)
        if refusal is not None:
            raise InputError(f"no kernel can run this: {refusal}")
        once = np.ones(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
        parts = np.array([[0, *(values.ctypes.data for values in once)]], dtype=np.int64)
        rows = replace(dense(1, len(table), False, 1, 1, False), steps=1, parts=1, team=1, table=parts, owners=once)
        program = compiled.PROGRAMS.of(inputs)
        self._run = program.prepare(inputs, rows)
        self._rows, call = rows, self._run.call
        levels, (code, kernel) = program.layout.buffers, program.kernel("infer")
        size, self._entries = table.element_size(), len(table)
        # the words of the argument table that point to a buffer with a row for each step, here one for each entry
        self._per_entry = [
            (HEADER + i, call.words[HEADER + i], levels[name][1] * size)
            for i, name in enumerate(code.buffers)
            if name in levels and levels[name][0] == "step" and name.kind != "y"
        ]
        self._words = call.words
        kernel.pack(call.address, 0, 1)
        self._go = partial(kernel.brief, call.address, 0, 0, 1)
        self._output = self._run.results[0][0, 0].numpy()

    def step(self, entry: int) -> NDArray[np.floating[Any]]:
        """The output after reading an entry, (width,): always the same array, with new values.

        Raises:
            InputError: the table has no such entry.
        """
        if not 0 <= entry < self._entries:
            raise InputError(f"the table has the entries 0 to {self._entries - 1}, not {entry!r}")
        for at, first, row in self._per_entry:
            self._words[at] = first + entry * row
        self._go()
        return self._output

    @property
    def state(self) -> States:
        """The states after the last step, each (1, width)."""
        return tuple(self._run.results[1:])
