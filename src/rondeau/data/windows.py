"""Windows over series: what lies behind a moment, to learn or forecast what lies ahead of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rondeau.data.cycles import phases
from rondeau.data.series import Series, SeriesSet
from rondeau.data.times import in_seconds
from rondeau.errors import InputError

LEAST_SCALE = 1e-3
"""The deviation that a series that never changes is taken to have, as a part of its mean."""


@dataclass(frozen=True)
class WindowShape:
    """How far windows reach: ``reach`` steps of the targets before the moment, ``context`` of all else, ``horizon`` after."""

    reach: int
    context: int
    horizon: int


@dataclass(frozen=True)
class Windows:
    """Windows around moments, a row each.

    Args:
        values: the targets before and after (batch, reach + horizon, targets), each series less its mean over its deviation;
            what is missing stands as it was a season before, or last.
        observed: 1 where a value is there, 0 where it is missing or the series had not begun (batch, reach + horizon, targets).
        past: what is known up to the present (batch, context, features).
        known: what is known ahead, calendar included (batch, context + horizon, features).
        static: what stays the same (batch, features).
        mean: of each series (batch, targets).
        scale: deviation of each series (batch, targets).
    """

    values: Tensor
    observed: Tensor
    past: Tensor
    known: Tensor
    static: Tensor
    mean: Tensor
    scale: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def part(self, begin: int, end: int) -> Windows:
        """Some of the windows."""
        return Windows(*(getattr(self, name)[begin:end] for name in self.__dataclass_fields__))

    def take(self, rows: Tensor) -> Windows:
        """The windows of some rows (batch,)."""
        return Windows(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def to(self, device: torch.device) -> Windows:
        """The windows on another device."""
        return Windows(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Covariates:
    """How what stands beside the targets becomes features: means and deviations found on what was learned from.

    Args:
        cycles: of the calendar, as `cycles_of` gives them.
        season: where a missing value is taken from, so many steps before; 0: from the step before.
        past: mean and deviation (2, features) of what is known up to the present.
        future: mean and deviation (2, features) of what is known ahead.
        static: mean and deviation (2, features) of what stays the same; of names no mean is taken.
        classes: the number of names of each static feature, 0 where it is a number.
    """

    cycles: tuple[str, ...]
    season: int
    past: np.ndarray
    future: np.ndarray
    static: np.ndarray
    classes: tuple[int, ...]

    @staticmethod
    def of(series: SeriesSet, cycles: tuple[str, ...], season: int) -> Covariates:
        """Those of some series."""
        classes = tuple(len(series.classes.get(name, ())) for name in series.static)
        parts = {name: [getattr(each, name) for each in series.items] for name in ("past", "future")}
        static = _moments([np.stack([each.static for each in series.items])])
        return Covariates(cycles, season, _moments(parts["past"]), _moments(parts["future"]), static, classes)

    @property
    def past_features(self) -> int:
        """Features of the past at a step: the time since the step before, every number, and whether it is known."""
        return 1 + 2 * self.past.shape[1]

    @property
    def static_features(self) -> int:
        """Features that stay the same: every number, and one for each name."""
        return sum(max(1, count) for count in self.classes)

    def static_of(self, series: Series) -> np.ndarray:
        """The features of a series that stay the same (features,)."""
        parts = [np.zeros(0)]
        for value, count, mean, deviation in zip(series.static, self.classes, *self.static):
            parts.append(np.eye(count)[int(value)] if count else np.array([(value - mean) / deviation]))
        return np.concatenate(parts)


def _moments(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Mean and deviation (2, features) over all rows; 1 where nothing changes."""
    rows = np.concatenate(list(arrays))
    with np.errstate(all="ignore"):
        known = ~np.isnan(rows)
        count = np.maximum(known.sum(0), 1)
        mean = np.where(known, rows, 0).sum(0) / count
        deviation = np.sqrt((np.where(known, rows - mean, 0) ** 2).sum(0) / count)
    return np.stack([mean, np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)])


