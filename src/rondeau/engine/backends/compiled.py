"""The compiled backend: any cell as one fused kernel, forward and backpropagation through time, on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from rondeau.engine.backends.double_backward import batched, by_reference
from rondeau.engine.eager.functorch import transforming
from rondeau.engine.inputs.scan_inputs import Result, ScanInputs
from rondeau.engine.llvm.host import Host
from rondeau.engine.runtime.program import Program, Programs, SavedForBackward
from rondeau.ir.analysis import step_size
from rondeau.ir.cell import Cell

PROGRAMS = Programs(Host())
"""The programs of the machine that kernels run on; another machine, with emitters of its own, is put in here."""

LARGEST, DEEPEST, MOST_REDUCTIONS = 3000, 400, 50
"""The operations of a step for which a kernel is built, which takes time for each; the longest chain of them;
and the sums and largest values over the features, each of which is a pass of its own."""


def refusal(inputs: ScanInputs) -> str | None:
    """Why no kernel can do this run, or None when one can."""
    if reason := unsupported(inputs.x):
        return reason
    if 0 in inputs.x.shape or 0 in inputs.sizes.values():
        return "there is nothing to compile for empty sequences"
    return _too_large(inputs.cell) or transforming(inputs.tensors)


def unsupported(x: Tensor) -> str | None:
    """Why there are no kernels for the device and type of x, or None when there are."""
    if not x.is_cpu:
        return f"kernels are for the CPU, and x is on {x.device}"
    if x.dtype not in (torch.float32, torch.float64):
        return f"kernels are for float32 and float64, not {x.dtype}"
    return None


@lru_cache(maxsize=1024)
def _too_large(cell: Cell) -> str | None:
    """Why the equations are too many for a kernel, or None."""
    size = step_size(cell)
    if size.operations <= LARGEST and size.depth <= DEEPEST and size.reductions <= MOST_REDUCTIONS:
        return None
    found = f"{size.operations:,} operations, {size.depth:,} after one another, {size.reductions} over the features"
    return f"a step has {found}; a kernel takes {LARGEST:,}, {DEEPEST:,} and {MOST_REDUCTIONS}"


def run(inputs: ScanInputs) -> Result:
    """As every backend's `run`, through kernels."""
    if inputs.needs_grad:
        outputs = _Scan.apply(PROGRAMS.of(inputs), inputs, *inputs.tensors)
    else:
        outputs, _ = _without_autocast(PROGRAMS.of(inputs, keeps=False).forward, inputs)
    n = len(inputs.state)
    return outputs[0], tuple(outputs[1 : 1 + n]), dict(zip(inputs.trace, outputs[1 + n :]))


def _without_autocast(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
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
    def forward(ctx: Any, program: Program, inputs: ScanInputs, *tensors: Tensor) -> Any:
        outputs, for_backward = _without_autocast(program.forward, inputs, keep=True)
        assert for_backward is not None
        ctx.program, ctx.inputs, ctx.hoisted = program, _without_tensors(inputs), tuple(for_backward.hoisted)
        ctx.shapes = [value.shape for value in outputs]  # not the outputs: they hold this node, and would never be freed
        ctx.save_for_backward(for_backward.memory, *for_backward.hoisted.values(), *tensors)
        ctx.set_materialize_grads(False)
        return tuple(map(_not_a_view, outputs))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        memory, *rest = ctx.saved_tensors
        n = len(ctx.hoisted)
        hoisted, tensors = rest[:n], tuple(rest[n:])
        inputs = ctx.inputs.with_tensors(tensors)
        if torch.is_grad_enabled() or batched(gradients):
            return (None, None, *by_reference(inputs, tuple(ctx.shapes), gradients))
        found = _without_autocast(
            ctx.program.backward, inputs, SavedForBackward(memory, dict(zip(ctx.hoisted, hoisted))), gradients
        )
        return (None, None, *(g if t.requires_grad else None for g, t in zip(found, tensors)))


def _not_a_view(value: Tensor) -> Tensor:
    """The same memory as a tensor of its own: autograd forbids in-place changes of a view among several outputs."""
    if not value._is_view():
        return value
    return value.new_empty(0).set_(value.untyped_storage(), value.storage_offset(), value.size(), value.stride())


def _without_tensors(inputs: ScanInputs) -> ScanInputs:
    """The inputs without its tensors, which autograd keeps."""
    return inputs.with_tensors((None,) * len(inputs.tensors))  # type: ignore[arg-type]
