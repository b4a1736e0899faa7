"""From a table with a step in each row to sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rondeau.data.columns import Columns
from rondeau.data.formats.table import Chunk, Table
from rondeau.data.numeric import floats, shown
from rondeau.data.parts import Part
from rondeau.data.shapes import label, placed
from rondeau.data.times import are_dates, in_seconds, instants
from rondeau.errors import DataError


class Rows:
    """Rows with a step in each, gathered column by column; rows of several sequences may alternate.

    ``ids`` has the sequences' names in the order in which they begin.
    """

    def __init__(self, table: Table, columns: Columns) -> None:
        self.table, self.columns = table, columns
        self.ids: dict[str, int] = {}
        self._dates: bool | None = None
        self._gathered: dict[str, list[np.ndarray]] = {}

    def gather(self, chunk: Chunk, found: dict[str, np.ndarray]) -> None:
        """Keeps what was found in a chunk, an array with a row for each of its rows, and the rows' lines, ids and times.

        Raises:
            DataError: an id or a time is missing, or a time is none.
        """
        found = {"line": np.array(chunk.lines, np.uint32), "sequence": self._codes(chunk), **found}
        if self.columns.time:
            found["time"] = self._times(chunk)
        for name, values in found.items():
            self._gathered.setdefault(name, []).append(values)

    def _times(self, chunk: Chunk) -> np.ndarray:
        """Dates if the table's first time is one, else numbers."""
        cells, place = chunk.columns[self.columns.time], placed(self.table, chunk, self.columns.time)
        if self._dates is None:
            self._dates = are_dates(cells)
        return instants(cells, place) if self._dates else floats(cells, place, missing=False)

    @property
    def count(self) -> int:
        """The rows that were gathered."""
        return sum(map(len, self._gathered.get("line", [])))

    def numbers(self, chunk: Chunk, names: tuple[str, ...], missing: bool = True) -> np.ndarray:
        """Some columns of a chunk as numbers (rows, names)."""
        columns = [floats(chunk.columns[name], placed(self.table, chunk, name), missing) for name in names]
        return np.stack(columns, 1) if columns else np.zeros((len(chunk), 0))

    def _codes(self, chunk: Chunk) -> np.ndarray:
        if not self.columns.id:
            return np.zeros(len(chunk), np.int32)
        codes = self.codes(chunk, self.columns.id, self.ids, str)
        if "" in self.ids:
            place = placed(self.table, chunk, self.columns.id)(int((codes == self.ids[""]).argmax()))
            raise DataError(f"{place} is empty; every row needs the id of its sequence")
        return codes

    def codes(self, chunk: Chunk, column: str, known: dict[Any, int], name: Callable[[Any], Any]) -> np.ndarray:
        """The codes (rows,) of a column's names; one that is new gets the next code and its place among the ``known``."""
        cells = chunk.columns[column]
        if isinstance(cells, np.ndarray):  # of a frame, NaN where something is missing
            cells = ["" if cell != cell else cell for cell in cells.tolist()]
        wrong = next((kind for kind in dict.fromkeys(map(type, cells)) if kind.__hash__ is None), None)
        if wrong is not None:
            place = placed(self.table, chunk, column)(list(map(type, cells)).index(wrong))
            raise DataError(f"{place} is a {wrong.__name__}; give one value in each row")
        codes = {cell: known.setdefault(name(cell), len(known)) for cell in dict.fromkeys(cells)}
        return np.fromiter(map(codes.__getitem__, cells), np.int32, len(cells))

    def sorted(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """All columns with each sequence's rows in one piece, and where each begins (sequences,).

        Raises:
            DataError: the times of a sequence are not in order, or one comes twice.
        """
        whole = {name: np.concatenate(self._gathered.pop(name)) for name in list(self._gathered)}
        if (np.diff(whole["sequence"]) < 0).any():
            order = np.argsort(whole["sequence"], kind="stable")
            whole = {name: values[order] for name, values in whole.items()}
        if "time" in whole:
            self._check_times(whole)
        return whole, np.flatnonzero(np.diff(whole["sequence"], prepend=-1))

    def _check_times(self, whole: dict[str, np.ndarray]) -> None:
        later = whole["time"][1:] > whole["time"][:-1]
        wrong = ~later & (np.diff(whole["sequence"]) == 0)
        if not wrong.any():
            return
        at = int(wrong.argmax())
        again = whole["time"][at] == whole["time"][at + 1]
        what = "is the same time as" if again else "is before"
        hint = (
            "keep one row for each time, and if it is a clock that went back, write times with their offset from UTC"
            if again
            else "sort the rows by time"
        )
        more = "" if self.columns.id else "; if there are several sequences, name the column of their ids"
        place = self.table.place(int(whole["line"][at + 1]), self.columns.time)
        raise DataError(f"{place} {what} that of {self.table.row} {whole['line'][at]}; {hint}{more}")


def long_parts(table: Table, columns: Columns, per_step: bool) -> Iterator[Part]:
    """All sequences of a table with a step in each row, in the order in which they begin.

    Raises:
        DataError: a cell is missing or no number, times are not in order, or a sequence has two labels where it may have one;
            the message names line and column.
    """
    rows = Rows(table, columns)
    names: dict[str | None, int] = {}
    for chunk in table.chunks:
        rows.gather(chunk, _found(rows, chunk, names, per_step))
    if not rows.count:
        return
    whole, begins = rows.sorted()
    steps = np.split(whole["step"], begins[1:])
    items = [list(tokens) for tokens in steps] if columns.text else steps
    times = np.split(in_seconds(whole["time"]), begins[1:]) if columns.time else []
    part = Part(items, whole["line"][begins].tolist(), ids=list(rows.ids), times=times)
    _add_goals(part, rows, whole, begins, np.array(list(names), object), per_step)
    yield part


def _found(rows: Rows, chunk: Chunk, names: dict[str | None, int], per_step: bool) -> dict[str, np.ndarray]:
    """A chunk's steps, codes of labels and targets."""
    columns = rows.columns
    found = {"step": _tokens(rows, chunk) if columns.text else rows.numbers(chunk, columns.features)}
    if columns.label:
        found["label"] = rows.codes(chunk, columns.label, names, label)
    if columns.targets:
        found["target"] = rows.numbers(chunk, columns.targets, missing=per_step)
    return found


def _tokens(rows: Rows, chunk: Chunk) -> np.ndarray:
    cells = chunk.columns[rows.columns.text]
    wrong = next((index for index, cell in enumerate(cells) if not isinstance(cell, str) or not cell), None)
    if wrong is not None:
        place = placed(rows.table, chunk, rows.columns.text)(wrong)
        raise DataError(f"{place}: {shown(cells[wrong])} is no token; every row needs one")
    return np.array(cells, object)


def _add_goals(
    part: Part, rows: Rows, whole: dict[str, np.ndarray], begins: np.ndarray, names: np.ndarray, per_step: bool
) -> None:
    """Takes labels and targets, of each step, or of each sequence where all its rows have the same."""
    for name in ("label", "target"):
        if name in whole and not per_step:
            _check_constant(rows, whole, name)
    if "label" in whole:
        labels = names[whole["label"]]
        part.labels = (
            [list(each) for each in np.split(labels, begins[1:])] if per_step else _complete(rows, labels, whole, begins)
        )
    if "target" in whole:
        part.targets = np.split(whole["target"], begins[1:]) if per_step else list(whole["target"][begins])


def _complete(rows: Rows, labels: np.ndarray, whole: dict[str, np.ndarray], begins: np.ndarray) -> list[Any]:
    first = list(labels[begins])
    if None in first:
        place = rows.table.place(int(whole["line"][begins[first.index(None)]]), rows.columns.label)
        raise DataError(f"{place} is empty; every sequence that is learned from needs a label")
    return first


def _check_constant(rows: Rows, whole: dict[str, np.ndarray], name: str) -> None:
    values = whole[name].reshape(len(whole[name]), -1)
    wrong = (np.diff(values, axis=0) != 0).any(1) & (np.diff(whole["sequence"]) == 0)
    if wrong.any():
        line = int(whole["line"][int(wrong.argmax()) + 1])
        column = rows.columns.label if name == "label" else ", ".join(rows.columns.targets)
        hint = (
            "give each sequence one" if rows.columns.id else "name the column of the sequences' ids, or the shape of the table"
        )
        raise DataError(f"{rows.table.place(line, column)}: its sequence has another {name} before; {hint}")
