"""pandas frames as tables and series. Who passes one has imported pandas; nobody else shall wait for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from rondeau.data.columns import Columns
from rondeau.data.formats.table import Chunk, Table
from rondeau.data.guessing import GoalName
from rondeau.data.reading import of_table, peeked
from rondeau.data.sequences import Sequences
from rondeau.data.series import SeriesSet
from rondeau.data.series_table import guess_series, series_of_table
from rondeau.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

ROWS = 50_000
"""Rows in a chunk."""


def sequences_of_frame(
    frame: pd.DataFrame, columns: Columns | None = None, *, goal: GoalName = "", per_step: bool = False
) -> Sequences:
    """The sequences of a frame: a text in each row, a step in each row, or steps in numbered columns; as `read_sequences`.

    Raises:
        DataError: the frame is not sound; the message names row, from 0 on, and column.
    """
    return of_table(table_of(frame), columns or Columns(), goal, per_step).whole(None, per_step)


def series_of_frame(frame: pd.DataFrame | pd.Series, columns: Columns | None = None) -> SeriesSet:
    """The series of a frame: rows at times, of one series or of many, or each column a series; as `read_series`.

    An index with a name, of dates, or of several levels is taken as columns. Times with a timezone are taken to UTC, except
    where all are midnights there, which are days.

    Raises:
        DataError: the frame is not sound; the message names row, from 0 on, and column.
    """
    table, head = peeked(table_of(frame))
    return series_of_table(table, guess_series(columns or Columns(), head))


def is_frame(value: object) -> bool:
    """Whether something is a pandas frame or series; without pandas in the program it cannot be one."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series))


def table_of(frame: pd.DataFrame | pd.Series) -> Table:
    """A frame as a table whose rows are counted from 0.

    Raises:
        DataError: it is no frame, or two columns have one name.
    """
    import pandas as pd

    if isinstance(frame, pd.Series):
        frame = frame.to_frame(name="value" if frame.name is None else frame.name)
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"a pandas frame or series is needed, not {type(frame).__name__}; make one of it")
    frame = _with_index(frame)
    names = tuple(map(str, frame.columns))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"two columns of the frame are called {twice!r}; give each a name of its own")
    cells = {name: _cells(frame.iloc[:, place]) for place, name in enumerate(names)}
    return Table("the frame", names, _chunks(cells, len(frame)), "", "row")


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its index as columns, where that says something."""
    import pandas as pd

    index = frame.index
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    dates = isinstance(index, pd.DatetimeIndex)
    if dates:
        frame = frame.set_axis(index.rename(index.name or "time"), axis=0)
    return frame.reset_index() if dates or index.nlevels > 1 or index.name is not None else frame


def _cells(column: pd.Series) -> np.ndarray:
    """A column as cells: dates as datetime64, numbers as they are, "" for what is missing."""
    import pandas as pd

    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = _without_zone(column)
    if column.dtype.kind in "Mfiu":
        return column.to_numpy()
    cells = column.astype(object)
    return cells.where(cells.notna(), "").to_numpy()


def _without_zone(column: pd.Series) -> pd.Series:
    wall = column.dt.tz_localize(None)
    midnights = (wall.dropna() == wall.dropna().dt.normalize()).all()
    return wall if midnights else column.dt.tz_convert("UTC").dt.tz_localize(None)


def _chunks(cells: Mapping[str, np.ndarray], count: int) -> Iterator[Chunk]:
    for begin in range(0, count, ROWS):
        end = min(begin + ROWS, count)
        yield Chunk({name: column[begin:end] for name, column in cells.items()}, range(begin, end))
