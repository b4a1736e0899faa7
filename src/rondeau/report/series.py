"""What a report says of a forecaster: how far off it was at the end of each series, and what that looks like."""

from __future__ import annotations

from typing import Any

import numpy as np

from rondeau.data import SeriesSet
from rondeau.errors import InputError
from rondeau.estimators import Forecaster
from rondeau.report.forecasts import Forecast, forecasts, quality
from rondeau.report.page import Section, paragraph

LEVELS = (0.1, 0.5, 0.9)
HORIZONS = 8  # at the end of each series that are forecast, if it is that long
MOMENTS = 2_000  # forecasts at most
PAST = 4  # horizons that are drawn before a forecast
SHOWN = 3


def of_forecaster(model: Forecaster, data: SeriesSet, learned: SeriesSet | None = None) -> list[Section]:
    """The sections of a forecaster: its errors by distance, and the worst, a middling and the best forecast of each target.

    Args:
        model: fitted, best to what came before.
        data: series with what came.
        learned: the same series as far as the model was fitted to them, so that what is behind is forecast, moment after
            moment; the last `HORIZONS` horizons if not given.

    Raises:
        InputError: the series are too short to forecast their end.
    """
    horizon, shortest = model.horizon, int(min(len(each) for each in data.items))
    behind = HORIZONS * horizon if learned is None else len(data.items[0]) - len(learned.items[0])
    steps = min(behind, shortest // 2) if learned is None else behind
    if steps < horizon:
        raise InputError(
            f"the shortest series has {shortest:,} steps, and forecasts of {horizon} steps take twice as many to see how they "
            "end; give longer ones"
        )
    stride = max(1, len(data) * (steps - horizon + 1) // MOMENTS)
    found = model.backtest(data, last=steps, stride=stride, levels=LEVELS)
    said = f"{len(found.moments):,} forecasts of the last {steps:,} steps of each series, {stride} steps apart."
    parts = [Section("Beside repeating", (paragraph(said), paragraph(_skill(found))))]
    for place, name in enumerate(data.targets):
        parts += _of_target(found, data, place, name)
    return parts


def _skill(found: Any) -> str:
    share = f"{abs(found.skill):.1%}"
    return (
        f"Its mean absolute error is {found.mae:.4g}; that of repeating the season, or the last value, {found.floor_mae:.4g}: "
        f"{share} {'less' if found.skill >= 0 else 'more'}."
    )


def _of_target(found: Any, data: SeriesSet, target: int, name: str) -> list[Section]:
    truth, middle = found.actual[..., target], found.forecast[..., target]
    low, high = found.quantiles[..., target, 0], found.quantiles[..., target, -1]
    level = LEVELS[-1] - LEVELS[0]
    score = quality(truth, middle, low, high, level)
    known = np.flatnonzero(~np.isnan(truth).all(1))
    errors = np.nanmean(np.abs(middle - truth)[known], 1)
    order = known[np.argsort(-errors, kind="stable")]
    picked = order[np.unique(np.linspace(0, len(order) - 1, SHOWN).astype(int))] if len(order) else order
    items = [_drawn(data, found, target, i, truth[i], middle[i], low[i], high[i]) for i in picked]
    titled = [Section(f"{name}: {score.title.lower()}", score.parts)]
    return titled + ([forecasts(f"{name}: worst, middling and best", items, level)] if items else [])


def _drawn(data: SeriesSet, found: Any, target: int, i: int, *lines: np.ndarray) -> Forecast:
    series, moment = data.items[int(found.places[i])], int(found.moments[i])
    past = series.values[max(0, moment - PAST * len(lines[0])) : moment, target]
    when = series.times[moment - 1]
    return Forecast(f"{series.id}, after {str(when)[:16]}", past, *lines)
