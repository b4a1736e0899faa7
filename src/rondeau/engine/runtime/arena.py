"""Memory that runs hand on to one another: fresh pages cost a large part of a step.

What is lent is a storage of its own over a part of a block. The block comes back when the storage dies, that is when no tensor,
view, alias, array or capsule over it is left, whoever made them.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

SMALL = 1 << 16  # numbers; below this the allocator's own reuse is as good
LIMIT = 1 << 30  # bytes kept for reuse

Key = tuple[torch.dtype, int]


class Pool:
    """Pool for reuse: with those lent at most twice as many bytes as were ever lent at a time, and at most ``limit``.

    A storage may die in any thread and at any moment, even while this thread holds the lock: what comes back is put into a
    queue, and sorted in by whoever holds the lock or gets it without waiting.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = self.lent = self.most = 0  # bytes free, bytes lent, and the most that were lent at a time
        self._free: OrderedDict[int, tuple[Key, np.ndarray]] = OrderedDict()
        self._returned: deque[tuple[Key, np.ndarray]] = deque()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._free)

    def take(self, key: Key, make: Callable[[], np.ndarray]) -> tuple[Key, np.ndarray]:
        """A block of this type and at least this size, but less than half as large again; a new one if there is none."""
        dtype, size = key
        with self._lock:
            self._sort_in()
            fitting = [(n, -i, name) for i, (name, ((d, n), _)) in enumerate(self._free.items()) if d == dtype and n >= size]
            _, _, name = min(fitting, default=(0, 0, 0))
            found = self._remove(name) if name and 2 * self._free[name][0][1] < 3 * size else (key, make())
            self.lent += found[1].nbytes
            self.most = max(self.most, self.lent)
            self._bound()
        return found

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
            self._sort_in()
            self._free.clear()
            self.total, self.most = 0, self.lent

    def after_fork(self) -> None:
        """In the child the lock's holder is gone, and what it had in hand with it."""
        lent = self.lent
        self.__init__(self.limit)  # type: ignore[misc]
        self.lent = self.most = lent

    def _sort_in(self) -> None:
        while self._returned:
            key, block = self._returned.popleft()
            self._free[id(block)] = key, block
            self.total += block.nbytes
            self.lent -= block.nbytes
        self._bound()

    def _bound(self) -> None:
        while self._free and self.total > min(self.limit, 2 * self.most - self.lent):
            self._remove(next(iter(self._free)))

    def _remove(self, name: int) -> tuple[Key, np.ndarray]:
        found = self._free.pop(name)
        self.total -= found[1].nbytes
        return found


_pool = Pool(LIMIT)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.after_fork)


def allocate(like: Tensor, count: int) -> Tensor:
    """An uninitialised vector of ``count`` numbers of the type of ``like``, handed on once nothing refers to its storage."""
    if count < SMALL:
        return like.new_empty(count)
    dtype, size = like.dtype, _rounded(count)
    with torch.inference_mode(False), torch.no_grad():
        key, block = _pool.take((dtype, size), lambda: torch.empty(size, dtype=dtype).numpy())
        loan = block[:count]
        weakref.finalize(loan, _pool.give, key, block).atexit = False
        return torch.from_numpy(loan)  # its storage alone keeps the loan


def _rounded(count: int) -> int:
    """The size class: at most an eighth larger."""
    step = 1 << max(count.bit_length() - 4, 0)
    return -(-count // step) * step
