"""Kernels on memory whose every buffer borders on a page that nobody may touch.

With ``RONDEAU_GUARD=end`` (or ``start``) any test runs so: ``RONDEAU_GUARD=end python -m pytest``. Before a kernel goes, each
of its arguments (buffers of both frames, packed weights, tables, results) is copied to pages of its own, flush against the
forbidden page behind (or before) it; afterwards it is copied back. A kernel that reads or writes past that end dies on the
spot; one that writes past the other end is found by the bytes there, which must not change, and a value read there is NaN.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from rondeau.engine.compile.arguments import HEADER, PARTS, TABLE, TEAM
from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.runtime.batch_rows import BatchRows
from rondeau.engine.runtime.call import Call, Frames
from rondeau.engine.runtime.program import Program

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


class Seen(NamedTuple):
    """On which side the forbidden pages lie, the rows of a run, and all buffers of its kernel in order."""

    side: str
    rows: BatchRows
    arrays: dict[Buffer, np.ndarray]


class Guarded(Call):
    """A call whose kernel sees copies between forbidden pages."""

    def __init__(self, call: Call, seen: Seen) -> None:
        super().__init__(call.kernel, call.words, call.given)
        object.__setattr__(self, "seen", seen)

    def __call__(self) -> None:
        side, rows, arrays = self.seen
        blocks = {name: Block.of(value, side) for name, value in arrays.items()}
        tables, table = [Block.of(values, side) for values in rows.owners], rows.table.copy()
        parts = len(table)
        for k in range(parts):
            table[k, 1:] = tables[k].address, tables[parts + k].address
        words = np.array(self.words, dtype=np.int64)
        head = Block.of(table, side)
        words[TABLE] = head.address
        words[HEADER:] = [block.address for block in blocks.values()]
        guarded = Block.of(words, side)
        self.kernel.run(guarded.address, self.words[PARTS], self.words[TEAM])
        for name, value in arrays.items():
            value.view(np.uint8).reshape(-1)[:] = blocks[name].bytes
        broken = [name for name, block in blocks.items() if not block.whole()]
        assert not broken, f"{list(arrays)}: written past the bounds of {broken}"
        assert all(block.whole() for block in (*tables, head, guarded))


def guarded(plain: Any, side: str, made: Callable[[Call, Seen], Call] = Guarded) -> Any:
    """`Program._call` with guards, or with another kind of call that sees all buffers."""

    def call(
        self: Program, kind: Any, at: Frames, saved: Tensor, workspace: Tensor, given: Sequence[Tensor], rows: BatchRows
    ) -> Call:
        found, views = plain(self, kind, at, saved, workspace, given, rows), at.views(saved, workspace, given)
        arrays = {buffer: _flat(views[buffer]) for buffer in self.kernel(kind)[0].buffers}
        return made(found, Seen(side, rows, arrays))

    return call


def _flat(value: Tensor) -> np.ndarray:
    """All elements in the order in which they lie."""
    return value.detach().as_strided((value.numel(),), (1,)).numpy()


def install(monkeypatch: Any, side: str) -> None:
    """From now on kernels run between forbidden pages."""
    if side not in SIDES:
        raise ValueError(f"RONDEAU_GUARD is end or start, not {side!r}")
    monkeypatch.setattr(Program, "_call", guarded(Program._call, side))


def possible() -> bool:
    """Whether this system can forbid pages."""
    return hasattr(mmap, "MAP_PRIVATE") and hasattr(ctypes.CDLL(None), "mprotect")
