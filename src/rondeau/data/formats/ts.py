"""The text format of aeon and sktime, ``.ts``: one sequence a line, its features between colons, its label or target last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from rondeau.data.formats.lines import Lines
from rondeau.data.numeric import floats, shown
from rondeau.data.parts import Part, Reading
from rondeau.errors import DataError

_MOST = 1000
"""Sequences in a part."""


@dataclass
class _Head:
    """What the lines that begin with @ say, in small letters, and the classes that they list."""

    said: dict[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()

    def is_true(self, name: str) -> bool:
        return self.said.get(name, "").lower().startswith("true")

    def has(self, goal: str) -> bool:
        return self.is_true({"label": "classlabel", "target": "targetlabel"}[goal])

    @property
    def goals(self) -> str:
        """What stands behind each sequence."""
        return "class labels" if self.has("label") else "targets" if self.has("target") else ""


def read_ts(lines: Lines, goal: str = "") -> Reading:
    """The sequences of a ``.ts`` file.

    Args:
        lines: those of the file.
        goal: "label" or "target" to take these, which the file must then have; "" for neither.

    Raises:
        DataError: the head is no such head or asks for timestamps; a value is no number, features differ in length or number,
            or a label is missing or not among those of the head; the message names the line.
    """
    numbered = enumerate(lines, 1)
    head = _head(numbered, lines.name)
    if head.is_true("timestamps"):
        raise DataError(
            f"{lines.name} has timestamps, which are not read from .ts; give a table with id, time and features instead"
        )
    if goal and not head.has(goal):
        raise DataError(
            f"{lines.name} has {head.goals or 'no labels'}, and {goal}s are to be learned; give a file that has them"
        )
    first = next(((n, line) for n, line in numbered if _is_data(line)), None)
    if first is None:
        raise DataError(f"{lines.name} has nothing behind @data; give at least one sequence")
    width = len(_fields(first[1], head)[0])
    note = f"{lines.name}: .ts with {head.goals or 'no labels'}"
    return Reading(lines.name, _parts(first, numbered, head, width, lines.name, bool(goal)), "numbers", (note,))


def _head(numbered: Iterator[tuple[int, str]], source: str) -> _Head:
    head = _Head()
    for number, line in numbered:
        words = line.strip().split()
        if not words or words[0][0] in "#%":
            continue
        name = words[0].lower().removeprefix("@")
        if not words[0].startswith("@"):
            raise DataError(f"{source}, line {number}: {shown(line.strip())} comes before @data; is this a .ts file?")
        if name == "data":
            return head
        head.said[name] = " ".join(words[1:])
        if name == "classlabel":
            head.classes = tuple(words[2:])
    raise DataError(f"{source} has no line @data; is this a whole .ts file?")


def _is_data(line: str) -> bool:
    return bool(line.strip()) and line.lstrip()[0] not in "#%"


def _fields(line: str, head: _Head) -> tuple[list[str], str]:
    """The features of a line as text, and its label or target."""
    fields = line.strip().split(":")
    return (fields[:-1], fields[-1].strip()) if head.goals else (fields, "")


def _parts(
    first: tuple[int, str], numbered: Iterator[tuple[int, str]], head: _Head, width: int, source: str, goals: bool
) -> Iterator[Part]:
    part = Part([], [])
    for number, line in chain([first], numbered):
        if _is_data(line):
            _add(part, number, line, head, width, source, goals)
        if len(part.items) == _MOST:
            yield part
            part = Part([], [])
    if part.items:
        yield part


def _add(part: Part, number: int, line: str, head: _Head, width: int, source: str, goals: bool) -> None:
    """Puts the sequence of a line behind those of a part."""
    place = f"{source}, line {number}"
    fields, goal = _fields(line, head)
    if len(fields) != width or not width:
        hint = (
            "every line ends with a colon and its label"
            if len(fields) == width - 1 and head.goals
            else "give every sequence the same"
        )
        raise DataError(f"{place} has {len(fields)} features between colons and the first has {width}; {hint}")
    columns = [_values(text, f"{place}, feature {k + 1}") for k, text in enumerate(fields)]
    uneven = next((k for k, column in enumerate(columns) if len(column) != len(columns[0])), None)
    if uneven is not None:
        raise DataError(
            f"{place}: feature {uneven + 1} has {len(columns[uneven])} values and feature 1 has {len(columns[0])}; "
            "give all features of a sequence as many, ? where one is missing"
        )
    part.items.append(np.stack(columns, 1))
    part.lines.append(number)
    if goals and head.goals:
        _add_goal(part, goal, head, place)


def _values(text: str, place: str) -> np.ndarray:
    if not text.strip():
        raise DataError(f"{place} is an empty sequence; leave the line out")
    return floats(text.split(","), lambda index: f"{place}, step {index + 1}")


def _add_goal(part: Part, goal: str, head: _Head, place: str) -> None:
    if not head.is_true("classlabel"):
        part.targets.append(floats([goal], lambda _: f"{place}, target", missing=False))
    elif head.classes and goal not in head.classes:
        raise DataError(f"{place}: class {shown(goal)} is not among those that @classLabel lists: {', '.join(head.classes)}")
    else:
        part.labels.append(goal)
