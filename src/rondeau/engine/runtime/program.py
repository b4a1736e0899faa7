"""`Program`: the kernels of one cell at given sizes, with the memory that they run in."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from rondeau.engine.compile.buffer import Buffer, Kind
from rondeau.engine.compile.emitter import Code
from rondeau.engine.compile.layout import KernelName
from rondeau.engine.compile.pipeline import Pipeline
from rondeau.engine.compile.target import REALS
from rondeau.engine.inputs.scan_inputs import ScanInputs
from rondeau.engine.llvm.arguments import PARTS, TEAM, words
from rondeau.engine.llvm.build import MachineCode
from rondeau.engine.llvm.host import host_emitter
from rondeau.engine.llvm.openmp import available, openmp, side_by_side
from rondeau.engine.runtime.arena import allocate
from rondeau.engine.runtime.batch_rows import BatchRows, rows_of
from rondeau.engine.runtime.buffers import Frame, bound, frame
from rondeau.engine.runtime.hoisted import hoisted_values, project
from rondeau.engine.runtime.parameter_gradients import Recipe
from rondeau.ir.cell import Cell

Buffers = Mapping[Buffer, Tensor]
Y, COLUMNS = Buffer("y"), Buffer("columns")

PROGRAMS = 128  # cells at certain sizes whose kernels are kept; each takes up to a megabyte
FRAMES = 64  # numbers of rows for which a program remembers where its buffers lie


@dataclass(frozen=True)
class SavedForBackward:
    """What a training run leaves for its backward run: one piece of memory, and hoisted values by buffer."""

    memory: Tensor
    hoisted: Buffers


@dataclass(frozen=True)
class Frames:
    """The frames of a kernel: what is saved for backward, and the workspace of one run.

    The first ``zeroed`` elements of the workspace begin as zeros.

    ``places`` has an entry for each buffer of the kernel: in which frame it lies (2: in neither) and its first byte.
    """

    saved: Frame
    workspace: Frame
    zeroed: int
    places: tuple[tuple[int, int], ...]


class Program:
    """The kernels of a cell at its sizes, each built when first needed, and the memory that they run in."""

    def __init__(self, pipeline: Pipeline[MachineCode], dtype: torch.dtype) -> None:
        self.pipeline, self.dtype, self.layout = pipeline, dtype, pipeline.layout
        self.kernels: dict[KernelName, MachineCode] = {}
        self.framed: dict[tuple[KernelName, int, int, int], Frames] = {}

    def kernel(self, name: KernelName) -> tuple[Code, MachineCode]:
        """The text and the machine code of a kernel."""
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

    def frames(self, kind: KernelName, rows: int, batch: int, parts: int) -> Frames:
        """Where the buffers of a kernel lie."""
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
        return Frames(saved, workspace, zeroed, self._places(code, saved, workspace))

    def _places(self, code: Code, saved: Frame, workspace: Frame) -> tuple[tuple[int, int], ...]:
        places = []
        for name in code.buffers:
            home = next((k for k, where in enumerate((saved, workspace)) if name in where.at), 2)
            first = (saved, workspace)[home].at[name][0] if home < 2 else 0
            places.append((home, first * self.dtype.itemsize))
        return tuple(places)

    @cached_property
    def weights(self) -> int:
        """Bytes of the matrices that every step reads."""
        terms = [t for block in self.pipeline.plan("infer").blocks for g in block.groups for ts in g.terms for t in ts]
        return sum(self.layout.step.width(term.matrix) * term.inner for term in terms) * self.dtype.itemsize

    # running

    def rows(self, inputs: ScanInputs) -> BatchRows:
        """The rows of a run: each thread takes a part of the batch, unless all would only wait for the same weights."""
        threads = available()
        team = self.pipeline.emitter.tiling.team_size(self.weights, inputs.batch, threads)
        if team > 1 and openmp():
            return rows_of(inputs, 1, team)
        return rows_of(inputs, max(1, min(threads, inputs.batch)), 1)

    def prepare(self, inputs: ScanInputs, rows: BatchRows, memory: Tensor | None = None, keep: bool = False) -> Forward:
        """A forward run, ready to go; with ``keep`` it leaves what a backward run needs, in ``memory`` if given."""
        kind: KernelName = "train" if keep else "infer"
        x = inputs.x
        at = frames_of(self, kind, rows.count, rows.batch, rows.parts)
        if keep and memory is None:
            memory = allocate(x, at.saved.size)
        workspace = allocate(x, at.workspace.size)
        saved = workspace if memory is None else memory  # a run that keeps nothing uses nothing of it
        given = hoisted_values(self.layout, inputs, rows)
        if self.layout.columns:
            home = (at.saved, saved) if COLUMNS in at.saved.at else (at.workspace, workspace)
            project(self.layout, inputs, rows, home[0].view(home[1], COLUMNS))
        states = [rows.sort(value).clone(memory_format=torch.contiguous_format) for value in inputs.state]
        y = x.new_empty(rows.count, self.layout.buffers[Y][1])
        traces = [x.new_empty(rows.count, self.layout.buffers[Buffer("trace", i)][1]) for i in range(len(inputs.trace))]
        buffers = {Y: y, **given, **self._parameters(inputs), **_numbered("state", states), **_numbered("trace", traces)}
        call = self._call(kind, at, saved, workspace, buffers, rows)
        return Forward(call, [y, *states, *traces], SavedForBackward(saved, given), workspace)

    def forward(
        self, inputs: ScanInputs, memory: Tensor | None = None, keep: bool = False
    ) -> tuple[list[Tensor], SavedForBackward | None]:
        """Outputs, last states and traces; with ``keep`` also what a backward run needs, in ``memory`` if given."""
        rows, n = self.rows(inputs), len(inputs.state)
        run = self.prepare(inputs, rows, memory, keep)
        run.call()
        y, *rest = run.results
        outputs = [rows.from_rows(y), *map(rows.unsort, rest[:n]), *map(rows.from_rows, rest[n:])]
        return outputs, run.saved if keep else None

    def backward(self, inputs: ScanInputs, saved: SavedForBackward, gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The gradients of `ScanInputs.tensors` from those of the outputs."""
        rows, x, n = self.rows(inputs), inputs.x, len(inputs.state)
        at = frames_of(self, "backward", rows.count, rows.batch, rows.parts)
        workspace = allocate(x, at.workspace.size)
        workspace[: at.zeroed].zero_()

        def rowwise(g: Tensor | None, like: Buffer) -> Tensor:
            return x.new_zeros(rows.count, self.layout.buffers[like][1]) if g is None else rows.to_rows(g)

        states = [
            torch.zeros_like(s, memory_format=torch.contiguous_format)
            if g is None
            else rows.sort(g).clone(memory_format=torch.contiguous_format)
            for s, g in zip(inputs.state, gradients[1 : 1 + n])
        ]
        traces = [rowwise(g, Buffer("trace", i)) for i, g in enumerate(gradients[1 + n :])]
        buffers = {Y.derivative: rowwise(gradients[0], Y), **saved.hoisted, **self._parameters(inputs)}
        buffers |= {**_numbered("state", states, gradient=True), **_numbered("trace", traces, gradient=True)}
        self._call("backward", at, saved.memory, workspace, buffers, rows)()
        buffers |= {name: at.saved.view(saved.memory, name) for name in at.saved.at}
        written = [buffer for buffer in at.workspace.at if buffer.gradient or buffer.kind == "cotangents"]
        buffers |= {buffer: at.workspace.view(workspace, buffer) for buffer in written}
        return self.recipe.gradients(inputs, rows, buffers)

    @cached_property
    def _parameter_buffers(self) -> tuple[Buffer, ...]:
        return tuple(Buffer("parameter", item.name) for item in self.layout.step.cell.parameters)

    def _parameters(self, inputs: ScanInputs) -> dict[Buffer, Tensor]:
        values = (value if value.is_contiguous() else value.detach().contiguous() for value in inputs.params.values())
        return dict(zip(self._parameter_buffers, values))

    def _call(self, kind: KernelName, at: Frames, saved: Tensor, workspace: Tensor, buffers: Buffers, rows: BatchRows) -> Call:
        code, kernel = self.kernel(kind)
        bases = (saved.data_ptr(), workspace.data_ptr())
        addresses = [
            bases[home] + first if home < 2 else buffers[name].data_ptr()
            for name, (home, first) in zip(code.buffers, at.places)
        ]
        table = words(rows.steps, rows.stride, rows.parts, rows.address, rows.team, addresses)
        return Call(code, kernel, (ctypes.c_int64 * len(table))(*table), buffers)


