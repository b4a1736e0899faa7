"""Times: from what people write to instants in UTC, and how far apart they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rondeau.data.numeric import is_number, shown
from rondeau.errors import DataError

FORMATS = ("ISO8601", "%b %d %Y", "%d %b %Y", "%B %d, %Y", "%d %B %Y")
"""How a date may be written; 03/04/2024 is not among them, since it is two days."""

MOST_FILLED = 20
"""Times are not regular if filling up the rows that are missing would make them so many times as many."""

NANOSECONDS = 1_000_000_000
_DAY = 86_400


def instants(cells: Sequence[Any] | np.ndarray, place: Callable[[int], str]) -> np.ndarray:
    """Dates and times (cells,) as datetime64[ns] in UTC; what has no timezone is taken as it is.

    Args:
        cells: texts such as 2024-01-31, 2024-01-31 18:00 or 2024-01-31T18:00+01:00, or datetime64 values.
        place: names the cell of an index, for messages.

    Raises:
        DataError: a cell is missing or no date, or its day and month could be the other way round.

    Example:
        >>> instants(np.array(["2024-01-31T18:00"], "datetime64[m]"), str)
        array(['2024-01-31T18:00:00.000000000'], dtype='datetime64[ns]')
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        return _complete(cells.astype("datetime64[ns]"), cells, place)
    found = _parsed(cells, "ISO8601")
    for form in FORMATS[1:] if np.isnat(found[:1]).any() else ():
        other = _parsed(cells, form)
        found = found if np.isnat(other[:1]).any() else other
    return _complete(found, cells, place)


def _parsed(cells: Sequence[Any] | np.ndarray, form: str) -> np.ndarray:
    """The cells read in one form, NaT where that fails."""
    import pandas as pd  # half a second to import, and only dates need it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bare = [cell.strip() if isinstance(cell, str) else cell for cell in cells]
        found = pd.to_datetime(pd.Series(bare, dtype=object), utc=True, format=form, errors="coerce")
    return np.asarray(found.dt.tz_localize(None), "datetime64[ns]")


def _complete(found: np.ndarray, cells: Sequence[Any] | np.ndarray, place: Callable[[int], str]) -> np.ndarray:
    wrong = np.isnat(found)
    if wrong.any():
        index = int(wrong.argmax())
        cell = cells[index]
        if isinstance(cell, str) and cell.strip():
            raise DataError(f"{place(index)}: {shown(cell)} is no date; write it as 2024-01-31 or 2024-01-31 18:00")
        raise DataError(f"{place(index)} is missing; every row needs its time: fill it in or leave the row out")
    return found


def are_dates(cells: Sequence[Any] | np.ndarray) -> bool:
    """Whether times are dates, and not numbers, by the first of them."""
    return (isinstance(cells, np.ndarray) and cells.dtype.kind == "M") or not is_number(cells[0])


def in_seconds(times: np.ndarray) -> np.ndarray:
    """Dates as seconds since 1970 (steps,), float64; numbers stay."""
    return times.astype("datetime64[ns]").astype(np.int64) / NANOSECONDS if times.dtype.kind == "M" else times


Unit = Literal["seconds", "months", "business days", "numbers"]

_UNITS: tuple[tuple[float, str], ...] = ((_DAY, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))
_NAMES: dict[tuple[Unit, float], str] = {
    ("seconds", 3600): "hourly",
    ("seconds", _DAY): "daily",
    ("seconds", 7 * _DAY): "weekly",
    ("months", 1): "monthly",
    ("months", 3): "quarterly",
    ("months", 12): "yearly",
    ("business days", 1): "every business day",
}


