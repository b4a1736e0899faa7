"""Which column of a table plays which part: as somebody said, or guessed where there is one reasonable guess."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Union

from rondeau.data.numeric import shown
from rondeau.errors import DataError

Shape = Literal["", "text", "long", "wide"]

USUAL = {
    "text": ("text", "tokens", "token", "word", "sentence", "review", "comment", "content", "message", "sequence", "values"),
    "label": ("label", "class", "category", "sentiment", "tag", "labels", "tags"),
    "target": ("target", "value", "y", "rating", "score", "targets"),
    "id": ("id", "item_id", "series_id", "sequence_id", "unique_id", "item", "series", "case"),
    "time": ("time", "date", "datetime", "timestamp", "ds", "step"),
}
"""Usual names of columns, the most telling first; capitals do not matter."""

SHAPES = {
    "text": "a text or a sequence in each row",
    "long": "a step in each row",
    "wide": "a sequence in each row, its steps in numbered columns",
}
_NUMBERED = re.compile(r"(.*?)[ _.-]?(\d+)")


@dataclass(frozen=True)
class Columns:
    """The names of the columns that play a part; an empty one is guessed where it is needed and one guess is reasonable.

    Args:
        text: a text, or from JSON a list: of tokens, of numbers, or of lists of numbers; of a CoNLL file a number from 1 on.
        label: a class for each sequence or for each step.
        target: a number for each sequence or for each step; for series what is to be forecast, several if need be.
        id: which sequence or series a row belongs to.
        time: when a row was; numbers or dates.
        features: the numbers that a sequence consists of; for series the numbers that are known only up to the present.
        future: for series, numbers that are known ahead, such as holidays and prices that were announced.
        static: for series, what stays the same all along a series: numbers or names.
        shape: "text" where a row holds a text or a whole sequence, "long" where it holds a step, "wide" where a row's steps
            are in numbered columns; of series, each in a column of its own.

    Example:
        >>> Columns(text="review", label="stars").text
        'review'
    """

    text: str = ""
    label: str = ""
    target: Union[str, tuple[str, ...]] = ""
    id: str = ""
    time: str = ""
    features: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    shape: Shape = ""

    def __post_init__(self) -> None:
        if self.shape and self.shape not in SHAPES:
            raise DataError(f"the shape of a table is one of {', '.join(SHAPES)}, not {self.shape!r}")

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets, whether one was named or several."""
        return ((self.target,) if self.target else ()) if isinstance(self.target, str) else self.target

    def named(self) -> dict[str, str]:
        """Each column that plays a part, and the part."""
        parts: dict[str, tuple[str, ...]] = {"text": (self.text,), "label": (self.label,), "target": self.targets}
        parts |= {"id": (self.id,), "time": (self.time,)}
        parts |= {"features": self.features, "future": self.future, "static": self.static}
        found: dict[str, str] = {}
        for part, names in parts.items():
            for name in filter(None, names):
                if name in found:
                    raise DataError(f"column {name!r} cannot be {part} and {found[name]} at once; name it once")
                found[name] = part
        return found

    def check(self, names: Sequence[str], source: str) -> None:
        """Refuses what the table does not have.

        Raises:
            DataError: a column is not there, or plays two parts.
        """
        for name in self.named():
            if name not in names:
                raise DataError(f"{source} has no column {name!r}; {_near(name, names)}its columns are {quoted(names)}")


def _near(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, 1)
    return f"is it {near[0]!r}? " if near else ""


def quoted(names: Collection[str], most: int = 24) -> str:
    """Names in quotes with commas, and how many are left out."""
    left = len(names) - most
    return ", ".join(map(shown, list(names)[:most])) + (f" and {left} more" if left > 0 else "")


def usual(part: str, names: Sequence[str], taken: Collection[str] = ()) -> str:
    """The column whose name is the usual one of a part; empty if there is none, or none is clearly the one."""
    free = {name.lower(): name for name in names if name not in taken}
    found = [free[name] for name in USUAL[part] if name in free]
    if not found:
        return ""
    return found[0] if len(found) == 1 or found[0].lower() == USUAL[part][0] else ""


def numbered(names: Sequence[str]) -> dict[str, list[str]]:
    """Columns such as ``x1, x2, x3`` by what stands before the number, in the order of the numbers; only whole runs.

    Example:
        >>> numbered(["a_1", "a_2", "a_3", "label"])
        {'a': ['a_1', 'a_2', 'a_3']}
    """
    groups: dict[str, dict[int, str]] = {}
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match:
            groups.setdefault(match[1], {})[int(match[2])] = name
    runs = {prefix: [group[number] for number in sorted(group)] for prefix, group in groups.items() if _is_run(group)}
    return runs if len({len(run) for run in runs.values()}) == 1 else {}


def _is_run(numbers: Collection[int]) -> bool:
    return len(numbers) > 1 and max(numbers) - min(numbers) + 1 == len(numbers) and min(numbers) in (0, 1)
