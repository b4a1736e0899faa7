"""Parts to train on and parts to hold out: of sequences at random, of groups whole, of series by time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rondeau.data.sequences import plural
from rondeau.errors import DataError, InputError


@dataclass(frozen=True, eq=False)
class Split:
    """Which sequences to train on and which are held out, as places in ascending order, and how they were chosen."""

    train: np.ndarray
    held_out: np.ndarray
    how: str

    def describe(self) -> str:
        """The split in one line."""
        return f"{len(self.train):,} to train on, {len(self.held_out):,} held out, {self.how}"


def split_sequences(count: int, part: float, *, seed: int = 0, codes: np.ndarray | None = None) -> Split:
    """Sequences at random; with the classes of each, the same part of every class as far as that goes.

    A class of one sequence stays in the part to train on.

    Args:
        count: how many sequences there are.
        part: how much is held out, between 0 and 1.
        seed: decides the choice; the same seed, the same split.
        codes: the class of each sequence (count,), or None.

    Raises:
        InputError: the part is not between 0 and 1, or there are not as many codes as sequences.
        DataError: there are fewer than two sequences.

    Example:
        >>> split_sequences(10, 0.2).describe()
        '8 to train on, 2 held out, at random (seed 0)'
    """
    wanted = _wanted(count, part, "sequence")
    if codes is not None and len(codes) != count:
        raise InputError(f"there are {len(codes):,} codes for {count:,} sequences; give one for each")
    order = np.random.default_rng(_seed(seed)).permutation(count)
    if codes is None:
        return _split(order[:wanted], count, f"at random (seed {seed})")
    return _split(_stratified(order, np.asarray(codes), wanted), count, f"at random, by class (seed {seed})")


def _stratified(order: np.ndarray, codes: np.ndarray, wanted: int) -> np.ndarray:
    """So many places of each class as its share says; what rounding leaves goes to the classes that lost most by it."""
    known, inverse = np.unique(codes, return_inverse=True)
    members = [order[inverse[order] == code] for code in range(len(known))]
    sizes = np.array(list(map(len, members)))
    shares = wanted * sizes / len(codes)
    counts = np.floor(shares).astype(int)
    for code in np.argsort(-(shares - counts), kind="stable")[: wanted - counts.sum()]:
        counts[code] += 1
    counts = np.minimum(counts, sizes - 1)  # the part to train on has every class
    return np.concatenate([places[:n] for places, n in zip(members, counts)])


def split_groups(groups: Sequence[Any], part: float, *, seed: int = 0) -> Split:
    """Groups at random, each whole on one side: sentences of one document, recordings of one person.

    Args:
        groups: the group of each sequence (count,).
        part: how much of the sequences is held out, as near as groups allow, between 0 and 1.
        seed: decides the choice.

    Raises:
        InputError: the part is not between 0 and 1.
        DataError: there are fewer than two groups.
    """
    names, inverse = np.unique(np.array(list(map(str, groups))), return_inverse=True)
    _wanted(len(names), part, "group")
    sizes = np.bincount(inverse)
    order = np.random.default_rng(_seed(seed)).permutation(len(names))
    behind = np.cumsum(sizes[order])
    count = int(np.abs(behind[:-1] - part * len(inverse)).argmin()) + 1
    return _split(np.flatnonzero(np.isin(inverse, order[:count])), len(inverse), f"by {plural(count, 'group')} (seed {seed})")


def _split(held_out: np.ndarray, count: int, how: str) -> Split:
    out = np.zeros(count, bool)
    out[held_out] = True
    return Split(np.flatnonzero(~out), np.flatnonzero(out), how)


def _wanted(count: int, part: float, noun: str) -> int:
    """How many are held out: at least one, and at least one is not."""
    if not 0 < part < 1:
        raise InputError(f"the part that is held out lies between 0 and 1, not at {part!r}")
    if count < 2:
        raise DataError(f"{plural(count, noun)} cannot be split; give at least two")
    return min(max(1, round(part * count)), count - 1)


def _seed(seed: int) -> int:
    """A seed as numpy takes it, which is not negative."""
    return seed % 2**64
