"""The compiled backend: any cell as one fused kernel, forward and through time backward, on the CPU."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from rondeau.engine import reference
from rondeau.engine.build import Kernel, build
from rondeau.engine.emit import Code, emit
from rondeau.engine.gradients import Blocks, Gradients
from rondeau.engine.hoist import hoisted
from rondeau.engine.layout import Layout, arrange
from rondeau.engine.memory import Lease
from rondeau.engine.normalise import normalise
from rondeau.engine.problem import Problem
from rondeau.engine.rows import Rows, rows_of
from rondeau.engine.schedule import Plan, Store, schedule
from rondeau.engine.target import machine_for
from rondeau.engine.threads import openmp, parallel
from rondeau.engine.transforms import transforming
from rondeau.engine.twice import gradients_of, with_tensors
from rondeau.ir.cell import Cell

Buffers = dict[str, Tensor]


def refusal(problem: Problem) -> str | None:
    """Why no kernel can run the problem, or None when one can."""
    if problem.x.device.type != "cpu":
        return f"kernels are for the CPU, and x is on {problem.x.device}"
    if problem.x.dtype not in (torch.float32, torch.float64):
        return f"kernels are for float32 and float64, not {problem.x.dtype}"
    if not openmp()["GOMP_parallel"]:
        return "PyTorch's OpenMP library was not found"
    if not problem.batch or not problem.time or not all(problem.sizes.values()):
        return "there is nothing to compile for empty sequences"
    return transforming(problem.tensors)


def run(problem: Problem) -> reference.Result:
    """As `rondeau.engine.reference.run`."""
    program = _program_of(problem)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in problem.tensors):
        outputs = _Scan.apply(program, problem, *problem.tensors)
    else:
        outputs, _ = program.forward(problem, keep=False)
    n = len(problem.state)
    return outputs[0], tuple(outputs[1 : 1 + n]), dict(zip(problem.trace, outputs[1 + n :]))


@dataclass
class Program:
    """The kernels of one cell at given sizes, each built when first needed."""

    layout: Layout
    dtype: torch.dtype
    kernels: dict[str, tuple[Code, Kernel]] = field(default_factory=dict)

    def plan(self, kind: str) -> Plan:
        """The plan of the kernel ``infer``, ``train`` or ``backward``."""
        layout, backward = self.layout, kind == "backward"
        stores: tuple[Store, ...] = layout.back_stores if backward else layout.stores
        if kind == "train":
            stores = (*stores, *layout.kept)
        loads = dict(layout.back_loads if backward else layout.loads)
        return schedule(stores, loads, layout.step.width, machine_for(self.dtype).tile)

    def code(self, kind: str) -> Code:
        """The LLVM text of a kernel."""
        layout = self.layout
        return emit(self.plan(kind), machine_for(self.dtype), layout.step.width, Blocks(layout), kind == "backward")

    def kernel(self, kind: str) -> tuple[Code, Kernel]:
        """The text and the machine code of a kernel."""
        if kind not in self.kernels:
            code = self.code(kind)
            self.kernels[kind] = (code, build(code.text))
        return self.kernels[kind]

    def forward(self, problem: Problem, keep: bool) -> tuple[list[Tensor], _Kept]:
        """Outputs, last states and traces; and what a backward run needs."""
        rows = rows_of(problem)
        code, kernel = self.kernel("train" if keep else "infer")
        lease = Lease()
        buffers = hoisted(self.layout, problem, rows, lease)
        buffers |= {f"param:{name}": value for name, value in _contiguous(problem.params).items()}
        buffers |= {f"state{i}": rows.to_slots(value).clone() for i, value in enumerate(problem.state)}
        self._run(code, kernel, buffers, rows, problem, lease)
        outputs = [rows.from_rows(buffers["y"])]
        outputs += [rows.from_slots(buffers[f"state{i}"]) for i in range(len(problem.state))]
        outputs += [rows.from_rows(buffers[f"trace{i}"]) for i in range(len(problem.trace))]
        # only what a backward run reads: an output would hold the node that holds it, and neither would ever be freed
        own = {place.buffer for _, place in self.layout.back_loads if not place.buffer.startswith("state")}
        own |= {store.place.buffer for store in self.layout.kept} | {place.buffer for _, place in self.layout.other}
        if not keep:
            lease.release()
            return outputs, _Kept(rows, {}, lease)
        return outputs, _Kept(rows, {n: v for n, v in buffers.items() if n in own or n.startswith("param:")}, lease)

    def _run(self, code: Code, kernel: Kernel, buffers: Buffers, rows: Rows, problem: Problem, lease: Lease) -> None:
        """Allocates what is missing among the kernel's buffers, and runs it."""
        levels = {name: (level, row) for name, level, row in self.layout.buffers}
        packs = {pack.buffer: pack.size(machine_for(self.dtype)) for pack in code.packs}
        scratch = dict(code.scratch)
        for name in code.buffers:
            if name in buffers:
                continue
            if name in packs:
                buffers[name] = lease.empty(problem.x, packs[name])
            elif name in levels:
                level, row = levels[name]
                shape = (rows.count if level == "step" else problem.batch, row)
                out = name == "y" or name.startswith("trace")
                buffers[name] = problem.x.new_empty(shape) if out else lease.empty(problem.x, *shape)
            else:
                buffers[name] = lease.empty(problem.x, problem.batch, scratch[name])
        table = rows.table
        words = [rows.steps, rows.stride, rows.parts, table.ctypes.data, *(buffers[name].data_ptr() for name in code.buffers)]
        args = (ctypes.c_int64 * len(words))(*words)
        call = kernel.parallel if rows.parts > 1 and parallel() else kernel.serial
        call(ctypes.addressof(args))

    # backward

    def backward(self, problem: Problem, kept: _Kept, gradients: list[Tensor | None]) -> list[Tensor | None]:
        """The gradients of `Problem.tensors` from those of the outputs."""
        rows, layout = kept.rows, self.layout
        code, kernel = self.kernel("backward")
        n = len(problem.state)
        given = [problem.x.new_zeros(shape) if g is None else g for g, shape in zip(gradients, kept.shapes)]
        buffers = dict(kept.buffers)
        buffers["dy"] = rows.to_rows(given[0])
        buffers |= {
            f"state{i}": rows.to_slots(g).clone(memory_format=torch.contiguous_format) for i, g in enumerate(given[1 : 1 + n])
        }
        buffers |= {f"dtrace{i}": rows.to_rows(g) for i, g in enumerate(given[1 + n :])}
        for name, level, row in layout.buffers:
            if name in code.buffers and name not in buffers and name.startswith(("db", "dh:", "dparam:")):
                lead = rows.parts if level == "const" else problem.batch
                buffers[name] = problem.x.new_zeros(lead, row)
        lease = Lease()
        self._run(code, kernel, buffers, rows, problem, lease)
        found = Gradients(layout, problem, rows, buffers).all()
        lease.release()
        return found


