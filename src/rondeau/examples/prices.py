"""Tomorrow's stock market: whether it rises, which cannot be told, and how much it will move, which can a little.

Daily returns of the S&P 500. The direction of the next day is said by the sign of the median forecast, beside always saying
"up". How much it moves is the absolute return in per cent, five days ahead, beside the mean of the last twenty days.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from rondeau.data import series_of
from rondeau.estimators import Backtest, Forecaster
from rondeau.examples.forecasted import closing_prices, pictured, tested
from rondeau.examples.outcome import Outcome

DAYS = 20
"""The days whose mean is the floor of how much prices move."""


def recipe(out: Path, seed: int = 1, effort: float = 1.0) -> Outcome:
    """Learns from the first sixteen of twenty years."""
    prices = closing_prices()
    returns = 100 * np.log(prices).diff().iloc[1:]
    direction, _ = tested(Forecaster(horizon=1, random_state=seed), series_of(returns), effort)
    movement, floors = tested(Forecaster(horizon=5, random_state=seed), series_of(returns.abs()), effort)
    scores = {"movement: error in per cent": movement.mae, "direction: share right": right(direction)}
    up = float((direction.actual[:, 0, 0] > 0).mean())
    beside = {f"movement: {name}": error for name, error in floors.items()}
    beside[f"movement: mean of {DAYS} days"] = mean_of_days(returns.abs(), movement)
    picture = pictured(movement, out, "prices", "absolute return, per cent")
    return Outcome("tomorrow's market", scores, {**beside, "direction: always up": up}, picture)


def right(found: Backtest) -> float:
    """The share of days whose direction was said."""
    return float(((found.forecast > 0) == (found.actual > 0)).mean())


def mean_of_days(moved: pd.Series, found: Backtest) -> float:
    """The error of the mean of the days before each moment, counted from the end of the series."""
    values = moved.to_numpy()[-(int(found.moments[-1]) + found.actual.shape[1]) :]
    means = np.array([values[max(0, moment - DAYS) : moment].mean() for moment in found.moments])
    return float(np.nanmean(np.abs(means[:, None] - found.actual[:, :, 0])))
