"""From a table to sequences: a sequence in each row, or its steps in numbered columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from rondeau.data.columns import Columns, numbered
from rondeau.data.formats.table import Cell, Chunk, Table
from rondeau.data.numeric import floats, is_missing, shown
from rondeau.data.parts import Part
from rondeau.data.sequences import Item, ItemKind, plural
from rondeau.errors import DataError

Place = Callable[[int], str]


def placed(table: Table, chunk: Chunk, column: str) -> Place:
    """What names the cells of a column of a chunk by their index."""
    return lambda index: table.place(chunk.lines[index], column)


def kind_of(cell: Cell) -> ItemKind:
    """The kind of the sequences of which a cell is the first.

    Example:
        >>> kind_of("good"), kind_of(["very", "good"]), kind_of([1.5, 2])
        ('texts', 'tokens', 'numbers')
    """
    if not isinstance(cell, list):
        return "texts"
    return "tokens" if cell and isinstance(cell[0], str) and not is_missing(cell[0]) else "numbers"


def text_parts(table: Table, columns: Columns, kind: ItemKind, per_step: bool) -> Iterator[Part]:
    """Sequences that are in one cell each.

    Raises:
        DataError: a cell is empty or of another kind, or a goal does not fit its sequence; the message names line and column.
    """
    width: int | None = None
    for chunk in table.chunks:
        place = placed(table, chunk, columns.text)
        items = [MAKE[kind](cell, place, index) for index, cell in enumerate(chunk.columns[columns.text])]
        width = _one_width(items, width, place) if kind == "numbers" else None
        part = Part(items, list(chunk.lines), ids=ids_of(chunk, columns))
        (_add_step_goals if per_step else add_goals)(part, table, chunk, columns)
        yield part


def _text(cell: Cell, place: Place, index: int) -> str:
    if not isinstance(cell, str):
        raise DataError(f"{place(index)}: {shown(cell)} is not text; give the same kind in every row")
    if not cell.strip():
        raise DataError(f"{place(index)} is empty; leave the row out or fill it in")
    return cell


def _tokens(cell: Cell, place: Place, index: int) -> list[str]:
    if not isinstance(cell, list) or not all(isinstance(token, str) for token in cell):
        raise DataError(f"{place(index)}: {shown(cell)} is no list of tokens; give the same kind in every row")
    if not cell:
        raise DataError(f"{place(index)} is an empty sequence; leave the row out or fill it in")
    return cell


def _steps(cell: Cell, place: Place, index: int) -> np.ndarray:
    """A list of numbers or of lists of numbers as an array (steps, features)."""
    if not isinstance(cell, list):
        raise DataError(f"{place(index)}: {shown(cell)} is no list of numbers; give the same kind in every row")
    if not cell:
        raise DataError(f"{place(index)} is an empty sequence; leave the row out or fill it in")
    rows = [["" if value is None else value for value in (step if isinstance(step, list) else [step])] for step in cell]
    uneven = next((number for number, row in enumerate(rows) if len(row) != len(rows[0]) or not row), None)
    if uneven is not None:
        raise DataError(
            f"{place(index)}: step {uneven + 1} has {len(rows[uneven])} features and step 1 has {len(rows[0])}; {_SAME}"
        )
    flat = [value for row in rows for value in row]
    return floats(flat, lambda i: f"{place(index)}: step {i // len(rows[0]) + 1}").reshape(len(rows), -1)


MAKE: dict[ItemKind, Callable[[Cell, Place, int], Any]] = {"texts": _text, "tokens": _tokens, "numbers": _steps}
_SAME = "give every step of every sequence the same features"


def _one_width(items: Sequence[np.ndarray], width: int | None, place: Place) -> int:
    for index, item in enumerate(items):
        width = width or item.shape[1]
        if item.shape[1] != width:
            raise DataError(f"{place(index)}: the steps have {item.shape[1]} features and those before {width}; {_SAME}")
    return width or 0


def wide_parts(table: Table, columns: Columns) -> Iterator[Part]:
    """Sequences whose steps are in numbered columns; steps at the end that are wholly empty are not there.

    Raises:
        DataError: a cell is no number, or a row has no number at all; the message names the line.
    """
    runs = list(numbered(columns.features).values())
    for chunk in table.chunks:
        values = [[floats(chunk.columns[name], placed(table, chunk, name)) for name in run] for run in runs]
        block = np.array(values).transpose(2, 1, 0)  # (rows, steps, features)
        there = np.asarray(~np.isnan(block).all(2))
        lengths = np.where(there.any(1), block.shape[1] - there[:, ::-1].argmax(1), 0)
        if not lengths.all():
            line = chunk.lines[int((lengths == 0).argmax())]
            raise DataError(f"{table.place(line)} has no number in the columns of the steps; leave the row out")
        items = [row[:length].copy() for row, length in zip(block, lengths)]
        part = Part(items, list(chunk.lines), ids=ids_of(chunk, columns))
        add_goals(part, table, chunk, columns)
        yield part


def wide_features(columns: Columns) -> tuple[str, ...]:
    """What the numbered columns are called without their numbers.

    Example:
        >>> wide_features(Columns(features=("x1", "x2", "y1", "y2")))
        ('x', 'y')
    """
    return tuple(prefix or "value" for prefix in numbered(columns.features))


def ids_of(chunk: Chunk, columns: Columns) -> list[str]:
    """The ids of the rows, if there is a column of them."""
    return [str(cell) for cell in chunk.columns[columns.id]] if columns.id else []


def add_goals(part: Part, table: Table, chunk: Chunk, columns: Columns) -> None:
    """Takes a label or the targets from each row.

    Raises:
        DataError: one is missing or no number; the message names line and column.
    """
    if columns.label:
        part.labels = [label(cell) for cell in chunk.columns[columns.label]]
        for index, name in enumerate(part.labels):
            if name is None:
                place = placed(table, chunk, columns.label)(index)
                raise DataError(f"{place} is empty; every sequence that is learned from needs a label")
    numbers = [floats(chunk.columns[name], placed(table, chunk, name), missing=False) for name in columns.targets]
    part.targets = list(np.stack(numbers, 1)) if numbers else []


def label(cell: Any) -> str | None:
    """A class's name from a cell; None where it is empty.

    Example:
        >>> label(" good "), label(3), label(""), label(True)
        ('good', '3', None, 'true')
    """
    if cell != cell:  # NaN, which frames have for what is missing
        return None
    return (str(cell).lower() if isinstance(cell, bool) else str(cell).strip()) or None


def _add_step_goals(part: Part, table: Table, chunk: Chunk, columns: Columns) -> None:
    """Takes the lists of labels or numbers that belong to the steps of each row."""
    for name in (columns.label, *columns.targets):
        cells, place = chunk.columns[name] if name else (), placed(table, chunk, name)
        for index, cell in enumerate(cells):
            _check_entries(cell, part.items[index], place(index))
        filled = [["" if entry is None else entry for entry in cell] for cell in cells]
        if name == columns.label:
            part.labels = [list(map(label, entries)) for entries in filled]
        else:
            part.targets = [_numbers_of_steps(entries, place(index)) for index, entries in enumerate(filled)]


def _check_entries(cell: Cell, item: Item, place: str) -> None:
    """Refuses what is no list with an entry for each step."""
    if not isinstance(cell, list):
        raise DataError(f"{place}: {shown(cell)} is no list; give a list with one for each step, in JSON lines")
    if isinstance(item, str) or len(cell) != len(item):
        steps = "a text" if isinstance(item, str) else plural(len(item), "step")
        raise DataError(f"{place} has {len(cell)} entries for {steps}; give a list of steps and one entry for each")


def _numbers_of_steps(entries: list[Any], place: str) -> np.ndarray:
    return floats(entries, lambda index: f"{place}: step {index + 1}")
