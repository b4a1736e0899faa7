"""Floors of forecasts: repeating what was, and a linear model of the last values, at the moments of a backtest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import Ridge

from rondeau.data import SeriesSet

WINDOWS = 20_000
"""Windows that the linear model learns from at most, over all series."""
LEAST_LAGS, MOST_LAGS = 12, 336


def forecast_floors(
    train: SeriesSet, whole: SeriesSet, places: np.ndarray, moments: np.ndarray, horizon: int
) -> dict[str, np.ndarray]:
    """The last value repeated, the season before repeated where there is one, and a ridge regression on the last values.

    Args:
        train: the series without what is held out.
        whole: the series with it.
        places: the series of each moment (moments,).
        moments: the first step ahead of each (moments,).
        horizon: steps ahead.

    Returns:
        Values (moments, horizon, targets) by the floor's name.
    """
    season = train.frequency.season if train.frequency is not None else 1
    filled = [_filled(each.values) for each in whole.items]
    past = [filled[place][: max(moment, 1)] for place, moment in zip(places, moments)]
    found = {"last value": np.stack([_repeated(each, 1, horizon) for each in past])}
    if season > 1:
        found[f"{season} steps before"] = np.stack([_repeated(each, season, horizon) for each in past])
    shortest = int(train.lengths.min())
    lags = min(int(np.clip(2 * season, LEAST_LAGS, MOST_LAGS)), (shortest - horizon) // 2)
    if lags >= 1:
        found[f"ridge on {lags} values"] = _ridge([_filled(each.values) for each in train.items], past, lags, horizon)
    return found


def _filled(values: np.ndarray) -> np.ndarray:
    """Values (steps, targets), one that is missing as the last one before it, or the first behind."""
    known = ~np.isnan(values)
    last = np.maximum.accumulate(np.where(known, np.arange(len(values))[:, None], -1), 0)
    first = np.where(known.any(0), known.argmax(0), 0)
    return np.nan_to_num(np.take_along_axis(values, np.where(last < 0, first, last), 0))


def _repeated(values: np.ndarray, season: int, horizon: int) -> np.ndarray:
    """The last ``season`` values, again and again (horizon, targets)."""
    last = values[-season:]
    return last[np.arange(horizon) % len(last)]


def _ridge(known: Sequence[np.ndarray], past: Sequence[np.ndarray], lags: int, horizon: int) -> np.ndarray:
    """One model for all series and targets: of values less the mean of the window, over their series' deviation."""
    draw = np.random.default_rng(0)
    spread = np.mean([each.std(0).mean() for each in known]) or 1.0
    each_most = max(1, WINDOWS // len(known))
    inputs, outputs = [], []
    for values in known:
        starts = np.arange(len(values) - lags - horizon + 1)
        for start in draw.permutation(starts)[:each_most]:
            window, after = values[start : start + lags], values[start + lags : start + lags + horizon]
            inputs.append((window - window.mean(0)).T)
            outputs.append((after - window.mean(0)).T)
    model = Ridge(alpha=1.0).fit(np.concatenate(inputs) / spread, np.concatenate(outputs) / spread)
    windows = np.stack([np.concatenate([np.repeat(each[:1], max(lags - len(each), 0), 0), each[-lags:]]) for each in past])
    mean = windows.mean(1, keepdims=True)
    rows = ((windows - mean) / spread).transpose(0, 2, 1)
    said = model.predict(rows.reshape(-1, lags)).reshape(*rows.shape[:2], horizon)
    return said.transpose(0, 2, 1) * spread + mean
