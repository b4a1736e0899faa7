"""A fused run that can be differentiated again: its own fast backward first, the reference's when that is differentiated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rondeau.engine.backends import reference
from rondeau.engine.eager.autograd import gradients_of
from rondeau.engine.eager.functorch import transforming
from rondeau.engine.inputs.scan_inputs import ScanInputs


def with_double_backward(inputs: ScanInputs, outputs: Callable[[ScanInputs], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """What ``outputs`` returns for a run, with a backward pass that can be differentiated again."""
    return _DoubleBackward.apply(inputs, outputs, *inputs.tensors) if inputs.needs_grad else outputs(inputs)


class _DoubleBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: ScanInputs, outputs: Callable[[ScanInputs], tuple[Tensor, ...]], *tensors: Tensor) -> Any:
        inside = tuple(t.detach().requires_grad_(t.requires_grad) for t in tensors)
        with torch.enable_grad():
            ctx.inner = outputs(inputs.with_tensors(inside))
        ctx.inside, ctx.inputs = inside, inputs
        ctx.save_for_backward(*tensors)
        return tuple(value.detach() for value in ctx.inner)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors
        if torch.is_grad_enabled() or batched(gradients):
            shapes = tuple(value.shape for value in ctx.inner)
            return (None, None, *by_reference(ctx.inputs.with_tensors(tensors), shapes, gradients))
        return (None, None, *gradients_of(ctx.inner, ctx.inside, gradients, retain_graph=True))


def batched(gradients: tuple[Tensor | None, ...]) -> bool:
    """Whether many gradients are asked for at a time (``is_grads_batched``, vmap): such tensors have no memory of their own."""
    given = tuple(g for g in gradients if g is not None)
    return transforming(given) is not None or any(map(torch._C._functorch.is_legacy_batchedtensor, given))


def by_reference(inputs: ScanInputs, shapes: tuple[torch.Size, ...], gradients: tuple[Tensor | None, ...]) -> list[Any]:
    """The gradients of `ScanInputs.tensors` from those of the outputs, which have these shapes, through the reference.

    They can be differentiated again where derivatives are recorded. The tensors may depend on one another, or be the same, so
    each is given another name: gradients go no further than there.
    """
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        tensors = tuple(t.view_as(t) if t.requires_grad else t for t in inputs.tensors)
        y, state, traces = reference.run(inputs.with_tensors(tensors))
    given = tuple(inputs.x.new_zeros(shape) if g is None else g for g, shape in zip(gradients, shapes))
    return gradients_of((y, *state, *traces.values()), tensors, given, create_graph=again)
