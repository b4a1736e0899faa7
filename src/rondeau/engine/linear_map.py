"""`linear_map`: `torch.nn.functional.linear`, whose large products go the fastest way that this machine has."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rondeau.engine.backends.double_backward import batched
from rondeau.engine.eager.functorch import transforming
from rondeau.engine.operator import recording
from rondeau.engine.products.multiply import SMALL, multiply


def linear_map(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias``, as PyTorch's own function and with all its derivatives.

    Args:
        x: (..., input).
        weight: (output, input).
        bias: (output,).

    Returns:
        (..., output).

    Example:
        >>> linear_map(torch.ones(2, 3), torch.ones(1, 3), torch.tensor([0.5]))
        tensor([[3.5000],
                [3.5000]])
    """
    if not _ours(x, weight, bias):
        return torch.nn.functional.linear(x, weight, bias)
    flat = x.reshape(-1, x.shape[-1])
    found: Tensor = _LinearMap.apply(flat, weight, bias)
    return found.view(*x.shape[:-1], len(weight))


def _ours(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether the product is a large one on this processor that nothing records, watches or transforms."""
    given = (x, weight) if bias is None else (x, weight, bias)
    same = all(t.device.type == "cpu" and t.dtype == x.dtype for t in given) and x.dtype in (torch.float32, torch.float64)
    large = same and weight.dim() == 2 and x.numel() * len(weight) >= SMALL and x.shape[-1] == weight.shape[1]
    large = large and (bias is None or bias.shape == weight.shape[:1])
    watched = large and (any(map(recording, given)) or torch.is_autocast_enabled("cpu"))
    return large and not watched and transforming(given) is None


class _LinearMap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return multiply(x, weight.t(), None, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        product = torch.mm if torch.is_grad_enabled() or batched((gradient,)) else multiply
        wanted = ctx.needs_input_grad
        dx = product(gradient, weight) if wanted[0] else None
        dW = product(gradient.t(), x) if wanted[1] else None
        return dx, dW, gradient.sum(0) if wanted[2] else None
