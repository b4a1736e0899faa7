"""Ragged batches: sequences of many lengths, those of like length side by side, so that little is padding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rondeau.errors import DataError, InputError

MOST_EPOCHS = 1_000_000


@dataclass(frozen=True)
class Batch:
    """Some of the sequences: inputs (batch, longest, ...) with zeros behind each sequence's end, lengths (batch,) and
    places (batch,), the sequences' numbers in the order in which they were given."""

    inputs: Tensor
    lengths: Tensor
    places: Tensor


class RaggedBatches:
    """Batches of sequences, epoch after epoch; every sequence comes once an epoch.

    An epoch draws an order of its own from the seed: sequences are sorted by length, equals at random, and cut into batches of
    at most ``batch`` of them and at most ``padding`` of their elements; then the batches are shuffled. Where the cuts fall
    changes from epoch to epoch as well.

    Args:
        sequences: tensors (steps, ...) of one type and one shape behind the steps.
        batch: sequences in a batch at most.
        seed: decides all that is random.
        padding: the part of a batch that may be padding, from 0 up to but not including 1.
        shuffle: False keeps the order given and every batch full, whatever padding that takes.

    Raises:
        InputError: an argument is out of range.
        DataError: there are no sequences, or they differ in more than their length.

    Example:
        >>> batches = RaggedBatches([torch.ones(n, 2) for n in (3, 9, 3, 9)], batch=2)
        >>> sorted({batches.next().inputs.shape[1] for _ in range(batches.count)})
        [3, 9]
    """

    def __init__(
        self, sequences: Sequence[Tensor], batch: int, *, seed: int = 0, padding: float = 0.1, shuffle: bool = True
    ) -> None:
        if not isinstance(batch, int) or batch < 1:
            raise InputError(f"batch is a positive whole number, not {batch!r}")
        if not 0 <= padding < 1:
            raise InputError(f"padding is a part from 0 up to but not including 1, not {padding!r}")
        self.sequences = _alike(sequences)
        self.batch, self.seed, self.padding, self.shuffle = batch, seed, padding, shuffle
        self.lengths = np.array([len(each) for each in self.sequences])
        self.epoch = self.position = 0
        self._sorted = np.sort(self.lengths)[::-1].tolist()
        self._known_cuts: dict[int, list[int]] = {}
        self._until = [0]  # the number of batches before each epoch, as far as anybody has asked
        self._order = self._drawn()

    @property
    def count(self) -> int:
        """The number of batches in this epoch."""
        return len(self._order)

    @property
    def passed(self) -> float:
        """Epochs behind, with the part of this one."""
        return self.epoch + self.position / self.count

    def steps(self, epochs: float) -> int:
        """Batches in so many epochs from the beginning; a part of a batch counts as one.

        Raises:
            InputError: more epochs than can be counted one by one.
        """
        if not 0 <= epochs <= MOST_EPOCHS:
            raise InputError(f"epochs of batches of many lengths are 0 to {MOST_EPOCHS:,}, not {epochs!r}; say steps instead")
        whole = int(epochs)
        while len(self._until) < whole + 2:
            self._until.append(self._until[-1] + self._size(len(self._until) - 1))
        behind, after = self._until[whole : whole + 2]
        return behind + math.ceil((epochs - whole) * (after - behind) - 1e-6)

    def next(self) -> Batch:
        """The next batch; after the last one of an epoch, the first of the next."""
        places = self._order[self.position]
        self.position += 1
        if self.position == len(self._order):
            self.position, self.epoch = 0, self.epoch + 1
            self._order = self._drawn()
        inputs, lengths = padded([self.sequences[place] for place in places])
        return Batch(inputs, lengths, torch.from_numpy(places))

    def state_dict(self) -> dict[str, int]:
        """Where the batches stand."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes where `state_dict` stood, for the same sequences, batch, padding and seed.

        Raises:
            InputError: there is no such place.
        """
        self.epoch, self.position = int(state["epoch"]), int(state["position"])
        self._order = self._drawn()
        if not (self.epoch >= 0 and 0 <= self.position < len(self._order)):
            raise InputError(f"an epoch has batches 0 to {len(self._order) - 1}, so none is the {self.position}th")

    def _drawn(self) -> list[np.ndarray]:
        """The batches of this epoch, each the places of its sequences."""
        count = len(self.lengths)
        if not self.shuffle:
            return [np.arange(first, min(first + self.batch, count)) for first in range(0, count, self.batch)]
        draw = self._random(self.epoch)
        first = int(draw.integers(1, self.batch + 1))
        order = draw.permutation(count)
        order = order[np.argsort(-self.lengths[order], kind="stable")]
        batches = np.split(order, self._cuts(first))
        return [batches[i] for i in draw.permutation(len(batches))]

    def _random(self, epoch: int) -> np.random.Generator:
        return np.random.default_rng([self.seed % 2**64, max(epoch, 0)])

    def _size(self, epoch: int) -> int:
        """The number of batches in an epoch, without drawing their sequences."""
        if not self.shuffle:
            return -(-len(self.lengths) // self.batch)
        return len(self._cuts(int(self._random(epoch).integers(1, self.batch + 1)))) + 1

    def _cuts(self, first: int) -> list[int]:
        """Where the sequences, from the longest to the shortest, are cut, if the first batch holds at most ``first``."""
        if first in self._known_cuts:
            return self._known_cuts[first]
        cuts, start, room, total = [], 0, first, 0
        for here, length in enumerate(self._sorted):
            total += length
            whole = self._sorted[start] * (here + 1 - start)
            if here > start and (here - start == room or whole - total > self.padding * whole):
                cuts.append(here)
                start, total, room = here, length, self.batch
        self._known_cuts[first] = cuts
        return cuts


def padded(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Sequences (steps, ...) as one tensor (batch, longest, ...) with zeros behind each end, and their lengths (batch,)."""
    lengths = torch.tensor([len(each) for each in sequences])
    out = sequences[0].new_zeros(len(sequences), int(lengths.max()), *sequences[0].shape[1:])
    for row, each in zip(out, sequences):
        row[: len(each)] = each
    return out, lengths


def _alike(sequences: Sequence[Tensor]) -> list[Tensor]:
    if not len(sequences):
        raise DataError("there are no sequences to make batches of")
    first = sequences[0]
    for place, each in enumerate(sequences):
        if each.dim() < 1 or each.shape[1:] != first.shape[1:] or each.dtype != first.dtype:
            raise DataError(
                f"sequences differ in their length alone, but the first is {tuple(first.shape)} of {first.dtype} "
                f"and number {place} is {tuple(each.shape)} of {each.dtype}"
            )
    return list(sequences)
