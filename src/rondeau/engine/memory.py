"""Memory that runs hand on to one another: fresh pages cost a large part of a step."""

from __future__ import annotations

import threading
from collections import OrderedDict

import torch
from torch import Tensor

SMALL = 1 << 14  # numbers; below this the allocator's own reuse is as good
LIMIT = 1 << 30  # bytes kept for reuse

Key = tuple[torch.dtype, int]

_free: OrderedDict[int, tuple[Key, Tensor]] = OrderedDict()
_lock = threading.Lock()


class Lease:
    """Buffers of one run. They go back when it is released or forgotten."""

    def __init__(self) -> None:
        self._held: list[tuple[Key, Tensor]] = []

    def empty(self, like: Tensor, *shape: int) -> Tensor:
        """An uninitialised tensor of this shape, of the type of ``like``."""
        count = 1
        for size in shape:
            count *= size
        if count < SMALL:
            return like.new_empty(shape)
        key = (like.dtype, _rounded(count))
        flat = _take(key)
        if flat is None:
            with torch.inference_mode(False):
                flat = torch.empty(key[1], dtype=like.dtype)
        self._held.append((key, flat))
        return flat[:count].view(shape)

    def release(self) -> None:
        """Gives the buffers back. Nothing may use them any more."""
        held, self._held = self._held, []
        with _lock:
            for key, flat in held:
                _free[id(flat)] = (key, flat)
            total = sum(flat.nbytes for _, flat in _free.values())
            while total > LIMIT:
                _, (_, flat) = _free.popitem(last=False)
                total -= flat.nbytes

    def __del__(self) -> None:
        self.release()


def _take(key: Key) -> Tensor | None:
    with _lock:
        for name, (kind, flat) in reversed(_free.items()):
            if kind == key:
                del _free[name]
                return flat
    return None


def _rounded(count: int) -> int:
    """The size class: at most an eighth larger."""
    step = 1 << max(count.bit_length() - 4, 0)
    return -(-count // step) * step
