"""`chosen`: the fastest way to a large product on this machine, measured once for a class of shapes and remembered on disk.

What was chosen stays so, for the ways differ in the last bits. The number of threads is no part of a class: it would make the
bits depend on it. Where nothing can be kept on disk the first of `WAYS` is taken. ``RONDEAU_PRODUCTS`` names a way for all
products.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from rondeau.engine.llvm import store
from rondeau.engine.llvm.processors import chosen_processor
from rondeau.engine.products.ways import WAYS, Name, Way, possible
from rondeau.errors import InputError

PINNED = "RONDEAU_PRODUCTS"
"""The variable that names the way for all products."""

LARGEST, ROWS = 512, 1024  # sizes from which on all are one class: of rows, where what each product packs counts less, more
MARGIN = 1.1  # how many times as fast another way has to be to take the first one's place
ROUNDS = 8
FINE = 1e-5  # seconds

Times = Mapping[Name, float]


@dataclass(frozen=True)
class Shape:
    """A class of products: the type, sizes rounded down to powers of two, and whether each operand lies row by row."""

    dtype: torch.dtype
    rows: int
    columns: int
    inner: int
    left_by_rows: bool
    right_by_rows: bool

    @classmethod
    def of(cls, left: Tensor, right: Tensor) -> Shape:
        """The class of a product."""
        (rows, inner), columns = left.shape, right.shape[1]
        by_rows = left.stride(1) == 1, right.stride(1) == 1
        return cls(left.dtype, _rounded(rows, ROWS), _rounded(columns), _rounded(inner), *by_rows)

    def operands(self) -> tuple[Tensor, Tensor]:
        """Random ones."""
        generator = torch.Generator().manual_seed(0)

        def matrix(rows: int, columns: int, by_rows: bool) -> Tensor:
            shape = (rows, columns) if by_rows else (columns, rows)
            value = torch.rand(shape, generator=generator, dtype=self.dtype)
            return value if by_rows else value.t()

        return matrix(self.rows, self.inner, self.left_by_rows), matrix(self.inner, self.columns, self.right_by_rows)


def _rounded(size: int, most: int = LARGEST) -> int:
    return min(1 << (size.bit_length() - 1), most)


def chosen(shape: Shape) -> Name:
    """The way for a class of products.

    Raises:
        InputError: ``RONDEAU_PRODUCTS`` names no way.
    """
    name = pinned(os.environ.get(PINNED, ""))
    if name is None:
        return _remembered(shape)
    return name if name in possible(shape.dtype) else "blas"


@lru_cache(8)
def pinned(name: str) -> Name | None:
    """The way that ``RONDEAU_PRODUCTS`` names, or None if it is empty.

    Raises:
        InputError: there is no such way.
    """
    for way in WAYS:
        if name == way:
            return way
    if name:
        raise InputError(f"{PINNED} is one of {', '.join(WAYS)}, or unset for the fastest on this machine, not {name!r}")
    return None


@lru_cache(1024)
def _remembered(shape: Shape) -> Name:
    """What was chosen on this machine, by this process or another."""
    names, key = possible(shape.dtype), _key(shape)
    kept = _kept(key, names)
    if kept is None and store.cache_folder() is not None:
        store.write(key, fastest(rounds(shape)).encode())
        kept = _kept(key, names)
    return kept or names[0]


def _kept(key: str, names: tuple[Name, ...]) -> Name | None:
    kept = store.read(key)
    return next((name for name in names if name.encode() == kept), None)


def _key(shape: Shape) -> str:
    processor = chosen_processor()
    described = f"product 1 {torch.__version__} {processor.name} {processor.cpu} {processor.features} {shape}"
    return hashlib.sha256(described.encode()).hexdigest()


def fastest(rounds: Sequence[Times]) -> Name:
    """The way to take: the first, unless the best of the others beats its least time by the `MARGIN`, and itself in all rounds
    but one. Rounds time all ways one after another, since a machine may do other work meanwhile."""
    first, *others = rounds[0]
    least = {name: min(times[name] for times in rounds) for name in rounds[0]}
    best = min(others, key=lambda name: least[name])
    beaten = sum(times[best] < times[first] for times in rounds)
    return best if least[best] * MARGIN < least[first] and beaten >= len(rounds) - 1 else first


def rounds(shape: Shape, clock: Callable[[], float] | None = None) -> Sequence[Times]:
    """The times of all ways to a product of a class on one thread, in turn, after a turn that does not count."""
    left, right = shape.operands()
    out = left.new_empty(len(left), right.shape[1])
    runs = {name: _timed(WAYS[name], (left, right, out), clock or _clock()) for name in possible(shape.dtype)}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [{name: run() for name, run in runs.items()} for _ in range(1 + ROUNDS)][1:]
    finally:
        torch.set_num_threads(threads)


def _clock() -> Callable[[], float]:
    """The time that this thread has worked, where the system counts it finely: other work does not show in it."""
    return time.thread_time if time.get_clock_info("thread_time").resolution < FINE else time.perf_counter


def _timed(way: Way, given: tuple[Tensor, Tensor, Tensor], clock: Callable[[], float]) -> Callable[[], float]:
    def run() -> float:
        begin = clock()
        way(*given, None)
        return clock() - begin

    return run
