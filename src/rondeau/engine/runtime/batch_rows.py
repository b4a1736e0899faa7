"""`BatchRows`: how the steps of a batch lie in memory while a kernel walks along them, one row for each step of each sequence.

Without lengths the rows are the batch as it lies in memory, sequence by sequence or step by step, so nothing is copied. With
lengths only the steps that count become rows, as in PyTorch's `PackedSequence`: step by step, the longest sequence first, so
that the work is that of the sum of the lengths. A batch of three sequences of 2, 4 and 1 steps::

    in the batch                sorted              rows, packed
    sequence 0:  a0 a1          1:  b0 b1 b2 b3     step 0: b0 a0 c0   counts = 3  2  1  1   sequences still running
    sequence 1:  b0 b1 b2 b3    0:  a0 a1           step 1: b1 a1      starts = 0  3  5  6   the first row of each step
    sequence 2:  c0             2:  c0              step 2: b2         sorted_indices = 1 0 2
                                                    step 3: b3

States lie sorted too, so at every step the sequences that still run are the first ``counts[step]``. Reversed, the row of a
sequence's step 0 is that of its last step. A batch is cut into ``parts`` of neighbouring sequences, one for each thread, each
with counts and starts of its own; the order of the rows does not depend on the number of parts, so neither do the results.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from rondeau.engine.inputs.scan_inputs import ScanInputs

REMEMBERED = 1 << 14  # steps times parts up to which a table is remembered; making a longer one costs little beside its run


@dataclass
class BatchRows:
    """The rows of one run, for ``parts`` threads with sequences of their own, or one ``team`` of threads that shares all.

    ``table`` holds, for each part, its first sequence and the addresses of its counts and starts, which ``owners`` keep alive;
    ``stride`` lies between the rows of neighbouring sequences at a step.
    """

    batch: int
    time: int
    count: int
    steps: int
    stride: int
    parts: int
    team: int
    table: np.ndarray
    owners: tuple[np.ndarray, ...]
    time_major: bool = False
    sorted_indices: Tensor | None = None  # place among the sorted sequences -> sequence of the batch
    source: Tensor | None = None  # row -> sequence * time + step
    places: Tensor | None = None  # row -> place among the sorted sequences

    def __post_init__(self) -> None:
        self.address = self.table.ctypes.data

    def to_rows(self, value: Tensor) -> Tensor:
        """(batch, time, width) as (rows, width), without a copy where it lies so already."""
        width = value.shape[-1]
        if self.source is not None:
            return value.reshape(-1, width).index_select(0, self.source)
        if self.time_major:
            value = value.transpose(0, 1)
        return value.reshape(self.count, width).contiguous()

    def from_rows(self, value: Tensor) -> Tensor:
        """(rows, width) as (batch, time, width); zeros where there is no row."""
        width = value.shape[-1]
        if self.source is not None:
            padded = value.new_zeros(self.batch * self.time, width).index_copy_(0, self.source, value)
            return padded.view(self.batch, self.time, width)
        if self.time_major:
            return value.view(self.time, self.batch, width).transpose(0, 1)
        return value.view(self.batch, self.time, width)

    def empty(self, like: Tensor, width: int) -> Tensor:
        """An uninitialised value whose memory is its rows: (batch, time, width), or (rows, width) where rows are packed."""
        if self.source is not None:
            return like.new_empty(self.count, width)
        if self.time_major:
            return like.new_empty_strided((self.batch, self.time, width), (width, self.batch * width, 1))
        return like.new_empty(self.batch, self.time, width)

    def in_memory(self, value: Tensor) -> Tensor:
        """A tensor whose memory is the rows of a value (batch, time, width): the value itself where it lies so already."""
        return value if self.source is None and not self.time_major and value.is_contiguous() else self.to_rows(value)

    def sorted_copy(self, value: Tensor) -> Tensor:
        """A copy of (batch, width), contiguous, in the order of the sorted sequences."""
        if self.sorted_indices is not None:
            return value.index_select(0, self.sorted_indices)
        return value.clone() if value.is_contiguous() else value.clone(memory_format=torch.contiguous_format)

    def sort(self, value: Tensor) -> Tensor:
        """(batch, width) in the order of the sorted sequences."""
        return value.contiguous() if self.sorted_indices is None else value.index_select(0, self.sorted_indices)

    def unsort(self, value: Tensor) -> Tensor:
        """Sorted sequences back in the order of the batch."""
        return value if self.sorted_indices is None else torch.empty_like(value).index_copy_(0, self.sorted_indices, value)

    def repeat(self, value: Tensor) -> Tensor:
        """(batch, width), sorted, for every step of each sequence: (rows, width)."""
        if self.places is not None:
            return value.index_select(0, self.places)
        lead = (self.time, self.batch) if self.time_major else (self.batch, self.time)
        return value.unsqueeze(0 if self.time_major else 1).expand(*lead, -1).reshape(self.count, -1)

    def place(self, value: Tensor, level: str, width: int) -> Tensor:
        """A hoisted value as the kernel reads it: (rows, width), (batch, width) sorted, or (1, width)."""
        if level == "constant":
            return value.expand(width).contiguous().view(1, width)
        if level == "sequence":
            return self.sort(value.expand(self.batch, 1, width).reshape(self.batch, width))
        return self.to_rows(value.expand(self.batch, self.time, width))


def rows_of(inputs: ScanInputs, parts: int, team: int) -> BatchRows:
    """The rows of a run for so many threads."""
    x = inputs.x
    if inputs.lengths is not None:
        return _packed(inputs.batch, inputs.time, inputs.lengths, inputs.reverse, parts, team)
    time_major = not x.is_contiguous() and x.transpose(0, 1).is_contiguous()
    return dense(inputs.batch, inputs.time, inputs.reverse, parts, team, time_major)


def dense(batch: int, time: int, reverse: bool, parts: int, team: int, time_major: bool) -> BatchRows:
    """The rows of a batch whose sequences are all ``time`` steps long."""
    make = _dense if time * parts <= REMEMBERED else _dense.__wrapped__
    return make(batch, time, reverse, parts, team, time_major)


@lru_cache(maxsize=64)
def _dense(batch: int, time: int, reverse: bool, parts: int, team: int, time_major: bool) -> BatchRows:
    steps: np.ndarray = np.arange(time, dtype=np.int64)
    steps = steps[::-1] if reverse else steps
    cuts = [batch * k // parts for k in range(parts + 1)]
    counts = [np.full(time, high - low, dtype=np.int64) for low, high in zip(cuts, cuts[1:])]
    starts = [np.ascontiguousarray(steps * batch + low if time_major else steps + low * time) for low in cuts[:-1]]
    table, owners = _table(cuts, counts, starts)
    return BatchRows(batch, time, batch * time, time, 1 if time_major else time, parts, team, table, owners, time_major)


def _packed(batch: int, time: int, lengths: Tensor, reverse: bool, parts: int, team: int) -> BatchRows:
    order = np.argsort(-lengths.numpy(), kind="stable")
    own = lengths.numpy()[order]
    longest, total = int(own[0]), int(own.sum())
    running = (own[None, :] > np.arange(longest)[:, None]).sum(1, dtype=np.int64)
    first = np.cumsum(running) - running
    step = np.repeat(np.arange(longest), running)
    place = np.arange(total) - first[step]
    at = own[place] - 1 - step if reverse else step
    # parts of about as many steps
    cuts = [0, *(int(k) for k in np.searchsorted(np.cumsum(own), [total * k / parts for k in range(1, parts)]) + 1), batch]
    counts = [np.clip(running - low, 0, high - low) for low, high in zip(cuts, cuts[1:])]
    table, owners = _table(cuts, counts, [first + low for low in cuts[:-1]])
    source = torch.from_numpy(order[place] * time + at)
    index = torch.from_numpy(order), source, torch.from_numpy(place)
    return BatchRows(batch, time, total, longest, 1, parts, team, table, owners, False, *index)


def _table(cuts: list[int], counts: list[np.ndarray], starts: list[np.ndarray]) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """The words for each part, and the arrays that they point to."""
    words = [(low, c.ctypes.data, s.ctypes.data) for low, c, s in zip(cuts, counts, starts)]
    return np.array(words, dtype=np.int64), (*counts, *starts)
