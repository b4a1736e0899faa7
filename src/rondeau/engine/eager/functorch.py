"""Whether a function transform is at work that a fused kernel cannot take part in."""

from __future__ import annotations

import torch
from torch import Tensor


def transforming(tensors: tuple[Tensor, ...]) -> str | None:
    """A sentence when vmap, a functorch derivative or forward mode is under way, else None."""
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "a torch.func transform is at work, which only the reference supports"
    if _dual() and any(torch.autograd.forward_ad.unpack_dual(t).tangent is not None for t in tensors):
        return "a forward-mode derivative is being taken, which only the reference supports"
    return None


def _dual() -> bool:
    return torch.autograd.forward_ad._current_level >= 0 and torch._C._is_fwd_grad_enabled()
