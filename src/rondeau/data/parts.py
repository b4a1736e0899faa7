"""From parts of a file, as a reader hands them out, to one value with classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rondeau.data.columns import Columns, quoted
from rondeau.data.numeric import shown
from rondeau.data.sequences import UNLABELLED, Goal, ItemKind, Labels, Sequences, StepLabels, StepTargets, Targets
from rondeau.errors import DataError


@dataclass
class Part:
    """Some sequences as they were read.

    ``labels`` has for each sequence its class's name, or the names of its steps; ``targets`` its number, or an array of its
    steps'; both are empty where nothing is to be learned. ``lines`` has the line in the file where each sequence begins.
    """

    items: list[Any]
    lines: list[int]
    labels: list[Any] = field(default_factory=list)
    targets: list[Any] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    times: list[np.ndarray] = field(default_factory=list)

    def extend(self, other: Part) -> None:
        """Puts another part's sequences behind those of this one."""
        self.items += other.items
        self.lines += other.lines
        self.labels += other.labels
        self.targets += other.targets
        self.ids += other.ids
        self.times += other.times

    def cut(self, begin: int, end: int) -> Part:
        """Its sequences from one place up to another, without what is to be learned of them."""
        ids, times = self.ids[begin:end], self.times[begin:end]
        return Part(self.items[begin:end], self.lines[begin:end], ids=ids, times=times)


@dataclass(frozen=True)
class Reading:
    """A file that is read as it is asked for: its name, parts and kind, and what was understood of it and its columns."""

    source: str
    parts: Iterator[Part]
    kind: ItemKind
    notes: tuple[str, ...]
    features: tuple[str, ...] = ()
    columns: Columns | None = None

    def whole(self, classes: Sequence[object] | None = None, per_step: bool = False) -> Sequences:
        """All that is read as one value.

        Args:
            classes: those that labels may name, if they are known; else those that come are the classes.
            per_step: whether labels and targets are of each step.

        Raises:
            DataError: there is nothing, there is one class only, or a label names none of the ``classes``.
        """
        joined = Part([], [])
        for part in self.parts:
            joined.extend(part)
        if not joined.items:
            raise DataError(f"{self.source} has no rows below its head; give at least one")
        return self._sequences(joined, self._goal(joined, classes, per_step))

    def in_parts(self, size: int) -> Iterator[Sequences]:
        """All that is read, without goals, at most ``size`` sequences at a time; nothing else is kept in memory."""
        waiting = Part([], [])
        for part in self.parts:
            waiting.extend(part)
            whole = len(waiting.items) - len(waiting.items) % size
            for begin in range(0, whole, size):
                yield self._sequences(waiting.cut(begin, begin + size), None)
            waiting = waiting.cut(whole, len(waiting.items))
        if waiting.items:
            yield self._sequences(waiting, None)

    def _sequences(self, part: Part, goal: Goal | None) -> Sequences:
        ids = np.array(part.ids, object) if part.ids else None  # one long id widens no other
        return Sequences(part.items, self.kind, goal, ids, part.times or None, None, self.features, self.notes, self.columns)

    def _goal(self, part: Part, classes: Sequence[object] | None, per_step: bool) -> Goal | None:
        if part.targets:
            names = (self.columns.targets if self.columns else ()) or ("target",)
            if per_step:
                return StepTargets([np.asarray(each, float).reshape(-1, len(names)) for each in part.targets], names)
            return Targets(np.array(part.targets, float).reshape(-1, len(names)), names)
        if not part.labels:
            return None
        flat = [name for names in part.labels for name in names] if per_step else part.labels
        lines = np.repeat(part.lines, list(map(len, part.labels))) if per_step else part.lines
        codes, known = encoded(flat, classes, lambda i: f"{self.source}, line {lines[i]}")
        if not per_step:
            return Labels(codes, known)
        ends = np.cumsum(list(map(len, part.labels)))[:-1]
        return StepLabels(np.split(codes, ends), known)


def encoded(names: Sequence[Any], classes: Sequence[object] | None, place: Any) -> tuple[np.ndarray, np.ndarray]:
    """The codes of labels (labels,) and their classes (classes,), sorted by number where they are numbers.

    Args:
        names: the labels; None for a step that has none.
        classes: those that are known, or None to take those that come.
        place: names the label of an index, for messages.

    Raises:
        DataError: there is one class only, or a label names none of the known ``classes``.

    Example:
        >>> encoded(["10", "9", None], None, str)
        (array([ 1,  0, -1]), array(['9', '10'], dtype='<U2'))
    """
    known = _in_order(set(names) - {None}) if classes is None else list(classes)
    if classes is None and len(known) < 2:
        what = f"every label is {shown(known[0])}" if known else "there are no labels"
        raise DataError(f"{what}; give examples of at least two classes")
    codes: dict[Any, int] = {name: code for code, name in enumerate(known)}
    codes[None] = UNLABELLED
    try:
        return np.fromiter((codes[name] for name in names), np.int64, len(names)), np.array(known)
    except KeyError as error:
        index = next(i for i, name in enumerate(names) if name not in codes)
        raise DataError(
            f"{place(index)}: class {shown(names[index])} was never seen in training; "
            f"the classes are {quoted(list(map(str, known)))}"
        ) from error


def _in_order(names: Iterable[Any]) -> list[Any]:
    names = list(names)
    try:
        return sorted(names, key=float)
    except (TypeError, ValueError):
        return sorted(names, key=str)
