"""From a table of rows at times to series."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from rondeau.data.columns import Columns, quoted, usual
from rondeau.data.formats.table import Chunk, Table
from rondeau.data.guessing import Head
from rondeau.data.long import Rows
from rondeau.data.numeric import floats, is_number
from rondeau.data.sequences import plural
from rondeau.data.series import Series, SeriesSet
from rondeau.data.times import Frequency, frequency_of, in_seconds, instants
from rondeau.errors import DataError

_LIKE_DATE = re.compile(r"\s*\d{1,4}([-/.])\d{1,2}\1\d{1,4}(?!\d)")


def guess_series(columns: Columns, head: Head) -> Columns:
    """The columns with time, id and target, guessed where there is one reasonable guess.

    Args:
        columns: those that somebody named.
        head: the table's first rows.

    Raises:
        DataError: a column is not there, or it is not clear what is to be forecast; the message lists the columns.

    Example:
        >>> head = Head("a.csv", ("time", "sales"), {"time": ["1", "2"], "sales": ["5", "1"]})
        >>> found = guess_series(Columns(), head)
        >>> found.time, found.target
        ('time', 'sales')
    """
    columns.check(head.names, head.source)
    if not columns.time:
        dates = [name for name in head.free(columns) if not head.numeric(name) and _is_date(head.cells[name])]
        dates = dates or [name for name in head.free(columns) if _like_dates(head.cells[name])]  # refused where it is read
        time = usual("time", head.names, columns.named()) or (dates[0] if len(dates) == 1 else "")
        columns = replace(columns, time=time)
    if not columns.id and columns.shape != "wide":
        names = [name for name in head.free(columns) if _can_be_id(name, columns, head)]
        columns = replace(columns, id=usual("id", head.names, columns.named()) or (names[0] if len(names) == 1 else ""))
    return columns if columns.targets else _with_target(columns, head)


def _can_be_id(name: str, columns: Columns, head: Head) -> bool:
    """Whether a column names series: texts, each in one block of rows, or in blocks mixed where times come again and again."""
    if head.numeric(name) or not head.repeats(name):
        return False
    cells = list(map(str, head.cells[name]))
    changes = sum(one != other for one, other in pairwise(cells))
    return changes == len(set(cells)) - 1 or (bool(columns.time) and head.repeats(columns.time))


def _with_target(columns: Columns, head: Head) -> Columns:
    numeric = [name for name in head.free(columns) if head.numeric(name)]
    if columns.shape == "wide" and numeric:
        return replace(columns, target=tuple(numeric))
    target = usual("target", head.names, columns.named()) or (numeric[0] if len(numeric) == 1 else "")
    if not target:
        more = "; if each is a series of its own, say that the shape is wide" if len(numeric) > 1 and not columns.id else ""
        raise DataError(
            f"{head.source}: it is not clear what is to be forecast; name the target; "
            f"columns of numbers are {quoted(numeric) or 'none'}, all are {quoted(head.names)}{more}"
        )
    return replace(columns, target=target)


def _is_date(cells: Sequence[Any]) -> bool:
    try:
        instants(cells, str)
    except DataError:
        return False
    return True


def _like_dates(cells: Sequence[Any]) -> bool:
    """Whether most cells are written as dates are somewhere, so that a column of them was meant as the times."""
    return 2 * sum(bool(_LIKE_DATE.match(str(cell))) for cell in cells) > len(cells)


def series_of_table(table: Table, columns: Columns) -> SeriesSet:
    """All series of a table.

    Regular times with rows that are missing are filled up, the values of these rows missing. Rows at the end that have what is
    known ahead and no target are the future.

    Raises:
        DataError: a cell is no number, a time is missing, not in order or comes twice, what is known ahead or stays the same
            is missing or changes, or there are no rows; the message names line and column.
    """
    rows = Rows(table, columns)
    for chunk in table.chunks:
        rows.gather(chunk, _found(rows, chunk))
    if not rows.count:
        raise DataError(f"{table.source} has no rows below its head; give at least three")
    whole, begins = rows.sorted()
    if columns.shape == "wide":
        return _columns_as_series(whole, columns, table.note)
    pieces = [_Piece(rows, dict(zip(whole, parts))) for parts in zip(*(np.split(each, begins[1:]) for each in whole.values()))]
    return _joined(pieces, list(rows.ids) or ["series"], columns, table.note)


def _found(rows: Rows, chunk: Chunk) -> dict[str, np.ndarray]:
    """A chunk's targets, and what is known beside them."""
    columns = rows.columns
    found = {"values": rows.numbers(chunk, columns.targets), "past": rows.numbers(chunk, columns.features)}
    found["future"] = rows.numbers(chunk, columns.future, missing=False)
    return found | {f"static {name}": np.array(list(chunk.columns[name]), object) for name in columns.static}


