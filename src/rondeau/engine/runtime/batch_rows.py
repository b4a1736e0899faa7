"""`Rows`: how the pairs of sequence and time of a batch become the rows that a kernel walks along.

Without lengths the rows are the batch as it lies in memory, sequence by sequence or step by step, so nothing is copied. With
lengths only the steps that count become rows, packed step by step, longest sequence first, so that the work is that of the
sum of the lengths. How many parts the batch is cut into changes nothing in the order of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from rondeau.engine.scan_inputs import Problem

REMEMBERED = 1 << 14  # numbers of a step, beside which the making of their table is nothing


@dataclass
class Rows:
    """The rows of one run, for ``parts`` threads of their own or one ``team`` that shares all.

    ``table`` holds, for each part, its first slot and the addresses of ``counts`` and ``starts``.
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


def rows_of(problem: Problem, parts: int, team: int) -> Rows:
    """The rows of a problem for so many threads."""
    x = problem.x
    if problem.lengths is not None:
        return _ragged(problem.batch, problem.time, problem.lengths, problem.reverse, parts, team)
    time_major = not x.is_contiguous() and x.transpose(0, 1).is_contiguous()
    return dense(problem.batch, problem.time, problem.reverse, parts, team, time_major)


def dense(batch: int, time: int, reverse: bool, parts: int, team: int, time_major: bool) -> Rows:
    """The rows of a batch whose sequences are all ``time`` steps long."""
    make = _dense if time * parts <= REMEMBERED else _dense.__wrapped__
    return make(batch, time, reverse, parts, team, time_major)


@lru_cache(maxsize=64)
def _dense(batch: int, time: int, reverse: bool, parts: int, team: int, time_major: bool) -> Rows:
    steps: np.ndarray = np.arange(time, dtype=np.int64)
    steps = steps[::-1] if reverse else steps
    cuts = [batch * k // parts for k in range(parts + 1)]
    counts = [np.full(time, high - low, dtype=np.int64) for low, high in zip(cuts, cuts[1:])]
    starts = [np.ascontiguousarray(steps * batch + low if time_major else steps + low * time) for low in cuts[:-1]]
    table, owners = _table(cuts, counts, starts)
    return Rows(batch, time, batch * time, time, 1 if time_major else time, parts, team, table, owners, time_major)


def _ragged(batch: int, time: int, lengths: Tensor, reverse: bool, parts: int, team: int) -> Rows:
    order = np.argsort(-lengths.numpy(), kind="stable")
    own = lengths.numpy()[order]
    longest, total = int(own[0]), int(own.sum())
    alive = (own[None, :] > np.arange(longest)[:, None]).sum(1, dtype=np.int64)
    first = np.cumsum(alive) - alive
    step = np.repeat(np.arange(longest), alive)
    slot = np.arange(total) - first[step]
    at = own[slot] - 1 - step if reverse else step
    # parts of about as many steps
    cuts = [0, *(int(k) for k in np.searchsorted(np.cumsum(own), [total * k / parts for k in range(1, parts)]) + 1), batch]
    counts = [np.clip(alive - low, 0, high - low) for low, high in zip(cuts, cuts[1:])]
    table, owners = _table(cuts, counts, [first + low for low in cuts[:-1]])
    source = torch.from_numpy(order[slot] * time + at)
    index = torch.from_numpy(order), source, torch.from_numpy(slot)
    return Rows(batch, time, total, longest, 1, parts, team, table, owners, False, *index)


def _table(cuts: list[int], counts: list[np.ndarray], starts: list[np.ndarray]) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """The words for each part, and the arrays that they point to."""
    words = [(low, c.ctypes.data, s.ctypes.data) for low, c, s in zip(cuts, counts, starts)]
    return np.array(words, dtype=np.int64), (*counts, *starts)
