"""Checked series of numbers at times, one or thousands, with what is known beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from rondeau.data.columns import Columns
from rondeau.data.sequences import lengths_line, listed, plural, share
from rondeau.data.times import Frequency, distances
from rondeau.errors import DataError


@dataclass(frozen=True, eq=False)
class Series:
    """Numbers at times, the earliest first.

    Args:
        id: the series' name.
        values: what is to be forecast (steps, targets), NaN where a value is missing.
        times: of the steps (steps,), datetime64[ns] in UTC, or numbers.
        positions: the times (steps,) in steps of the frequency after the first; where times are irregular in median steps.
        past: numbers that are known only up to the present (steps, ...).
        future: numbers that are known ahead (steps + ahead, ...), with ``ahead`` steps more than there are values.
        static: what stays the same (...); a name is a code.
    """

    id: str
    values: np.ndarray
    times: np.ndarray
    positions: np.ndarray
    past: np.ndarray
    future: np.ndarray
    static: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    @property
    def observed(self) -> np.ndarray:
        """Where a value is there (steps, targets), bool."""
        return ~np.isnan(self.values)

    @property
    def gaps(self) -> np.ndarray:
        """The time since the step before (steps,), in steps; 1 for the first."""
        return np.diff(self.positions, prepend=self.positions[:1] - 1)

    @property
    def ahead(self) -> int:
        """For how many steps behind the last value the known numbers reach."""
        return len(self.future) - len(self.values)

    @property
    def constant(self) -> bool:
        """Whether no target ever changes."""
        known = [column[~np.isnan(column)] for column in self.values.T]
        return all(len(column) == 0 or (column == column[0]).all() for column in known)


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """Series of the same numbers, in the order in which they came.

    Args:
        items: the series.
        targets: names of what is to be forecast.
        past: names of what is known up to the present.
        future: names of what is known ahead.
        static: names of what stays the same.
        classes: for those of ``static`` that are names, the names that their codes stand for.
        frequency: how far apart the times are; None where they are irregular.
        notes: what was understood, a sentence each.
        columns: the table's columns that play a part, to read another table of its kind.
    """

    items: tuple[Series, ...]
    targets: tuple[str, ...]
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    frequency: Frequency | None = None
    notes: tuple[str, ...] = ()
    columns: Columns | None = None

    def __len__(self) -> int:
        return len(self.items)

    @property
    def lengths(self) -> np.ndarray:
        """The number of steps of each series (series,)."""
        return np.array([len(each) for each in self.items])

    def describe(self) -> str:
        """A few lines: what was understood, series, lengths, times, missing values, what is known beside them."""
        return "\n".join([*self.notes, *self._counts()])

    def _counts(self) -> Iterable[str]:
        yield f"{plural(len(self), 'series')} of {listed(self.targets)}; {lengths_line(self.lengths)}"
        yield self._times()
        missing, total = sum(int((~each.observed).sum()) for each in self.items), sum(each.values.size for each in self.items)
        if missing:
            yield f"missing values: {share(missing, total)}"
        beside = {"known up to the present": self.past, "known ahead": self.future, "the same all along": self.static}
        yield from (f"{what}: {listed(names)}" for what, names in beside.items() if names)
        constant = [each.id for each in self.items if each.constant]
        if constant:
            yield f"constant: {plural(len(constant), 'series')}: {listed(constant)}"

    def _times(self) -> str:
        first, last = (pick(each.times[at] for each in self.items) for pick, at in ((min, 0), (max, -1)))
        span = f"from {_written(first)} to {_written(last)}"
        if self.frequency is not None:
            return f"{self.frequency}, {span}"
        return f"at irregular times, {span}, {distances([each.times for each in self.items])}"

    def check(self, horizon: int) -> None:
        """Refuses what cannot be learned from.

        Args:
            horizon: the steps that are to be forecast.

        Raises:
            DataError: a series has fewer than three values or no more steps than the horizon, or all are constant.
        """
        for each in self.items:
            known = int(each.observed.any(1).sum())
            if known < 3:
                raise DataError(f"series {each.id!r} has {plural(known, 'value')}; a series needs at least three: leave it out")
            if len(each) <= horizon:
                raise DataError(
                    f"series {each.id!r} has {len(each)} steps, too few for a horizon of {horizon}; "
                    "choose a shorter horizon or leave the series out"
                )
        if all(each.constant for each in self.items):
            raise DataError("every series is constant, so there is nothing to learn; is it the right column?")

    def check_ahead(self, horizon: int) -> None:
        """Refuses a forecast for which something known ahead is missing.

        Raises:
            DataError: a series' known numbers do not reach as far as the horizon.
        """
        for each in self.items if self.future else ():
            if each.ahead < horizon:
                raise DataError(
                    f"series {each.id!r} has {listed(self.future)} for {plural(each.ahead, 'step')} ahead and the horizon is "
                    f"{horizon}; add rows with these and an empty {listed(self.targets)}"
                )

    def until(self, last: int) -> SeriesSet:
        """The series without their last ``last`` steps, what is known of these ahead kept.

        Raises:
            DataError: a series has no more steps than that.
        """
        short = next((each for each in self.items if len(each) <= last), None)
        if short is not None:
            raise DataError(f"series {short.id!r} has {len(short)} steps, so {last} cannot be held out; choose fewer")
        return replace(self, items=tuple(_cut(each, len(each) - last) for each in self.items))


def _cut(series: Series, steps: int) -> Series:
    values, times = series.values[:steps], series.times[:steps]
    return replace(series, values=values, times=times, positions=series.positions[:steps], past=series.past[:steps])


def _written(time: object) -> str:
    """A time without the parts that are zero."""
    if not isinstance(time, np.datetime64):
        return f"{time:g}"
    text = str(time.astype("datetime64[s]")).replace("T", " ")
    return text.removesuffix(":00").removesuffix(" 00:00")
