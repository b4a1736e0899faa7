"""Derivatives by PyTorch's autograd."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

Value = TypeVar("Value")


def with_autograd(function: Callable[[], Value]) -> Value:
    """What a function returns that records derivatives; inside an operator this thread cannot, so there another does."""
    with torch.enable_grad():
        if torch.empty(0, requires_grad=True).clone().requires_grad:
            return function()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def gradients_of(
    outputs: tuple[Tensor, ...], tensors: tuple[Tensor, ...], gradients: tuple[Tensor, ...], **how: bool
) -> list[Any]:
    """The gradients of those tensors that require one, None for the others; ``how`` goes to ``torch.autograd.grad``."""
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    pairs = [(out, gradient) for out, gradient in zip(outputs, gradients) if out.requires_grad]
    found = iter(torch.autograd.grad([p[0] for p in pairs], wanted, [p[1] for p in pairs], allow_unused=True, **how))
    return [next(found) if tensor.requires_grad else None for tensor in tensors]
