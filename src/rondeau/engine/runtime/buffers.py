"""`Frame`: several buffers side by side in one piece of memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from rondeau.engine.compile.buffer import Buffer

ALIGN = 16  # numbers; a line of the cache in float32, two in float64

Shape = tuple[int, int]


@dataclass(frozen=True)
class Frame:
    """Where buffers lie: for each its first number and its shape; ``size`` is the numbers of all."""

    size: int
    at: Mapping[Buffer, tuple[int, Shape]]

    def view(self, memory: Tensor, name: Buffer) -> Tensor:
        """A buffer as a tensor (rows, row)."""
        start, (rows, row) = self.at[name]
        return memory.as_strided((rows, row), (row, 1), start + memory.storage_offset())

    def clear(self, memory: Tensor) -> None:
        """Zeros in all numbers of ``memory`` that belong to no buffer."""
        starts = [start for start, _ in self.at.values()]
        for (start, (rows, row)), following in zip(self.at.values(), [*starts[1:], len(memory)]):
            memory[start + rows * row : following].zero_()


def frame(shapes: Iterable[tuple[Buffer, Shape]]) -> Frame:
    """The buffers one behind another, each from a multiple of `ALIGN` on."""
    at: dict[Buffer, tuple[int, Shape]] = {}
    size = 0
    for name, (rows, row) in shapes:
        at[name] = size, (rows, row)
        size += -(-rows * row // ALIGN) * ALIGN
    return Frame(size, at)


def bound(shapes: Iterable[Shape]) -> int:
    """Numbers that suffice for a frame of these shapes, in arithmetic that symbolic sizes can follow."""
    return sum(rows * row + ALIGN for rows, row in shapes)
