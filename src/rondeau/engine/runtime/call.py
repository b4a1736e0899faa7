"""`Call`: a kernel with its table of arguments; `Frames`: where the words of that table come from."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from rondeau.engine.compile.arguments import PARTS, TEAM, words
from rondeau.engine.compile.buffer import Buffer
from rondeau.engine.compile.emitter import Kernel
from rondeau.engine.compile.layout import Layout
from rondeau.engine.runtime.batch_rows import BatchRows
from rondeau.engine.runtime.buffers import Frame

Slot = tuple[int, int]
"""Where a buffer's address comes from: the frame saved for backward (0) or the workspace (1), and its first byte there; or the
tensors given to the run (2), and which of them it is."""
SAVED, WORKSPACE, GIVEN = range(3)


@dataclass(frozen=True)
class Frames:
    """The frames of a kernel, what is saved for backward and the workspace of one run; the buffers that are tensors ``given``
    to the run, in order; and a slot for each buffer of the kernel.

    The first ``zeroed`` elements of the workspace begin as zeros.
    """

    saved: Frame
    workspace: Frame
    given: tuple[Buffer, ...]
    zeroed: int
    slots: tuple[Slot, ...]

    def words(self, rows: BatchRows, saved: Tensor, workspace: Tensor, given: Sequence[Tensor]) -> array[int]:
        """The table of arguments of a run."""
        bases = saved.data_ptr(), workspace.data_ptr()
        addresses = [bases[home] + at if home != GIVEN else given[at].data_ptr() for home, at in self.slots]
        return words(rows.steps, rows.stride, rows.parts, rows.address, rows.team, addresses)

    def views(self, saved: Tensor, workspace: Tensor, given: Sequence[Tensor]) -> Views:
        """The buffers of a run as tensors."""
        return Views(self, (saved, workspace), given)


def given_buffers(layout: Layout, backward: bool) -> tuple[Buffer, ...]:
    """The buffers that are tensors of their own, in the order in which a run lists them: output, states, traces, parameters,
    hoisted values; of the first three a ``backward`` run has the gradients."""
    step = layout.step
    results = [Buffer("y"), *(Buffer("state", i) for i in range(len(step.next)))]
    results += [Buffer("trace", i) for i in range(len(step.traced))]
    parameters = (Buffer("parameter", item.name) for item in step.cell.parameters)
    hoisted = (place.buffer for expr, place in layout.other if expr.op != "vector")
    return (*(r.derivative if backward else r for r in results), *parameters, *dict.fromkeys(hoisted))


def slots(buffers: Iterable[Buffer], saved: Frame, workspace: Frame, given: Sequence[Buffer], size: int) -> tuple[Slot, ...]:
    """The slots of a kernel's buffers, in their order; elements are ``size`` bytes each."""
    found: list[Slot] = []
    for buffer in buffers:
        if buffer in saved.at:
            found.append((SAVED, saved.at[buffer][0] * size))
        elif buffer in workspace.at:
            found.append((WORKSPACE, workspace.at[buffer][0] * size))
        else:
            found.append((GIVEN, given.index(buffer)))
    return tuple(found)


@dataclass(frozen=True)
class Views:
    """What a run read and wrote, by buffer, as a tensor (rows, features) that is made when it is asked for."""

    frames: Frames
    memory: tuple[Tensor, Tensor]
    given: Sequence[Tensor]

    def __getitem__(self, buffer: Buffer) -> Tensor:
        for frame, memory in zip((self.frames.workspace, self.frames.saved), reversed(self.memory)):
            if buffer in frame.at:
                return frame.view(memory, buffer)
        return self.given[self.frames.given.index(buffer)]

    def part(self, buffer: Buffer, first: int, count: int) -> Tensor:
        """So many features of a buffer from ``first`` on."""
        for frame, memory in zip((self.frames.workspace, self.frames.saved), reversed(self.memory)):
            if buffer in frame.at:
                return frame.part(memory, buffer, first, count)
        return self[buffer][:, first : first + count]

    def __contains__(self, buffer: Buffer) -> bool:
        frames = self.frames
        return buffer in frames.workspace.at or buffer in frames.saved.at or buffer in frames.given


class Call:
    """A kernel with its table of arguments, which lies at ``address``; ``given`` are the tensors that the table points into
    beside the frames."""

    def __init__(self, kernel: Kernel, words: array[int], given: Sequence[Tensor]) -> None:
        self.kernel, self.words, self.given = kernel, words, given
        self.address = words.buffer_info()[0]

    def __call__(self) -> None:
        """Runs the kernel over all parts of the batch."""
        self.kernel.run(self.address, self.words[PARTS], self.words[TEAM])
