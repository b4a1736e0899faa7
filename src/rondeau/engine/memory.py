"""Memory that runs hand on to one another: fresh pages cost a large part of a step."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict

import torch
from torch import Tensor

SMALL = 1 << 16  # numbers; below this the allocator's own reuse is as good
LIMIT = 1 << 30  # bytes kept for reuse

Key = tuple[torch.dtype, int]

_free: OrderedDict[int, tuple[Key, Tensor]] = OrderedDict()
_lock = threading.RLock()  # a forgotten tensor may come back while this thread holds it


def borrow(like: Tensor, count: int) -> Tensor:
    """An uninitialised vector of ``count`` numbers of the type of ``like``, handed on once nothing refers to it."""
    if count < SMALL:
        return like.new_empty(count)
    key = (like.dtype, _rounded(count))
    whole = _take(key)
    with torch.inference_mode(False), torch.no_grad():
        if whole is None:
            whole = torch.empty(key[1], dtype=like.dtype)
        lent = whole[:count]
    weakref.finalize(lent, _give, key, whole).atexit = False
    return lent


def _give(key: Key, whole: Tensor) -> None:
    with _lock:
        _free[id(whole)] = (key, whole)
        total = sum(item.nbytes for _, item in _free.values())
        while total > LIMIT:
            _, (_, item) = _free.popitem(last=False)
            total -= item.nbytes


def _take(key: Key) -> Tensor | None:
    with _lock:
        for name, (kind, whole) in reversed(_free.items()):
            if kind == key:
                del _free[name]
                return whole
    return None


def _rounded(count: int) -> int:
    """The size class: at most an eighth larger."""
    step = 1 << max(count.bit_length() - 4, 0)
    return -(-count // step) * step
