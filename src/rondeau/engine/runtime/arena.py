"""`allocate`: memory for runs, reused, because fresh pages cost a large part of a step.

::

    Pool     free:    [ block ] [ block      ]        in use:  [ block          ]
                                                               |<-- count -->|
                                                                      |
    allocate(like, count)  ->  tensor  ->  storage of its own over the first ``count`` elements
                                              |
                           when the storage dies, its finaliser returns the whole block to the pool

The storage dies when no tensor, view, alias, array or capsule over it is left, whoever made them; so autograd, hooks on saved
tensors and other libraries may keep what they like for as long as they like.
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

SMALL = 1 << 16  # elements below which PyTorch's allocator reuses its own memory as well as we could
LIMIT = 1 << 30  # bytes of free blocks at most

Key = tuple[torch.dtype, int]
Block = tuple[Key, np.ndarray]


class Pool:
    """Free blocks: with those in use at most twice as many bytes as were ever in use at a time, and at most ``limit``.

    A storage may die in any thread and at any moment, even while this thread holds the lock: a block that comes back waits in a
    queue until whoever holds the lock, or gets it without waiting, puts it among the free ones.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.free_bytes = self.used_bytes = self.peak_bytes = 0
        self._free: OrderedDict[int, Block] = OrderedDict()  # by identity, in the order in which they came back
        self._returned: deque[Block] = deque()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._free)

    def take(self, key: Key, make: Callable[[], np.ndarray]) -> Block:
        """A block of this type and at least this size, but less than half as large again; a new one if there is none."""
        dtype, size = key
        with self._lock:
            self._collect()
            fitting = [(n, -i, name) for i, (name, ((d, n), _)) in enumerate(self._free.items()) if d == dtype and n >= size]
            _, _, name = min(fitting, default=(0, 0, 0))
            found = self._remove(name) if name and 2 * self._free[name][0][1] < 3 * size else (key, make())
            self.used_bytes += found[1].nbytes
            self.peak_bytes = max(self.peak_bytes, self.used_bytes)
            self._shrink()
        return found

    def give(self, key: Key, block: np.ndarray) -> None:
        """Takes a block back."""
        self._returned.append((key, block))
        while self._returned and self._lock.acquire(blocking=False):
            try:
                self._collect()
            finally:
                self._lock.release()

    def clear(self) -> None:
        """Frees all blocks."""
        with self._lock:
            self._collect()
            self._free.clear()
            self.free_bytes, self.peak_bytes = 0, self.used_bytes

    def after_fork(self) -> None:
        """In the child the lock's holder is gone, and what it had in hand with it."""
        used = self.used_bytes
        self.__init__(self.limit)  # type: ignore[misc]
        self.used_bytes = self.peak_bytes = used

    def _collect(self) -> None:
        """Puts what came back among the free blocks."""
        while self._returned:
            key, block = self._returned.popleft()
            self._free[id(block)] = key, block
            self.free_bytes += block.nbytes
            self.used_bytes -= block.nbytes
        self._shrink()

    def _shrink(self) -> None:
        """Frees the blocks that came back longest ago, until the bounds hold."""
        while self._free and self.free_bytes > min(self.limit, 2 * self.peak_bytes - self.used_bytes):
            self._remove(next(iter(self._free)))

    def _remove(self, name: int) -> Block:
        found = self._free.pop(name)
        self.free_bytes -= found[1].nbytes
        return found


_pool = Pool(LIMIT)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.after_fork)


def allocate(like: Tensor, count: int) -> Tensor:
    """An uninitialised vector of ``count`` elements of the type of ``like``, whose memory is reused once its storage dies."""
    if count < SMALL:
        return like.new_empty(count)
    dtype, size = like.dtype, _rounded(count)
    with torch.inference_mode(False), torch.no_grad():
        key, block = _pool.take((dtype, size), lambda: torch.empty(size, dtype=dtype).numpy())
        part = block[:count]
        weakref.finalize(part, _pool.give, key, block).atexit = False
        return torch.from_numpy(part)  # its storage alone keeps the part alive


def _rounded(count: int) -> int:
    """The size class: at most an eighth larger."""
    step = 1 << max(count.bit_length() - 4, 0)
    return -(-count // step) * step