class Panel:
    """Series side by side, each with room for ``horizon`` steps behind its last, of which windows are cut at any moment.

    Args:
        series: what to cut from.
        covariates: how what stands beside becomes features.
        horizon: steps behind the end of each series.
        measured: how many steps of each series decide its mean and deviation; all if not given.

    Example:
        >>> from rondeau.data import series_of
        >>> series = series_of(np.arange(10.0))
        >>> panel = Panel(series, Covariates.of(series, (), 0), horizon=2)
        >>> windows = panel.windows(np.array([0]), np.array([8]), WindowShape(3, 3, 2))
        >>> (windows.values * windows.scale[:, None] + windows.mean[:, None]).flatten().round()
        tensor([5., 6., 7., 8., 9.], dtype=torch.float64)
    """

    def __init__(
        self, series: SeriesSet, covariates: Covariates, horizon: int, measured: Sequence[int] | np.ndarray | None = None
    ) -> None:
        self.lengths = series.lengths
        self.starts = np.cumsum([0, *(self.lengths[:-1] + horizon)])
        parts = [
            _Rows(each, covariates, series, horizon, int(steps))
            for each, steps in zip(series.items, self.lengths if measured is None else measured)
        ]
        self.values = torch.from_numpy(np.concatenate([part.values for part in parts]))
        self.observed = torch.from_numpy(np.concatenate([part.observed for part in parts]))
        self.past = torch.from_numpy(np.concatenate([part.past for part in parts]))
        self.known = torch.from_numpy(np.concatenate([part.known for part in parts]))
        self.static = torch.from_numpy(np.stack([part.static for part in parts]))
        self.mean = torch.from_numpy(np.stack([part.mean for part in parts]))
        self.scale = torch.from_numpy(np.stack([part.scale for part in parts]))
        self.begun = np.array([_begun(each.observed) for each in series.items])

    def windows(self, places: np.ndarray, moments: np.ndarray, shape: WindowShape) -> Windows:
        """Windows of series at places (batch,), each with its moment (batch,): the first step that is ahead."""
        first = torch.from_numpy(self.starts[places])[:, None]
        at = first + torch.from_numpy(moments)[:, None]
        steps = at + torch.arange(-shape.reach, shape.horizon)
        rows = steps.maximum(first)
        near, ahead = rows[:, shape.reach - shape.context : shape.reach], rows[:, shape.reach - shape.context :]
        observed = self.observed[rows] & (steps >= first)[..., None]
        return Windows(
            self.values[rows],
            observed.to(torch.float32),
            self.past[near],
            self.known[ahead],
            self.static[places],
            self.mean[places],
            self.scale[places],
        )


class _Rows:
    """The features of one series, with steps ahead behind its last."""

    def __init__(self, series: Series, covariates: Covariates, group: SeriesSet, horizon: int, measured: int) -> None:
        steps, total = len(series), len(series) + horizon
        known = np.where(series.observed[:measured], series.values[:measured], np.nan)
        self.mean, self.scale = _scaling(known)
        values = (series.values - self.mean) / self.scale
        self.observed = np.zeros((total, values.shape[1]), bool)
        self.observed[:steps] = series.observed
        self.values = _long(_filled(values, covariates.season), total)
        past = (series.past - covariates.past[0]) / covariates.past[1]
        beside = np.concatenate([series.gaps[:, None] - 1, np.nan_to_num(past), ~np.isnan(past)], 1)
        self.past = _long(beside.clip(-1e4, 1e4), total)
        future = (series.future[:total] - covariates.future[0]) / covariates.future[1]
        calendar = phases(times_of(series, group, horizon), covariates.cycles)
        self.known = np.concatenate([calendar, _long(future.clip(-1e4, 1e4), total)], 1)
        self.static = covariates.static_of(series).astype(np.float32)


def _begun(observed: np.ndarray) -> int:
    """The first step before which every target was there once, of those that ever are (steps, targets)."""
    return int((observed.argmax(0) + 1)[observed.any(0)].max(initial=0))


def times_of(series: Series, group: SeriesSet, horizon: int) -> np.ndarray:
    """The times of a series and of ``horizon`` steps behind it (steps + horizon,); where they are irregular, steps of the
    median distance follow."""
    if group.frequency is not None:
        return np.concatenate([series.times, group.frequency.after(series.times[-1], horizon).astype(series.times.dtype)])
    gaps = np.diff(in_seconds(series.times))
    step = float(np.median(gaps)) if len(gaps) else 1.0
    ahead = np.arange(1, horizon + 1) * step
    if series.times.dtype.kind == "M":
        return np.concatenate([series.times, series.times[-1] + (ahead * 1e9).astype("timedelta64[ns]")])
    return np.concatenate([series.times, series.times[-1] + ahead])


