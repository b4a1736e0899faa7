"""Kernels on memory whose every buffer borders on a page that nobody may touch.

With ``RONDEAU_GUARD=end`` (or ``start``) any test runs so: ``RONDEAU_GUARD=end python -m pytest``. Before a kernel goes, each
of its arguments (buffers of both frames, packed weights, tables, results) is copied to pages of its own, flush against the
forbidden page behind (or before) it; afterwards it is copied back. A kernel that reads or writes past that end dies on the
spot; one that writes past the other end is found by the bytes there, which must not change, and a value read there is NaN.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from rondeau.engine.llvm.arguments import HEADER, TABLE
from rondeau.engine.runtime.batch_rows import BatchRows
from rondeau.engine.runtime.program import Call, Frames, Program

SIDES = ("end", "start")
PAGE = mmap.PAGESIZE
FILL = 0xFF  # a NaN in every type of float
NONE, READ_WRITE = 0, 3


class Block:
    """So many bytes between two forbidden pages, flush against one of them."""

    def __init__(self, count: int, side: str) -> None:
        room = max(-(-count // PAGE), 1) * PAGE
        self.pages = mmap.mmap(-1, room + 2 * PAGE)
        whole = np.frombuffer(self.pages, np.uint8)
        self.usable = whole[PAGE : PAGE + room]
        self.usable[:] = FILL
        first = room - count if side == "end" else 0
        self.bytes, self.slack = self.usable[first : first + count], np.delete(np.arange(room), np.s_[first : first + count])
        self.address = self.bytes.ctypes.data if count else self.usable.ctypes.data
        base = whole.ctypes.data
        for forbidden in (base, base + PAGE + room):
            if ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(forbidden), ctypes.c_size_t(PAGE), NONE):
                raise OSError(ctypes.get_errno(), "mprotect")

    @classmethod
    def of(cls, values: np.ndarray, side: str) -> Block:
        """A copy of an array's bytes."""
        block = cls(values.nbytes, side)
        block.bytes[:] = np.ascontiguousarray(values).view(np.uint8).reshape(-1)
        return block

    def whole(self) -> bool:
        """Whether nothing was written beside the bytes."""
        return bool((self.usable[self.slack] == FILL).all())


class Guarded(Call):
    """A call whose kernel sees copies between forbidden pages."""

    def __call__(self) -> None:
        side, rows, arrays = self.buffers["guard side"], self.buffers["guard rows"], self.buffers["guard arrays"]
        blocks = {name: Block.of(value, side) for name, value in arrays.items()}
        tables, table = [Block.of(values, side) for values in rows.owners], rows.table.copy()
        parts = len(table)
        for k in range(parts):
            table[k, 1:] = tables[k].address, tables[parts + k].address
        words = np.array(self.words, dtype=np.int64)
        head = Block.of(table, side)
        words[TABLE] = head.address
        words[HEADER:] = [blocks[name].address for name in self.code.buffers]
        guarded = Block.of(words, side)
        inner = (ctypes.c_int64 * len(words)).from_address(guarded.address)
        Call(self.code, self.kernel, inner, self.buffers)()
        for name, value in arrays.items():
            value.view(np.uint8).reshape(-1)[:] = blocks[name].bytes
        broken = [name for name, block in blocks.items() if not block.whole()]
        assert not broken, f"{self.code.buffers}: written past the bounds of {broken}"
        assert all(block.whole() for block in (*tables, head, guarded))


def guarded(plain: Any, side: str, made: type[Call] = Guarded) -> Any:
    """`Program._call` with guards, or with another kind of call that sees all buffers."""

    def call(
        self: Program, kind: str, at: Frames, saved: Tensor, workspace: Tensor, buffers: Mapping[str, Tensor], rows: BatchRows
    ) -> Call:
        found = plain(self, kind, at, saved, workspace, buffers, rows)
        views = {}
        for name in found.code.buffers:
            home = next((pair for pair in ((at.saved, saved), (at.workspace, workspace)) if name in pair[0].at), None)
            views[name] = (buffers[name] if home is None else home[0].view(home[1], name)).detach().numpy()
        extra: Any = {"guard side": side, "guard rows": rows, "guard arrays": views}
        return made(found.code, found.kernel, found.words, {**found.buffers, **extra})

    return call


def install(monkeypatch: Any, side: str) -> None:
    """From now on kernels run between forbidden pages."""
    if side not in SIDES:
        raise ValueError(f"RONDEAU_GUARD is end or start, not {side!r}")
    monkeypatch.setattr(Program, "_call", guarded(Program._call, side))


def possible() -> bool:
    """Whether this system can forbid pages."""
    return hasattr(mmap, "MAP_PRIVATE") and hasattr(ctypes.CDLL(None), "mprotect")
