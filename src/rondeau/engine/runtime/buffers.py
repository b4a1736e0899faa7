"""`Frame`: several buffers one behind another in one piece of memory, each from the start of a cache line on.

A training run of two frames::

    saved for backward:  | columns (rows, features) | saved (rows, ...) | previous states (rows, ...) |   until the backward run
    workspace:           | sums that begin as zeros | other buffers | packed weights |                    for this run alone

"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from rondeau.engine.compile.buffer import Buffer

ALIGN = 16  # elements; a cache line of 64 bytes in float32, two in float64

Shape = tuple[int, int]


@dataclass(frozen=True)
class Frame:
    """Where buffers lie: for each its first element and its shape (rows, features); ``size`` counts the elements of all."""

    size: int
    at: Mapping[Buffer, tuple[int, Shape]]

    def view(self, memory: Tensor, buffer: Buffer) -> Tensor:
        """A buffer as a tensor (rows, features)."""
        return self.part(memory, buffer, 0, self.at[buffer][1][1])

    def part(self, memory: Tensor, buffer: Buffer, first: int, count: int) -> Tensor:
        """So many features of a buffer from ``first`` on, as a tensor (rows, count)."""
        start, (rows, features) = self.at[buffer]
        return memory.as_strided((rows, count), (features, 1), start + first + memory.storage_offset())

    def clear(self, memory: Tensor) -> None:
        """Zeros in all elements of ``memory`` that belong to no buffer."""
        starts = [start for start, _ in self.at.values()]
        for (start, (rows, features)), following in zip(self.at.values(), [*starts[1:], len(memory)]):
            memory[start + rows * features : following].zero_()


def frame(shapes: Iterable[tuple[Buffer, Shape]]) -> Frame:
    """The buffers one behind another, each from a multiple of `ALIGN` on."""
    at: dict[Buffer, tuple[int, Shape]] = {}
    size = 0
    for buffer, (rows, features) in shapes:
        at[buffer] = size, (rows, features)
        size += -(-rows * features // ALIGN) * ALIGN
    return Frame(size, at)


def bound(shapes: Iterable[Shape]) -> int:
    """Elements that suffice for a frame of these shapes, in arithmetic that symbolic sizes can follow."""
    return sum(rows * features + ALIGN for rows, features in shapes)
