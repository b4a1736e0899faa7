"""What the columns of a table are for, from their names and first rows, where there is one reasonable guess."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from rondeau.data.columns import USUAL, Columns, Shape, numbered, quoted, usual
from rondeau.data.numeric import is_number
from rondeau.errors import DataError

_DATE = re.compile(r"\d{4}[-/]\d\d?([-/]\d\d?)?([T ].*)?")

GoalName = Literal["", "label", "target"]


@dataclass(frozen=True)
class Head:
    """The first rows of a table: its name for messages, its columns' names, and for each its first cells."""

    source: str
    names: tuple[str, ...]
    cells: dict[str, Sequence[Any]]

    def numeric(self, name: str) -> bool:
        """Whether a column's first cells are numbers."""
        return all(map(is_number, self.cells[name]))

    def repeats(self, name: str) -> bool:
        """Whether a value comes in several of a column's first cells."""
        cells = list(map(str, self.cells[name]))
        return len(set(cells)) < len(cells)

    def dates(self, name: str) -> bool:
        """Whether a column's first cells are dates that begin with the year."""
        return all(isinstance(cell, str) and _DATE.fullmatch(cell.strip()) for cell in self.cells[name])

    def free(self, columns: Columns) -> list[str]:
        """The columns that play no part yet."""
        taken = columns.named()
        return [name for name in self.names if name not in taken]

    def without(self, names: Collection[str]) -> Head:
        """The table as if it did not have some columns."""
        return replace(self, names=tuple(name for name in self.names if name not in names))


def guess(columns: Columns, head: Head, goal: GoalName = "", per_step: bool = False) -> Columns:
    """The columns with every part that sequences need.

    Args:
        columns: those that somebody named.
        head: the table's first rows.
        goal: what is to be learned: "label", "target", or "" for nothing; columns for another goal are left aside, whether
            they are there or not.
        per_step: whether the goal is one of each step.

    Raises:
        DataError: a column is not there, or no guess or more than one is reasonable; the message lists the columns.

    Example:
        >>> head = Head("a.csv", ("review", "stars"), {"review": ["good", "bad"], "stars": ["5", "1"]})
        >>> found = guess(Columns(label="stars"), head, "label")
        >>> found.shape, found.text
        ('text', 'review')
    """
    if goal != "label":
        head, columns = head.without({columns.label}), replace(columns, label="")
    if goal != "target":
        head, columns = head.without(columns.targets), replace(columns, target="")
    columns.check(head.names, head.source)
    columns = _with_usual(columns, head, goal)
    shape = columns.shape or _shape(columns, head, per_step)
    if not shape:
        raise DataError(
            f"{head.source}: it is not clear what a row is; name the text column, or the id or time column where each row is a "
            f"step, or number the columns of the steps; the columns are {quoted(head.names)}"
        )
    columns = _FILL[shape](replace(columns, shape=shape), head, goal, per_step)
    return _with_goal(columns, head, goal)


def _with_usual(columns: Columns, head: Head, goal: GoalName) -> Columns:
    """With the goal, id and time that go by a usual name."""
    taken = columns.named()
    if goal == "label" and not columns.label:
        columns = replace(columns, label=usual("label", head.names, taken))
    if goal == "target" and not columns.targets:
        columns = replace(columns, target=usual("target", head.names, taken))
    if not columns.id:
        columns = replace(columns, id=usual("id", head.names, columns.named()))
    if not columns.time:
        columns = replace(columns, time=usual("time", head.names, columns.named()))
    if not columns.time and columns.id and head.repeats(columns.id):
        columns = replace(columns, time=_only(head.free(columns), head.dates))
    return columns


def _shape(columns: Columns, head: Head, per_step: bool) -> Shape:
    free = head.free(columns)
    several = bool(columns.id) and head.repeats(columns.id)  # rows of one sequence
    if columns.text or _usual_text(columns, head):
        return "long" if several and (per_step or (columns.time and not columns.text)) else "text"
    if columns.time or several:
        return "long"
    if numbered(columns.features or free):
        return "wide"
    if columns.id or columns.features:
        return "long"
    return "text" if _only(free, lambda name: not head.numeric(name)) else ""


def _only(names: Collection[str], wanted: Callable[[str], bool]) -> str:
    """The one name that is wanted; empty if there is none or several."""
    found = [name for name in names if wanted(name)]
    return found[0] if len(found) == 1 else ""


def _usual_text(columns: Columns, head: Head) -> str:
    name = usual("text", head.names, columns.named())
    return "" if name and name.lower() != USUAL["text"][0] and head.numeric(name) else name


def _fill_text(columns: Columns, head: Head, goal: GoalName, per_step: bool) -> Columns:
    free = head.free(columns)
    text = columns.text or _usual_text(columns, head) or _only(free, lambda name: not head.numeric(name))
    if not text:
        raise DataError(f"{head.source}: it is not clear which column is the text; the columns are {quoted(head.names)}")
    return replace(columns, text=text)


def _fill_long(columns: Columns, head: Head, goal: GoalName, per_step: bool) -> Columns:
    text = columns.text or (_usual_text(columns, head) if per_step and not columns.features else "")
    columns = _with_goal(replace(columns, text=text), head, goal)
    if text or columns.features:
        return columns
    features = tuple(name for name in head.free(columns) if not _is_a_goal(name))
    if not features:
        raise DataError(f"{head.source} has no column left for features; the columns are {quoted(head.names)}")
    return replace(columns, features=features)


def _fill_wide(columns: Columns, head: Head, goal: GoalName, per_step: bool) -> Columns:
    runs = numbered(columns.features or head.free(columns))
    if not runs:
        raise DataError(
            f"{head.source} has no numbered columns for the steps, such as x1, x2, x3, or not as many of each feature; "
            f"the columns are {quoted(head.names)}"
        )
    return replace(columns, features=tuple(name for run in runs.values() for name in run))


_FILL: dict[str, Callable[[Columns, Head, GoalName, bool], Columns]] = {
    "text": _fill_text,
    "long": _fill_long,
    "wide": _fill_wide,
}


def _is_a_goal(name: str) -> bool:
    """Whether a column is usually what is learned, so that it is no feature where nothing is to be learned."""
    return name.lower() in (*USUAL["label"], "target")


def _with_goal(columns: Columns, head: Head, goal: GoalName) -> Columns:
    """With the only column that can be the goal, if none was found yet."""
    if not goal or (columns.label if goal == "label" else columns.targets):
        return columns
    free = head.free(columns)
    if goal == "label":
        name = _only(free, lambda name: not head.numeric(name)) or _only(free, lambda name: True)
    else:
        name = _only(free, head.numeric)
    if not name:
        raise DataError(f"{head.source}: it is not clear which column is the {goal}; the columns are {quoted(head.names)}")
    return replace(columns, label=name) if goal == "label" else replace(columns, target=name)
