"""`backtest`: forecasts from many moments of the past, and how far off they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rondeau.data.windows import Panel, WindowBatches
from rondeau.errors import InputError
from rondeau.estimators.forecasts import Source
from rondeau.models.lag_skip import base_of
from rondeau.train.forecasting import median, parts, quantiles


@dataclass(frozen=True, eq=False)
class Backtest:
    """Forecasts from moments of the past beside what came, in the series' own numbers.

    Args:
        places: the series of each moment (moments,).
        moments: the first step ahead (moments,).
        actual: what came (moments, horizon, targets), NaN where that is not known.
        forecast: the medians (moments, horizon, targets).
        levels: of the quantiles, going up.
        quantiles: (moments, horizon, targets, levels).
        floor: the season before, or the last value, repeated (moments, horizon, targets).
    """

    places: np.ndarray
    moments: np.ndarray
    actual: np.ndarray
    forecast: np.ndarray
    levels: tuple[float, ...]
    quantiles: np.ndarray
    floor: np.ndarray

    @property
    def mae(self) -> float:
        """The mean absolute error over all moments, steps and targets."""
        return float(np.nanmean(np.abs(self.forecast - self.actual)))

    @property
    def rmse(self) -> float:
        """The root of the mean squared error."""
        return float(np.sqrt(np.nanmean((self.forecast - self.actual) ** 2)))

    @property
    def floor_mae(self) -> float:
        """The mean absolute error of repeating."""
        return float(np.nanmean(np.abs(self.floor - self.actual)))

    @property
    def skill(self) -> float:
        """1 less the ratio of the two errors: 1 is perfect, 0 no better than repeating."""
        return 1 - self.mae / max(self.floor_mae, 1e-300)

    @property
    def by_step(self) -> np.ndarray:
        """The mean absolute error of each step ahead (horizon,)."""
        return np.nanmean(np.abs(self.forecast - self.actual), (0, 2))

    @property
    def coverage(self) -> float:
        """The part of the values between the lowest and the highest quantile."""
        known = ~np.isnan(self.actual)
        inside = (self.actual >= self.quantiles[..., 0]) & (self.actual <= self.quantiles[..., -1])
        return float(inside[known].mean())

    @property
    def pinball(self) -> float:
        """The mean pinball loss over the levels."""
        off = self.actual[..., None] - self.quantiles
        levels = np.array(self.levels)
        return float(np.nanmean(np.maximum(levels * off, (levels - 1) * off)))


def backtest(
    source: Source,
    y: Any,
    *,
    last: int | None = None,
    stride: int = 1,
    levels: Sequence[float] = (0.1, 0.5, 0.9),
) -> Backtest:
    """Forecasts from moment after moment of the end of each series, by a fitted model that sees what came before each.

    Series are scaled by what lies before the first moment. To learn nothing of what is forecast, fit the model to
    ``series.until(last)``.

    Args:
        source: what forecasts come from; `Forecaster.backtest` gives its own.
        y: series with what came, as for `Forecaster.fit`.
        last: the last steps of each series that are forecast; all but what one season or the linear forecast reads if not
            given.
        stride: steps from a moment to the next.
        levels: of the quantiles, going up.

    Raises:
        InputError: the series are no longer than the horizon, or ``last`` is less than it.

    Example:
        >>> from rondeau.estimators import Forecaster
        >>> y = np.sin(np.arange(300) * 2 * np.pi / 12)
        >>> model = Forecaster(horizon=6, epochs=1, random_state=0).fit(y[:-60])
        >>> found = model.backtest(y, last=60)
        >>> found.forecast.shape, found.skill <= 1
        ((55, 6, 1), True)
    """
    plan, horizon = source.plan, source.horizon
    if plan.horizon < horizon:
        raise InputError("a backtest takes a model that forecasts all steps at once; set steps_at_once=None")
    series = plan.read(y)
    lengths = series.lengths
    first = lengths - last if last is not None else np.minimum(plan.reach, (lengths - horizon + 1) // 2)
    if (first < 1).any() or (lengths - first < horizon).any():
        raise InputError(
            f"the shortest series has {lengths.min()} steps and last is {last}; forecasts of {horizon} steps need at least "
            "so many to compare with, and a step before them"
        )
    panel = Panel(series, plan.covariates, horizon, measured=first)
    batches = WindowBatches(panel, plan.shape, first, lengths - horizon)
    numbers = np.concatenate([np.arange(begin, end, stride) for begin, end in zip([0, *batches.until], batches.until)])
    return _run(source, batches, numbers, tuple(levels))


@torch.no_grad()
def _run(source: Source, batches: WindowBatches, numbers: np.ndarray, levels: tuple[float, ...]) -> Backtest:
    taken = source.calibration.levels(levels)
    found: dict[str, list[np.ndarray]] = {"actual": [], "forecast": [], "quantiles": [], "floor": []}
    for chunk in np.array_split(numbers, -(-len(numbers) // 256)):
        for part in parts(batches.numbered(chunk)):
            reach = batches.shape.reach
            actual = part.values[:, reach:].double()
            actual[part.observed[:, reach:] == 0] = torch.nan
            both = torch.cat([median(source.network, part)[..., None], quantiles(source.network, part, taken)], -1)
            floor = base_of(part.values, reach, source.horizon, source.plan.season)
            every = torch.cat([actual[..., None], floor[..., None].double(), both.double()], -1)
            own = (every * part.scale[:, None, :, None] + part.mean[:, None, :, None]).numpy()
            found["actual"].append(own[..., 0])
            found["floor"].append(own[..., 1])
            found["forecast"].append(own[..., 2])
            found["quantiles"].append(own[..., 3:])
    places, moments = batches.moments(numbers)
    whole = {name: np.concatenate(chunks) for name, chunks in found.items()}
    return Backtest(places, moments, levels=levels, **whole)