@dataclass(frozen=True)
class Frequency:
    """The distance of regular times: ``count`` of a unit.

    Args:
        unit: "seconds", "months" or "business days" between dates, "numbers" between times that are numbers.
        count: how many of them.
        month_end: whether months are counted from last day to last day.

    Example:
        >>> str(Frequency("seconds", 1800)), Frequency("seconds", 1800).season
        ('every 30 minutes', 48)
    """

    unit: Unit
    count: float
    month_end: bool = False

    def __str__(self) -> str:
        if (self.unit, self.count) in _NAMES:
            return _NAMES[self.unit, self.count]
        if self.unit == "numbers":
            return f"every {self.count:g}"
        return f"every {_duration(self.count) if self.unit == 'seconds' else f'{self.count:g} {self.unit}'}"

    @property
    def season(self) -> int:
        """The steps after which such data mostly repeats: a day for hours, a week for days, a year for months; else 1."""
        if self.unit == "months":
            return max(1, round(12 / self.count))
        if self.unit == "business days":
            return 5
        if self.unit == "numbers":
            return 1
        period = next((period for period in (_DAY, 7 * _DAY, 364 * _DAY) if self.count * 2 <= period), 0)
        return max(1, round(period / self.count))

    def positions(self, times: np.ndarray) -> np.ndarray:
        """How many steps each of some times (steps,) is after the first (steps,), float64."""
        if self.unit == "months":
            months = times.astype("datetime64[M]").astype(np.int64)
            return (months - months[0]) / self.count
        if self.unit == "business days":
            days = times.astype("datetime64[D]")
            return np.busday_count(days[0], days) / self.count
        return _numbers(times) / self.count

    def after(self, last: Any, steps: int) -> np.ndarray:
        """The ``steps`` times (steps,) that follow ``last``."""
        ahead = np.arange(1, steps + 1)
        if self.unit == "numbers":
            return float(last) + ahead * self.count
        last = np.datetime64(last, "ns")
        if self.unit == "seconds":
            return last + np.asarray(ahead * self.count * NANOSECONDS, np.int64).astype("timedelta64[ns]")
        day = last.astype("datetime64[D]")
        days = (
            self._months_after(day, ahead)
            if self.unit == "months"
            else np.busday_offset(day, ahead * int(self.count), "forward")
        )
        return days.astype("datetime64[ns]") + (last - day)

    def _months_after(self, day: np.datetime64, ahead: np.ndarray) -> np.ndarray:
        months = day.astype("datetime64[M]") + ahead * int(self.count)
        ends = (months + 1).astype("datetime64[D]") - 1
        if self.month_end:
            return ends
        return np.minimum(months.astype("datetime64[D]") + (day - day.astype("datetime64[M]")), ends)


def _duration(seconds: float) -> str:
    """A time in the largest unit of which it has one or more."""
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= size or size == 1)
    return f"{seconds / size:g} {unit.removesuffix('s') if seconds == size else unit}"


def distances(times: Sequence[np.ndarray]) -> str:
    """How far apart irregular times of some series are, in words.

    Example:
        >>> distances([np.array([0, 1, 5.0])])
        'steps from 1 to 4, median 2.5'
    """
    steps = np.concatenate([np.diff(in_seconds(each)) for each in times])
    if not len(steps):
        return "one step each"
    write = _duration if times[0].dtype.kind == "M" else "{:g}".format
    low, high, middle = (write(float(pick(steps))) for pick in (np.min, np.max, np.median))
    return f"steps from {low} to {high}, median {middle}"


def _numbers(times: np.ndarray) -> np.ndarray:
    """Times as distances from the first, in seconds where they are dates."""
    if times.dtype.kind == "M":
        return (times - times[0]).astype("timedelta64[ns]").astype(np.int64) / NANOSECONDS
    return times - times[0]


def frequency_of(times: Sequence[np.ndarray]) -> Frequency | None:
    """How far apart the times of some series are, sorted within each; None where they are irregular.

    Times are regular where all lie on one grid and at least half of the steps are of one place on it: some rows may be
    missing. Months, quarters and years are regular though they differ in days, and so are the days of working weeks.

    Args:
        times: of each series (steps,), datetime64[ns] or numbers.

    Example:
        >>> print(frequency_of([np.array(["2024-01-31", "2024-02-29", "2024-03-31"], "datetime64[ns]")]))
        monthly
    """
    times = [each for each in times if len(each) > 1]
    if not times:
        return None
    dates = times[0].dtype.kind == "M"
    candidates = [*(_calendar(times) if dates else ()), _even(times, "seconds" if dates else "numbers")]
    return next((found for found in candidates if found is not None and _fits(found, times)), None)


def _even(times: Sequence[np.ndarray], unit: Literal["seconds", "numbers"]) -> Frequency | None:
    step = min(float(np.diff(_numbers(each)).min()) for each in times)
    return Frequency(unit, step) if step > 0 else None


def _calendar(times: Sequence[np.ndarray]) -> list[Frequency | None]:
    """Months from one day of the month, or from last day to last day; and business days."""
    whole = np.concatenate(times)
    days = whole.astype("datetime64[D]")
    if (whole - days != (whole - days)[0]).any():
        return []
    months = days.astype("datetime64[M]")
    count = min(int(np.diff(each.astype("datetime64[M]").astype(np.int64)).min()) for each in times)
    if count > 0:
        at_end = bool(((days + 1).astype("datetime64[M]") != months).all())
        of_month = days - months
        return [Frequency("months", count, at_end)] if at_end or (of_month == of_month[0]).all() else []
    enough = all(len(each) > 5 for each in times)
    return [Frequency("business days", 1)] if enough and np.is_busday(days).all() else []


def _fits(frequency: Frequency, times: Sequence[np.ndarray]) -> bool:
    """Whether all times lie on the grid, and most of its places are taken."""
    steps = np.concatenate([np.diff(frequency.positions(each)) for each in times])
    whole = steps.round()
    on_grid = (np.abs(steps - whole) < 1e-6) & (whole >= 1)
    return bool(on_grid.all() and (whole == 1).mean() >= 0.5 and whole.sum() <= MOST_FILLED * len(whole))
