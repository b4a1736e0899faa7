"""Types under autocast, which lowers those of what comes in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def autocasting(x: Tensor) -> bool:
    """Whether autocast is at work where ``x`` is; on the device ``meta`` it never is."""
    if x.is_cpu:
        return torch.is_autocast_enabled("cpu")
    return x.device.type != "meta" and torch.is_autocast_enabled(x.device.type)


def in_type(value: Any, dtype: torch.dtype) -> Any:
    """Tensors, alone or in a tuple or mapping, in another type."""
    if isinstance(value, Tensor):
        return value.to(dtype)
    if isinstance(value, Mapping):
        return {name: in_type(item, dtype) for name, item in value.items()}
    return tuple(in_type(item, dtype) for item in value) if isinstance(value, (tuple, list)) else value


__all__ = ["autocasting", "in_type"]