def _scaling(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (targets,) of what is known."""
    mean, deviation = _moments([values])
    count = (~np.isnan(values)).sum(0)
    flat = (count < 2) | (np.nanmax(values, 0, initial=-np.inf) <= np.nanmin(values, 0, initial=np.inf))
    return mean, np.where(flat, np.maximum(np.abs(mean) * LEAST_SCALE, 1e-6), deviation)


def _filled(values: np.ndarray, season: int) -> np.ndarray:
    """Values with what is missing taken from a season before, or from the last step; before the first, from the first."""
    out = values.copy()
    for column in out.T:
        missing = np.flatnonzero(np.isnan(column))
        known = np.flatnonzero(~np.isnan(column))
        first = column[known[0]] if len(known) else 0.0
        for step in missing:
            column[step] = first if step == 0 else column[step - season if season and step >= season else step - 1]
        if len(known):
            column[: known[0]] = first
    return out


def _long(rows: np.ndarray, total: int) -> np.ndarray:
    """Rows and zeros behind them, so many in all, float32."""
    out = np.zeros((total, rows.shape[1]), np.float32)
    out[: len(rows)] = rows
    return out


class WindowBatches:
    """Batches of windows at moments of all series, epoch after epoch.

    Every moment from ``first`` to ``last`` of each series comes once an epoch, in an order drawn from the seed; where there are
    more than ``most``, so many of them drawn.

    Args:
        panel: the series.
        shape: of the windows.
        first: the first moment of each series (series,).
        last: the last moment of each series (series,); a series in which it is before the first has no windows.
        batch: windows in a batch at most.
        most: windows in an epoch at most.
        seed: decides all that is random.

    Raises:
        InputError: no series has a window.
    """

    def __init__(
        self,
        panel: Panel,
        shape: WindowShape,
        first: np.ndarray,
        last: np.ndarray,
        *,
        batch: int = 64,
        most: int = 1 << 13,
        seed: int = 0,
    ) -> None:
        first = np.maximum(first, panel.begun)  # what is missing before it is filled with the first value, which is ahead
        self.panel, self.shape, self.first, self.batch, self.seed = panel, shape, first, batch, seed
        self.until = np.cumsum(np.maximum(last - first + 1, 0))
        self.total = int(self.until[-1])
        if not self.total:
            raise InputError("no series is long enough for a window; choose a shorter horizon or give longer series")
        self.per_epoch = min(self.total, most)
        self.epoch = self.position = 0
        self._order = self._drawn()

    @property
    def count(self) -> int:
        """The number of batches in an epoch."""
        return -(-self.per_epoch // self.batch)

    @property
    def passed(self) -> float:
        """Epochs behind, with the part of this one."""
        return self.epoch + self.position / self.count

    def steps(self, epochs: float) -> int:
        """Batches in so many epochs from the beginning; a part of a batch counts as one."""
        return math.ceil(epochs * self.count - 1e-6)

    def next(self) -> Windows:
        """The next batch; after the last one of an epoch, the first of the next."""
        numbers = self._order[self.position * self.batch : (self.position + 1) * self.batch]
        self.position += 1
        if self.position == self.count:
            self.position, self.epoch = 0, self.epoch + 1
            self._order = self._drawn()
        return self.numbered(numbers)

    def numbered(self, numbers: np.ndarray) -> Windows:
        """The windows of some numbers (batch,), counted through all moments of one series after the other."""
        return self.panel.windows(*self.moments(numbers), self.shape)

    def moments(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The places of the series (batch,) and the moments (batch,) of some windows."""
        places = np.searchsorted(self.until, numbers, "right")
        return places, self.first[places] + numbers - np.where(places > 0, self.until[places - 1], 0)

    def evenly(self, most: int) -> np.ndarray:
        """The numbers of at most so many windows, evenly over all moments."""
        return np.unique(np.linspace(0, self.total - 1, min(most, self.total)).round().astype(np.int64))

    def spread(self, most: int) -> Windows:
        """At most so many windows, evenly over all moments."""
        return self.numbered(self.evenly(most))

    def state_dict(self) -> dict[str, int]:
        """Where the batches stand."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes where `state_dict` stood.

        Raises:
            InputError: there is no such place.
        """
        self.epoch, self.position = int(state["epoch"]), int(state["position"])
        if not (self.epoch >= 0 and 0 <= self.position < self.count):
            raise InputError(f"an epoch has batches 0 to {self.count - 1}, so none is the {self.position}th")
        self._order = self._drawn()

    def _drawn(self) -> np.ndarray:
        """The numbers of this epoch's windows, in their order."""
        draw = np.random.default_rng([self.seed % 2**64, self.epoch])
        if self.per_epoch == self.total:
            return draw.permutation(self.total)
        return draw.integers(0, self.total, self.per_epoch)