def _columns_as_series(whole: dict[str, np.ndarray], columns: Columns, note: str) -> SeriesSet:
    """A series from each column."""
    if columns.id or columns.features or columns.future or columns.static:
        raise DataError(
            "where each column is a series there is only a time beside them; name no id, features, future or static"
        )
    times = _times(whole)
    frequency = frequency_of([times])
    empty = np.zeros((len(times), 0))
    items = []
    for name, values in zip(columns.targets, whole["values"].T):
        items.append(_regular(Series(name, values[:, None], times, times, empty, empty, np.zeros(0)), frequency))
    notes = (f"{note}; a series in each of {plural(len(items), 'column')}",) if note else ()
    return SeriesSet(tuple(items), ("value",), frequency=frequency, notes=notes, columns=columns)


@dataclass(frozen=True)
class _Piece:
    """The rows of one series."""

    rows: Rows
    found: dict[str, np.ndarray]

    def series(self, name: str, static: np.ndarray) -> Series:
        values = self.found["values"]
        known = np.flatnonzero(~np.isnan(values).all(1))
        if not len(known):
            targets = ", ".join(self.rows.columns.targets)
            raise DataError(f"{self.place(0, targets)}: series {name!r} has no value at all; leave its rows out")
        steps = int(known[-1]) + 1 if self.rows.columns.future else len(values)  # rows behind the last value are the future
        times = _times(self.found)
        return Series(name, values[:steps], times, times, self.found["past"][:steps], self.found["future"], static)

    def static(self, name: str) -> Any:
        """What a column holds in every row."""
        cells = self.found[f"static {name}"]
        other = next((index for index, cell in enumerate(cells) if cell != cells[0]), None)
        if other is not None:
            raise DataError(
                f"{self.place(other, name)}: {cells[other]!r} was {cells[0]!r} before in this series; name it as feature"
            )
        return cells[0]

    def place(self, index: int, column: str) -> str:
        """How a message names a cell."""
        return self.rows.table.place(int(self.found["line"][index]), column)


def _times(found: dict[str, np.ndarray]) -> np.ndarray:
    """The times of rows, or their numbers where they have none."""
    return found["time"] if "time" in found else np.arange(float(len(found["line"])))


def _joined(pieces: list[_Piece], ids: list[str], columns: Columns, note: str) -> SeriesSet:
    frequency = frequency_of([_times(piece.found) for piece in pieces])
    static, classes = _static(pieces, columns.static)
    items = tuple(_regular(piece.series(name, row), frequency) for piece, name, row in zip(pieces, ids, static))
    notes = tuple(filter(None, [note, _understood(columns)]))
    return SeriesSet(
        items, columns.targets, columns.features, columns.future, columns.static, classes, frequency, notes, columns
    )


def _understood(columns: Columns) -> str:
    parts = {"time": [columns.time], "id": [columns.id], "target": columns.targets}
    return "; ".join(f"{part} in {quoted(names)}" for part, names in parts.items() if any(names))


def _static(pieces: list[_Piece], names: tuple[str, ...]) -> tuple[np.ndarray, dict[str, tuple[str, ...]]]:
    """What stays the same in each series (series, names) as numbers, and the classes of what is no number."""
    classes: dict[str, tuple[str, ...]] = {}
    columns = np.zeros((len(pieces), len(names)))
    for k, name in enumerate(names):
        cells = [piece.static(name) for piece in pieces]
        if not all(map(is_number, cells)):
            classes[name] = tuple(sorted({str(cell) for cell in cells}))
            cells = [classes[name].index(str(cell)) for cell in cells]
        columns[:, k] = floats(cells, partial(_first_place, pieces, name), missing=False)
    return columns, classes


def _first_place(pieces: list[_Piece], name: str, index: int) -> str:
    return pieces[index].place(0, name)


def _regular(series: Series, frequency: Frequency | None) -> Series:
    """The series on the grid of its frequency, rows between missing; an irregular one as it is.

    It comes with times for all rows, also those of the future; these are dropped.
    """
    steps = len(series.values)
    if frequency is None:
        gaps = np.diff(in_seconds(series.times))
        places = (in_seconds(series.times) - in_seconds(series.times[:1])) / (np.median(gaps) if len(gaps) else 1.0)
        return replace(series, times=series.times[:steps], positions=places[:steps])
    places = frequency.positions(series.times).round().astype(np.int64)
    if places[-1] + 1 == len(places):
        return replace(series, times=series.times[:steps], positions=places[:steps].astype(float))
    return _filled(series, frequency, places)


def _filled(series: Series, frequency: Frequency, places: np.ndarray) -> Series:
    """The series with rows for the places of the grid that it leaves out."""
    steps, end = len(series.values), int(places[len(series.values) - 1]) + 1
    if series.future.shape[1]:
        missing = int(np.setdiff1d(np.arange(places[-1] + 1), places)[0])
        before = series.times[int(np.searchsorted(places, missing)) - 1]
        raise DataError(
            f"series {series.id!r} has no row for the step after {before}; what is known ahead is needed at every step"
        )

    def spread(rows: np.ndarray) -> np.ndarray:
        grid = np.full((end, rows.shape[1]), np.nan)
        grid[places[:steps]] = rows
        return grid

    times = np.concatenate([series.times[:1], frequency.after(series.times[0], end - 1)])
    return replace(
        series,
        values=spread(series.values),
        times=times,
        positions=np.arange(float(end)),
        past=spread(series.past),
        future=np.zeros((end, 0)),
    )
