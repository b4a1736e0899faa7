"""The compiled backend: any cell as one fused kernel, forward and through time backward, on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from rondeau.engine.backends import reference
from rondeau.engine.backends.double_backward import batched, by_reference, with_tensors
from rondeau.engine.compile.schedule import REDUCTIONS
from rondeau.engine.eager.functorch import transforming
from rondeau.engine.runtime.program import Kept, Program, program_of
from rondeau.engine.scan_inputs import Problem
from rondeau.ir.cell import Cell
from rondeau.ir.expressions import Expr, postorder
from rondeau.ir.rewrite import primitive

LARGEST, DEEPEST, MOST_SUMS = 3000, 400, 50
"""The operations of a step for which a kernel is built, which takes time for each; how many of them may wait for one another;
and the sums and largest values over the features, each of which is a pass of its own."""


def refusal(problem: Problem) -> str | None:
    """Why no kernel can run the problem, or None when one can."""
    if problem.x.device.type != "cpu":
        return f"kernels are for the CPU, and x is on {problem.x.device}"
    if problem.x.dtype not in (torch.float32, torch.float64):
        return f"kernels are for float32 and float64, not {problem.x.dtype}"
    if not problem.batch or not problem.time or not all(problem.sizes.values()):
        return "there is nothing to compile for empty sequences"
    return _too_large(problem.cell) or transforming(problem.tensors)


@lru_cache(maxsize=1024)
def _too_large(cell: Cell) -> str | None:
    """Why the equations are too many for a kernel, or None."""
    program = primitive(cell.roots)
    depths: dict[Expr, int] = {}
    for expr in postorder([program[root] for root in cell.roots]):
        depths[expr] = 1 + max((depths[arg] for arg in expr.args), default=0)
    depth = max(depths.values(), default=0)
    sums = sum(expr.op in REDUCTIONS for expr in depths)
    if len(depths) <= LARGEST and depth <= DEEPEST and sums <= MOST_SUMS:
        return None
    found = f"{len(depths):,} operations, {depth:,} after one another, {sums} over the features"
    return f"a step has {found}; a kernel takes {LARGEST:,}, {DEEPEST:,} and {MOST_SUMS}"


def run(problem: Problem) -> reference.Result:
    """As `rondeau.engine.backends.reference.run`."""
    program, tensors = program_of(problem), problem.tensors
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        outputs = _Scan.apply(program, problem, *tensors)
    else:
        outputs, _ = _in_full(program.forward, problem)
    n = len(problem.state)
    return outputs[0], tuple(outputs[1 : 1 + n]), dict(zip(problem.trace, outputs[1 + n :]))


def _in_full(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """A call whose products autocast leaves in their own precision."""
    if not torch.is_autocast_enabled("cpu"):
        return function(*args, **options)
    with torch.autocast("cpu", enabled=False):
        return function(*args, **options)


class _Scan(torch.autograd.Function):
    """The kernels as one node of autograd; a second derivative, and many gradients at a time, go through the reference.

    All that it keeps is saved with autograd, so that checkpointing and the hooks on saved tensors see it.
    """

    @staticmethod
    def forward(ctx: Any, program: Program, problem: Problem, *tensors: Tensor) -> Any:
        outputs, kept = _in_full(program.forward, problem, keep=True)
        assert kept is not None
        ctx.program, ctx.problem, ctx.hoisted = program, _hollow(problem), tuple(kept.hoisted)
        ctx.shapes = [value.shape for value in outputs]  # not the outputs: they hold this node, and would never be freed
        ctx.save_for_backward(kept.memory, *kept.hoisted.values(), *tensors)
        ctx.set_materialize_grads(False)
        return tuple(map(_own, outputs))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        memory, *saved = ctx.saved_tensors
        n = len(ctx.hoisted)
        hoisted, tensors = saved[:n], tuple(saved[n:])
        problem = with_tensors(ctx.problem, tensors)
        if torch.is_grad_enabled() or batched(gradients):
            return (None, None, *by_reference(problem, tuple(ctx.shapes), gradients))
        found = _in_full(ctx.program.backward, problem, Kept(memory, dict(zip(ctx.hoisted, hoisted))), gradients)
        return (None, None, *(g if t.requires_grad else None for g, t in zip(found, tensors)))


def _own(value: Tensor) -> Tensor:
    """The same memory as a tensor of its own: autograd forbids in-place changes of a view among several outputs."""
    if not value._is_view():
        return value
    return value.new_empty(0).set_(value.untyped_storage(), value.storage_offset(), value.size(), value.stride())


def _hollow(problem: Problem) -> Problem:
    """The problem without its tensors, which autograd keeps."""
    none: Any = None
    return replace(
        problem,
        x=none,
        state=(none,) * len(problem.state),
        params=dict.fromkeys(problem.params, none),
        extras=dict.fromkeys(problem.extras, none),
    )