@dataclass(frozen=True)
class Call:
    """A kernel with its table of arguments; ``buffers`` are the tensors that the table points into."""

    code: Code
    kernel: MachineCode
    words: ctypes.Array[ctypes.c_int64]
    buffers: Buffers

    def __call__(self) -> None:
        """Runs the kernel over all parts of the batch."""
        address, parts, team = ctypes.addressof(self.words), self.words[PARTS], self.words[TEAM]
        if max(parts, team) == 1 or available() == 1:
            self.kernel.serial(address)
        elif openmp():
            self.kernel.parallel(address)
        else:
            side_by_side(lambda k: self.kernel.pack(address, k, parts), parts)
            side_by_side(lambda k: self.kernel.part(address, k, 0, 1), parts)


@dataclass(frozen=True)
class Forward:
    """A forward run before it goes: its call, its results as rows and sorted sequences, and the memory that it uses."""

    call: Call
    results: list[Tensor]
    saved: SavedForBackward
    workspace: Tensor


def _numbered(kind: Kind, values: Sequence[Tensor], gradient: bool = False) -> dict[Buffer, Tensor]:
    return dict(zip(_buffers(kind, len(values), gradient), values))


@lru_cache(maxsize=256)
def _buffers(kind: Kind, count: int, gradient: bool) -> tuple[Buffer, ...]:
    return tuple(Buffer(kind, i, gradient) for i in range(count))


def frames_of(program: Program, kind: KernelName, rows: int, batch: int, parts: int) -> Frames:
    """`Program.frames`, remembered as long as the program is."""
    key = (kind, rows, batch, parts)
    found = program.framed.get(key)
    if found is None:
        if len(program.framed) >= FRAMES:
            program.framed.clear()
        found = program.framed[key] = program.frames(*key)
    return found


def program_of(inputs: ScanInputs, single: bool | None = None) -> Program:
    """The program of a run's cell, sizes and options; whether threads have a ``single`` sequence follows from the batch."""
    sizes = tuple(sorted(inputs.sizes.items()))
    options = (inputs.trace, inputs.clip, inputs.x.dtype)
    alone = inputs.batch <= available() if single is None else single
    return _program(inputs.cell, sizes, tuple(inputs.extras), *options, alone)


@lru_cache(PROGRAMS)
def _program(
    cell: Cell,
    sizes: tuple[tuple[str, int], ...],
    given: tuple[str, ...],
    trace: tuple[str, ...],
    clip: float | None,
    dtype: torch.dtype,
    single: bool,
) -> Program:
    emitter = host_emitter(REALS[str(dtype).removeprefix("torch.")], single)
    return Program(Pipeline(cell, dict(sizes), emitter, given, trace, clip), dtype)
