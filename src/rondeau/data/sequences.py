"""Checked sequences: what is read, and what is to be learned of it, as one value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any, Literal, Union

import numpy as np

from rondeau.data.columns import Columns
from rondeau.errors import InputError

Item = Union[np.ndarray, str, "list[str]"]
"""One sequence: an array (steps, features), a text, or a list of tokens."""

ItemKind = Literal["numbers", "texts", "tokens"]
UNLABELLED = -1
"""The code of a step or sequence without a label; a number that is missing is NaN."""


@dataclass(frozen=True, eq=False)
class Labels:
    """A class for each sequence: codes (sequences,) that index classes (classes,)."""

    codes: np.ndarray
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, places: np.ndarray) -> Labels:
        """Those of the sequences at ``places``; the classes stay."""
        return replace(self, codes=self.codes[places])

    def describe(self) -> str:
        """The classes with their counts, in one line."""
        return _counted(self.codes, self.classes, "labels")


@dataclass(frozen=True, eq=False)
class StepLabels:
    """A class for each step: for each sequence codes (steps,) that index classes (classes,)."""

    codes: list[np.ndarray]
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, places: np.ndarray) -> StepLabels:
        """Those of the sequences at ``places``; the classes stay."""
        return replace(self, codes=[self.codes[i] for i in places])

    def describe(self) -> str:
        """The classes with their counts, in one line."""
        return _counted(np.concatenate([*self.codes, np.zeros(0, np.int64)]), self.classes, "labels of steps")


@dataclass(frozen=True, eq=False)
class Targets:
    """Numbers for each sequence: values (sequences, targets), and the targets' names."""

    values: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, places: np.ndarray) -> Targets:
        """Those of the sequences at ``places``."""
        return replace(self, values=self.values[places])

    def describe(self) -> str:
        """The range of each target, in one line."""
        return _ranges(self.values, self.names, "targets")


@dataclass(frozen=True, eq=False)
class StepTargets:
    """Numbers for each step: for each sequence values (steps, targets), and the targets' names."""

    values: list[np.ndarray]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, places: np.ndarray) -> StepTargets:
        """Those of the sequences at ``places``."""
        return replace(self, values=[self.values[i] for i in places])

    def describe(self) -> str:
        """The range of each target, in one line."""
        return _ranges(np.concatenate([*self.values, np.zeros((0, len(self.names)))]), self.names, "targets of steps")


Goal = Union[Labels, StepLabels, Targets, StepTargets]
"""What is to be learned of sequences."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences that passed every check, in the order in which they came.

    Args:
        items: all of one kind: arrays (steps, features), NaN where a value is missing; texts; or lists of tokens.
        kind: "numbers", "texts" or "tokens".
        goal: what is to be learned, if it is known.
        ids: the sequences' names (sequences,), if they have any.
        times: for each sequence the times of its steps (steps,), in the unit of the data or in seconds since 1970 for dates.
        weights: how much each sequence counts (sequences,).
        features: the names of the features of arrays, if they have any.
        notes: what was understood of a file, a sentence each.
        columns: the table's columns that play a part, to read another table of its kind.

    Raises:
        InputError: parts do not have as many entries as there are sequences.

    Example:
        >>> some = Sequences([np.zeros((3, 2)), np.zeros((5, 2))], "numbers", features=("a", "b"))
        >>> print(some.describe())
        2 sequences of numbers, 2 features: a, b
        lengths from 3 to 5, median 4
    """

    items: list[Any]
    kind: ItemKind
    goal: Goal | None = None
    ids: np.ndarray | None = None
    times: list[np.ndarray] | None = None
    weights: np.ndarray | None = None
    features: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    columns: Columns | None = None

    def __post_init__(self) -> None:
        parts: dict[str, Sized | None] = {
            "labels or targets": self.goal,
            "ids": self.ids,
            "times": self.times,
            "weights": self.weights,
        }
        for name, part in parts.items():
            if part is not None and len(part) != len(self.items):
                raise InputError(f"there are {len(part):,} {name} for {len(self.items):,} sequences; give one for each")

    def __len__(self) -> int:
        return len(self.items)

    @property
    def lengths(self) -> np.ndarray:
        """The number of steps of each sequence (sequences,): of rows, characters or tokens."""
        return np.fromiter(map(len, self.items), np.int64, len(self.items))

    @property
    def missing(self) -> int:
        """How many values of arrays are missing."""
        return int(sum(np.isnan(item).sum() for item in self.items)) if self.kind == "numbers" else 0

    def take(self, places: Sequence[int] | np.ndarray) -> Sequences:
        """The sequences at ``places``, with all that belongs to them."""
        at = np.asarray(places, dtype=np.int64)
        return replace(
            self,
            items=[self.items[i] for i in at],
            goal=None if self.goal is None else self.goal.take(at),
            ids=None if self.ids is None else self.ids[at],
            times=None if self.times is None else [self.times[i] for i in at],
            weights=None if self.weights is None else self.weights[at],
        )

    def describe(self) -> str:
        """A few lines: what was understood, sequences, lengths, missing values, classes or targets."""
        return "\n".join([*self.notes, *self._counts()])

    def _counts(self) -> Iterable[str]:
        yield plural(len(self), "sequence") + f" of {_OF[self.kind]}" + self._features()
        if len(self):
            yield lengths_line(self.lengths)
        if self.missing:
            total = sum(item.size for item in self.items)
            yield f"missing values: {share(self.missing, total)}"
        if self.goal is not None:
            yield self.goal.describe()

    def _features(self) -> str:
        if self.kind != "numbers" or not self.items:
            return ""
        return f", {plural(self.items[0].shape[1], 'feature')}" + (f": {listed(self.features)}" if self.features else "")


_OF = {"numbers": "numbers", "texts": "characters", "tokens": "tokens"}


def plural(count: int, noun: str) -> str:
    """A count with its noun.

    Example:
        >>> plural(1, "series"), plural(2000, "row")
        ('1 series', '2,000 rows')
    """
    return f"{count:,} {noun}" + ("" if count == 1 or noun.endswith("s") else "s")


def listed(names: Iterable[object], most: int = 12) -> str:
    """Some names with commas, and how many are left out."""
    texts = list(map(str, names))
    left = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {left:,} more" if left > 0 else "")


def share(part: int, whole: int) -> str:
    """A count out of another, with the percentage."""
    return f"{part:,} of {whole:,} ({100 * part / max(whole, 1):.2g} %)"


def lengths_line(lengths: np.ndarray) -> str:
    """The range and the median of lengths."""
    low, high = int(lengths.min()), int(lengths.max())
    return f"length {low:,}" if low == high else f"lengths from {low:,} to {high:,}, median {np.median(lengths):,.0f}"


def _counted(codes: np.ndarray, classes: np.ndarray, what: str) -> str:
    counts = np.bincount(codes[codes >= 0], minlength=len(classes))
    line = f"{plural(len(classes), 'class') if len(classes) == 1 else f'{len(classes):,} classes'}: "
    line += listed(f"{name} ({count:,})" for name, count in zip(classes, counts))
    without = int((codes < 0).sum())
    return line + (f"; without {what}: {without:,}" if without else "")


def _ranges(values: np.ndarray, names: Sequence[str], what: str) -> str:
    parts = []
    for name, column in zip(names, values.T):
        known = column[~np.isnan(column)]
        parts.append(
            f"{name} from {known.min():.6g} to {known.max():.6g}, mean {known.mean():.6g}" if len(known) else f"{name} missing"
        )
    return f"{what}: {listed(parts)}"