@dataclass
class _Kept:
    """What a forward run leaves for the backward run."""

    rows: Rows
    buffers: Buffers
    lease: Lease
    shapes: list[torch.Size] = field(default_factory=list)


class _Scan(torch.autograd.Function):
    """The kernels as one node of autograd; differentiating it twice goes through the reference."""

    @staticmethod
    def forward(ctx: Any, program: Program, problem: Problem, *tensors: Tensor) -> Any:
        outputs, kept = program.forward(problem, keep=True)
        ctx.program, ctx.problem, ctx.kept = program, problem, kept
        kept.shapes = [value.shape for value in outputs]  # not the outputs: they hold this node, and would never be freed
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        tensors = ctx.saved_tensors
        problem = with_tensors(ctx.problem, tensors)
        if not torch.is_grad_enabled():
            found = ctx.program.backward(problem, ctx.kept, list(gradients))
            return (None, None, *(g if t.requires_grad else None for g, t in zip(found, tensors)))
        y, state, traces = reference.run(problem)
        given = tuple(problem.x.new_zeros(s) if g is None else g for g, s in zip(gradients, ctx.kept.shapes))
        return (None, None, *gradients_of((y, *state, *traces.values()), tensors, given, create_graph=True))


def _program_of(problem: Problem) -> Program:
    sizes = tuple(sorted(problem.sizes.items()))
    return _program(problem.cell, sizes, tuple(problem.extras), problem.trace, problem.clip, problem.x.dtype)


@lru_cache(maxsize=512)
def _program(
    cell: Cell,
    sizes: tuple[tuple[str, int], ...],
    given: tuple[str, ...],
    trace: tuple[str, ...],
    clip: float | None,
    dtype: torch.dtype,
) -> Program:
    return Program(arrange(normalise(cell, dict(sizes), given, trace), clip), dtype)


def _contiguous(params: Mapping[str, Tensor]) -> Buffers:
    return {name: value.detach().contiguous() for name, value in params.items()}
