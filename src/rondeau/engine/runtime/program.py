"""`Program`: the kernels of one cell at given sizes, with the memory that they run in; `Programs`: all those of a machine."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.emitter import Code, Kernel, Machine
from rondeau.engine.compile.layout import KernelName
from rondeau.engine.compile.pipeline import Pipeline
from rondeau.engine.compile.target import REALS
from rondeau.engine.inputs.scan_inputs import ScanInputs
from rondeau.engine.runtime.arena import allocate
from rondeau.engine.runtime.batch_rows import BatchRows, rows_of
from rondeau.engine.runtime.buffers import bound, frame
from rondeau.engine.runtime.call import Call, Frames, given_buffers, slots
from rondeau.engine.runtime.hoisted import hoisted_values, project
from rondeau.engine.runtime.parameter_gradients import Recipe
from rondeau.ir.cell import Cell

Buffers = Mapping[Buffer, Tensor]
Y, COLUMNS = Buffer("y"), Buffer("columns")

PROGRAMS = 128  # cells at certain sizes whose kernels are kept; each takes up to a megabyte
FRAMES = 64  # numbers of rows for which a program remembers where its buffers lie


class SavedForBackward(NamedTuple):
    """What a training run leaves for its backward run: one piece of memory, and hoisted values by buffer."""

    memory: Tensor
    hoisted: Buffers


class Forward(NamedTuple):
    """A forward run before it goes: its call, its results as they lie in memory, and the memory that it uses."""

    call: Call
    results: list[Tensor]
    saved: SavedForBackward
    workspace: Tensor


class Program:
    """The kernels of a cell at its sizes, each built when first needed, and the memory that they run in."""

    def __init__(self, pipeline: Pipeline[Kernel], machine: Machine, dtype: torch.dtype) -> None:
        self.pipeline, self.machine, self.dtype, self.layout = pipeline, machine, dtype, pipeline.layout
        self.kernels: dict[KernelName, Kernel] = {}
        self.framed: dict[tuple[KernelName, int, int, int], Frames] = {}

    def kernel(self, name: KernelName) -> tuple[Code, Kernel]:
        """The text of a kernel, and the kernel."""
        if name not in self.kernels:
            self.kernels[name] = self.pipeline.build(name)
        return self.pipeline.code(name), self.kernels[name]

    @cached_property
    def recipe(self) -> Recipe:
        """How the gradients are put together."""
        return Recipe(self.layout)

    # memory

    @cached_property
    def saved_buffers(self) -> tuple[Buffer, ...]:
        """The buffers that a training run fills and its backward run reads."""
        read = {store.place.buffer for store in self.layout.saved} | self.layout.operands
        for block in self.pipeline.plan("backward").blocks:
            read |= {load.place.buffer for load in block.loads}
            read |= {term.operand.buffer for group in block.groups for terms in group.terms for term in terms}
        filled = {store.place.buffer for store in self.layout.saved} | {COLUMNS}
        return tuple(buffer for buffer in self.layout.buffers if buffer in read & filled)

    def bound(self, batch: int, time: int) -> int:
        """Elements that suffice for what a training run keeps."""
        return bound((batch * time, self.layout.buffers[buffer][1]) for buffer in self.saved_buffers)

    def frames(self, kind: KernelName, rows: BatchRows) -> Frames:
        """Where the buffers of a kernel lie; remembered for some numbers of rows."""
        key = (kind, rows.count, rows.batch, rows.parts)
        found = self.framed.get(key)
        if found is None:
            if len(self.framed) >= FRAMES:
                self.framed.clear()
            found = self.framed[key] = self._frames(*key)
        return found

    def _frames(self, kind: KernelName, rows: int, batch: int, parts: int) -> Frames:
        code, _ = self.kernel(kind)
        counts = {"step": rows, "sequence": batch, "constant": parts}
        levels = {name: (counts[level], row) for name, (level, row) in self.layout.buffers.items()}
        saved = frame((name, levels[name]) for name in (self.saved_buffers if kind != "infer" else ()))
        read = [*code.buffers, *([COLUMNS] if self.layout.columns and kind != "backward" else [])]
        own = {name: levels[name] for name in read if name in levels and not name.external and name not in saved.at}
        zeros = [(name, shape) for name, shape in own.items() if name.summed]
        scratch = [(name, (batch, width)) for name, width in code.scratch]
        packs = [(name, (1, size)) for name, size in code.packed]
        workspace = frame(dict([*zeros, *own.items(), *scratch, *packs]).items())
        zeroed = max((workspace.at[name][0] + count * row for name, (count, row) in zeros), default=0)
        given = given_buffers(self.layout, kind == "backward")
        return Frames(saved, workspace, given, zeroed, slots(code.buffers, saved, workspace, given, self.dtype.itemsize))

    @cached_property
    def weights(self) -> int:
        """Bytes of the matrices that every step reads."""
        terms = [t for block in self.pipeline.plan("infer").blocks for g in block.groups for ts in g.terms for t in ts]
        return sum(self.layout.step.width(term.matrix) * term.inner for term in terms) * self.dtype.itemsize

    # running

    def rows(self, inputs: ScanInputs) -> BatchRows:
        """The rows of a run: each thread takes a part of the batch, unless all would only wait for the same weights."""
        threads = self.machine.threads()
        if threads == 1:
            return rows_of(inputs, 1, 1)
        team = self.pipeline.emitter.tiling.team_size(self.weights, inputs.batch, threads)
        if team > 1 and self.machine.teams():
            return rows_of(inputs, 1, team)
        return rows_of(inputs, max(1, min(threads, inputs.batch)), 1)

    def prepare(self, inputs: ScanInputs, rows: BatchRows, memory: Tensor | None = None, keep: bool = False) -> Forward:
        """A forward run, ready to go; with ``keep`` it leaves what a backward run needs, in ``memory`` if given."""
        kind: KernelName = "train" if keep else "infer"
        x = inputs.x
        at = self.frames(kind, rows)
        if keep and memory is None:
            memory = allocate(x, at.saved.size)
        workspace = allocate(x, at.workspace.size)
        saved = workspace if memory is None else memory  # a run that keeps nothing uses nothing of it
        hoisted = hoisted_values(self.layout, inputs, rows)
        if self.layout.columns:
            home = (at.saved, saved) if COLUMNS in at.saved.at else (at.workspace, workspace)
            project(self.layout, inputs, rows, home[0].view(home[1], COLUMNS))
        y, *traces = [rows.empty(x, width) for width in self._widths]
        results = [y, *[rows.sorted_copy(value) for value in inputs.state], *traces]
        given = [*results, *_contiguous(inputs.params), *hoisted.values()]
        call = self._call(kind, at, saved, workspace, given, rows)
        return Forward(call, results, SavedForBackward(saved, hoisted), workspace)

    @cached_property
    def _widths(self) -> tuple[int, ...]:
        """The widths of the output and of the traced values."""
        step = self.layout.step
        return tuple(step.width(expr) for expr in (step.output, *step.traced))

    def forward(
        self, inputs: ScanInputs, memory: Tensor | None = None, keep: bool = False
    ) -> tuple[list[Tensor], SavedForBackward | None]:
        """Outputs, last states and traces; with ``keep`` also what a backward run needs, in ``memory`` if given."""
        rows, n = self.rows(inputs), len(inputs.state)
        run = self.prepare(inputs, rows, memory, keep)
        run.call()
        outputs = run.results
        if rows.source is not None:
            y, *rest = outputs
            outputs = [rows.from_rows(y), *map(rows.unsort, rest[:n]), *map(rows.from_rows, rest[n:])]
        return outputs, run.saved if keep else None

    def backward(self, inputs: ScanInputs, saved: SavedForBackward, gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The gradients of `ScanInputs.tensors` from those of the outputs."""
        rows, x, n = self.rows(inputs), inputs.x, len(inputs.state)
        at = self.frames("backward", rows)
        workspace = allocate(x, at.workspace.size)
        ctypes.memset(workspace.data_ptr(), 0, at.zeroed * self.dtype.itemsize)
        stepwise = zip([gradients[0], *gradients[1 + n :]], self._widths)
        dy, *traces = [x.new_zeros(rows.count, width) if g is None else rows.in_memory(g) for g, width in stepwise]
        pairs = zip(inputs.state, gradients[1 : 1 + n])
        states = [s.new_zeros(s.shape) if g is None else rows.sorted_copy(g) for s, g in pairs]
        given = [dy, *states, *traces, *_contiguous(inputs.params), *saved.hoisted.values()]
        self._call("backward", at, saved.memory, workspace, given, rows)()
        views = at.views(saved.memory, workspace, given)
        return self.recipe.gradients(inputs, rows, views, [rows.unsort(g) for g in states])

    def _call(
        self, kind: KernelName, at: Frames, saved: Tensor, workspace: Tensor, given: Sequence[Tensor], rows: BatchRows
    ) -> Call:
        return Call(self.kernels[kind], at.words(rows, saved, workspace, given), given)


