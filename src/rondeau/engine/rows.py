"""`Rows`: how the pairs of sequence and time of a batch become the rows that a kernel walks along.

Without lengths the rows are the batch as it lies in memory, sequence by sequence or step by step, so nothing is copied. With
lengths only the steps that count become rows, packed part by part and step by step, longest sequence first, so that the work
is that of the sum of the lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from rondeau.engine.problem import Problem
from rondeau.engine.threads import parts as parts_for


@dataclass
class Rows:
    """The rows of one run. ``table`` holds, for each part, its first slot and the addresses of ``counts`` and ``starts``."""

    batch: int
    time: int
    count: int
    steps: int
    stride: int
    parts: int
    table: np.ndarray
    owners: tuple[np.ndarray, ...]
    time_major: bool = False
    order: Tensor | None = None  # slot -> sequence
    source: Tensor | None = None  # row -> sequence * time + step
    slots: Tensor | None = None  # row -> slot

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
            return (
                value.new_zeros(self.batch * self.time, width)
                .index_copy_(0, self.source, value)
                .view(self.batch, self.time, width)
            )
        if self.time_major:
            return value.view(self.time, self.batch, width).transpose(0, 1)
        return value.view(self.batch, self.time, width)

    def to_slots(self, value: Tensor) -> Tensor:
        """(batch, width) in the order of the slots."""
        return value.contiguous() if self.order is None else value.index_select(0, self.order)

    def from_slots(self, value: Tensor) -> Tensor:
        """Slots back in the order of the batch."""
        return value if self.order is None else torch.empty_like(value).index_copy_(0, self.order, value)

    def spread_slots(self, value: Tensor) -> Tensor:
        """(batch, width) in slots as (rows, width)."""
        if self.slots is not None:
            return value.index_select(0, self.slots)
        wide = value.unsqueeze(0 if self.time_major else 1)
        return wide.expand(*((self.time, self.batch) if self.time_major else (self.batch, self.time)), -1).reshape(
            self.count, -1
        )

    def place(self, value: Tensor, level: str, width: int) -> Tensor:
        """A hoisted value as the kernel reads it: (rows, width), (slots, width) or (1, width)."""
        if level == "const":
            return value.expand(width).contiguous().view(1, width)
        if level == "slot":
            return self.to_slots(value.expand(self.batch, 1, width).reshape(self.batch, width))
        return self.to_rows(value.expand(self.batch, self.time, width))


def rows_of(problem: Problem) -> Rows:
    """The rows of a problem."""
    x, parts = problem.x, parts_for(problem.batch)
    if problem.lengths is not None:
        return _ragged(problem.batch, problem.time, problem.lengths, problem.reverse, parts)
    time_major = not x.is_contiguous() and x.transpose(0, 1).is_contiguous()
    return dense(problem.batch, problem.time, problem.reverse, parts, time_major)


@lru_cache(maxsize=64)
def dense(batch: int, time: int, reverse: bool, parts: int, time_major: bool) -> Rows:
    """The rows of a batch whose sequences are all ``time`` steps long."""
    cuts = [batch * k // parts for k in range(parts + 1)]
    steps = np.arange(time, dtype=np.int64)
    steps = steps[::-1] if reverse else steps
    owners: list[np.ndarray] = []
    table = np.empty((parts, 3), dtype=np.int64)
    for k, (low, high) in enumerate(zip(cuts, cuts[1:])):
        counts = np.full(time, high - low, dtype=np.int64)
        starts = np.ascontiguousarray(steps * batch + low if time_major else steps + low * time)
        owners += [counts, starts]
        table[k] = low, counts.ctypes.data, starts.ctypes.data
    stride = 1 if time_major else time
    return Rows(batch, time, batch * time, time, stride, parts, table, tuple(owners), time_major)


def _ragged(batch: int, time: int, lengths: Tensor, reverse: bool, parts: int) -> Rows:
    all_lengths = lengths.numpy()
    ranked = np.argsort(-all_lengths, kind="stable")
    shares = [ranked[k::parts] for k in range(parts)]
    table = np.empty((parts, 3), dtype=np.int64)
    owners: list[np.ndarray] = []
    sources, slots, first_slot, first_row = [], [], 0, 0
    longest = int(all_lengths.max(initial=0))
    for k, share in enumerate(shares):
        own = all_lengths[share]
        alive = own[None, :] > np.arange(longest)[:, None]
        step, slot = np.nonzero(alive)
        counts = np.ascontiguousarray(alive.sum(1), dtype=np.int64)
        starts = np.ascontiguousarray(first_row + np.cumsum(counts) - counts)
        at = own[slot] - 1 - step if reverse else step
        sources.append(share[slot] * time + at)
        slots.append(slot + first_slot)
        owners += [counts, starts]
        table[k] = first_slot, counts.ctypes.data, starts.ctypes.data
        first_slot += len(share)
        first_row += len(step)
    order = torch.from_numpy(np.concatenate(shares))
    source, owner = torch.from_numpy(np.concatenate(sources)), torch.from_numpy(np.concatenate(slots))
    return Rows(batch, time, first_row, longest, 1, parts, table, tuple(owners), False, order, source, owner)
