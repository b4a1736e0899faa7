"""A fused run that can be differentiated again: its own fast backward first, the reference's when that is differentiated."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from rondeau.engine.backends import reference
from rondeau.engine.eager.functorch import transforming
from rondeau.engine.scan_inputs import Problem

Result = TypeVar("Result")


def differentiable_twice(problem: Problem, outputs: Callable[[Problem], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """What ``outputs`` computes of the problem, with a backward pass that can be differentiated again."""
    if not torch.is_grad_enabled() or not any(tensor.requires_grad for tensor in problem.tensors):
        return outputs(problem)
    return _Twice.apply(problem, outputs, *problem.tensors)


def with_tensors(problem: Problem, tensors: tuple[Tensor, ...]) -> Problem:
    """The same problem over other tensors, in the order of `Problem.tensors`."""
    n, m = len(problem.state), len(problem.params)
    x, state, rest = tensors[0], tensors[1 : 1 + n], tensors[1 + n :]
    params, extras = dict(zip(problem.params, rest[:m])), dict(zip(problem.extras, rest[m:]))
    return replace(problem, x=x, state=state, params=params, extras=extras)


def with_autograd(function: Callable[[], Result]) -> Result:
    """What a function returns that records derivatives; inside an operator this thread cannot, so there another does."""
    with torch.enable_grad():
        if torch.empty(0, requires_grad=True).clone().requires_grad:
            return function()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


class _Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, problem: Problem, outputs: Callable[[Problem], tuple[Tensor, ...]], *tensors: Tensor) -> Any:
        inside = tuple(t.detach().requires_grad_(t.requires_grad) for t in tensors)
        with torch.enable_grad():
            ctx.inner = outputs(with_tensors(problem, inside))
        ctx.inside, ctx.problem = inside, problem
        ctx.save_for_backward(*tensors)
        return tuple(value.detach() for value in ctx.inner)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors
        if torch.is_grad_enabled() or batched(gradients):
            shapes = tuple(value.shape for value in ctx.inner)
            return (None, None, *by_reference(with_tensors(ctx.problem, tensors), shapes, gradients))
        return (None, None, *gradients_of(ctx.inner, ctx.inside, gradients, retain_graph=True))


def batched(gradients: tuple[Tensor | None, ...]) -> bool:
    """Whether many gradients are asked for at a time (``is_grads_batched``, vmap): such tensors have no memory of their own."""
    given = tuple(g for g in gradients if g is not None)
    return transforming(given) is not None or any(map(torch._C._functorch.is_legacy_batchedtensor, given))


def by_reference(problem: Problem, shapes: tuple[torch.Size, ...], gradients: tuple[Tensor | None, ...]) -> list[Any]:
    """The gradients of `Problem.tensors` from those of the outputs, which have these shapes, through the reference.

    They can be differentiated again where derivatives are recorded. The tensors may depend on one another, or be the same, so
    each is given another name: gradients go no further than there.
    """
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        tensors = tuple(t.view_as(t) if t.requires_grad else t for t in problem.tensors)
        y, state, traces = reference.run(with_tensors(problem, tensors))
    given = tuple(problem.x.new_zeros(shape) if g is None else g for g, shape in zip(gradients, shapes))
    return gradients_of((y, *state, *traces.values()), tensors, given, create_graph=again)


def gradients_of(
    outputs: tuple[Tensor, ...], tensors: tuple[Tensor, ...], gradients: tuple[Tensor, ...], **how: bool
) -> list[Any]:
    """The gradients of those tensors that require one, None for the others; ``how`` goes to ``torch.autograd.grad``."""
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    pairs = [(out, gradient) for out, gradient in zip(outputs, gradients) if out.requires_grad]
    found = iter(torch.autograd.grad([p[0] for p in pairs], wanted, [p[1] for p in pairs], allow_unused=True, **how))
    return [next(found) if tensor.requires_grad else None for tensor in tensors]