def _contiguous(values: Mapping[str, Tensor]) -> list[Tensor]:
    return [value if value.is_contiguous() else value.detach().contiguous() for value in values.values()]


class Programs:
    """The programs of a machine, those used last: by cell, sizes, options and type."""

    def __init__(self, machine: Machine, most: int = PROGRAMS) -> None:
        self.machine = machine
        self.made = lru_cache(most)(self._made)

    def of(self, inputs: ScanInputs, single: bool | None = None, keeps: bool = True) -> Program:
        """The program of a run; whether threads have a ``single`` sequence follows from the batch.

        Of one that ``keeps`` nothing for a backward run, products with the sequence stay in the loop where all parameters fit a
        core's cache: a pass over memory costs more than to read their weights at every step.
        """
        sizes = tuple(sorted(inputs.sizes.items()))
        options = (inputs.trace, inputs.clip, inputs.x.dtype)
        alone = inputs.batch <= self.machine.threads() if single is None else single
        return self.made(inputs.cell, sizes, tuple(inputs.extras), *options, alone, keeps)

    def _made(
        self,
        cell: Cell,
        sizes: tuple[tuple[str, int], ...],
        given: tuple[str, ...],
        trace: tuple[str, ...],
        clip: float | None,
        dtype: torch.dtype,
        single: bool,
        keeps: bool,
    ) -> Program:
        real, known = REALS[str(dtype).removeprefix("torch.")], dict(sizes)
        emitter = self.machine.emitter(real, single)
        weights = real.bytes * sum(math.prod(item.shape(known)) for item in cell.parameters)
        inside = not keeps and weights <= emitter.tiling.core_cache
        return Program(Pipeline(cell, known, emitter, given, trace, clip, inside), self.machine, dtype)
