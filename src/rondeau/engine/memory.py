"""Memory that runs hand on to one another: fresh pages cost a large part of a step.

What is lent is a storage of its own over a part of a block. The block comes back when the storage dies, that is when no tensor,
view, alias, array or capsule over it is left, whoever made them.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict, deque

import numpy as np
import torch
from torch import Tensor

SMALL = 1 << 16  # numbers; below this the allocator's own reuse is as good
LIMIT = 1 << 30  # bytes kept for reuse

Key = tuple[torch.dtype, int]


class Blocks:
    """Blocks for reuse, at most ``limit`` bytes of them, the one used last given first.

    A storage may die in any thread and at any moment, even while this thread holds the lock: what comes back is put into a
    queue, and sorted in by whoever holds the lock or gets it without waiting.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        self._free: OrderedDict[int, tuple[Key, np.ndarray]] = OrderedDict()
        self._returned: deque[tuple[Key, np.ndarray]] = deque()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._free)

    def take(self, key: Key) -> np.ndarray | None:
        """A block of this type and size, or None."""
        with self._lock:
            self._sort_in()
            for name, (kind, block) in reversed(self._free.items()):
                if kind == key:
                    self._remove(name)
                    return block
        return None

    def give(self, key: Key, block: np.ndarray) -> None:
        """Takes a block back."""
        self._returned.append((key, block))
        while self._returned and self._lock.acquire(blocking=False):
            try:
                self._sort_in()
            finally:
                self._lock.release()

    def clear(self) -> None:
        """Lets all blocks go."""
        with self._lock:
            self._returned.clear()
            self._free.clear()
            self.total = 0

    def after_fork(self) -> None:
        """In the child the lock's holder is gone, and what it had in hand with it."""
        self.__init__(self.limit)  # type: ignore[misc]

    def _sort_in(self) -> None:
        while self._returned:
            key, block = self._returned.popleft()
            self._free[id(block)] = key, block
            self.total += block.nbytes
        while self.total > self.limit:
            self._remove(next(iter(self._free)))

    def _remove(self, name: int) -> None:
        self.total -= self._free.pop(name)[1].nbytes


_blocks = Blocks(LIMIT)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_blocks.after_fork)


def borrow(like: Tensor, count: int) -> Tensor:
    """An uninitialised vector of ``count`` numbers of the type of ``like``, handed on once nothing refers to its storage."""
    if count < SMALL:
        return like.new_empty(count)
    key = (like.dtype, _rounded(count))
    block = _blocks.take(key)
    with torch.inference_mode(False), torch.no_grad():
        if block is None:
            block = torch.empty(key[1], dtype=like.dtype).numpy()
        loan = block[:count]
        weakref.finalize(loan, _blocks.give, key, block).atexit = False
        return torch.from_numpy(loan)  # its storage alone keeps the loan


def _rounded(count: int) -> int:
    """The size class: at most an eighth larger."""
    step = 1 << max(count.bit_length() - 4, 0)
    return -(-count // step) * step
