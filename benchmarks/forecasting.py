"""Forecasts of real series beside floors: hourly temperature a day ahead, half-hourly electricity a day ahead, many series.

    python benchmarks/forecasting.py temperature
    python benchmarks/forecasting.py electricity
    python benchmarks/forecasting.py many

Data: `pip install --no-deps vega_datasets==0.9.0 pmdarima==2.1.1`. The last fifth of each series is the test part. From every
step of it at which a whole horizon still follows, all steps ahead are forecast by a model that was fitted once, to what lies
before the test part, and that sees all up to the step. The error is the mean of absolute errors over these moments, all steps
ahead and all series, in the data's own unit. `Forecaster` has its defaults; ``--part train`` holds out the end of the training
part instead, which is where defaults were chosen.

Floors, on the same moments: the day or the week before, repeated; ridge regression from the last 168 hours, or 336 half-hours,
to all steps ahead, with the penalty that is best on the test part itself, which favours the floor; of temperatures one for each
place, and one for both.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from common import write
from sklearn.linear_model import Ridge

from rondeau.data import Columns, SeriesSet, series_of
from rondeau.estimators import Forecaster
from rondeau.examples.forecasted import electricity_demand, temperatures

TEST = 0.2
ALPHAS = 10.0 ** np.arange(-4, 4)


def filled(series: SeriesSet) -> list[np.ndarray]:
    """The values of each series, missing ones interpolated, for the floors."""
    return [pd.Series(each.values[:, 0]).interpolate(limit_direction="both").to_numpy() for each in series.items]


def cut(values: np.ndarray, begin: int, end: int, lags: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """What lies before (moments, lags) and after (moments, horizon) every moment from ``begin`` on."""
    whole = np.lib.stride_tricks.sliding_window_view(values[begin - lags : end], lags + horizon)
    return whole[:, :lags], whole[:, lags:]


def repeated(values: list[np.ndarray], begin: int, horizon: int, season: int) -> float:
    """The error of repeating what was a season before."""
    errors = []
    for each in values:
        before, after = cut(each, begin, len(each), season, horizon)
        errors.append(np.abs(before[:, np.arange(horizon) % season] - after))
    return float(np.mean(errors))


def ridge(values: list[np.ndarray], begin: int, horizon: int, lags: int) -> float:
    """The error of ridge regression, one for all series given, with the best penalty."""
    return min(ridge_error(values, begin, horizon, lags, alpha) for alpha in ALPHAS)


def ridge_error(values: list[np.ndarray], begin: int, horizon: int, lags: int, alpha: float) -> float:
    """The error on what follows ``begin`` of ridge regression fitted to what is before."""
    mean, scale = [each[:begin].mean() for each in values], [each[:begin].std() for each in values]
    scaled = [(each - m) / s for each, m, s in zip(values, mean, scale)]
    pairs = [cut(each, lags, begin, lags, horizon) for each in scaled]
    model = Ridge(alpha=alpha).fit(*map(np.concatenate, zip(*pairs)))
    tests = [cut(each, begin, len(each), lags, horizon) for each in scaled]
    return float(np.mean([np.abs(model.predict(x) - y).mean() * s for (x, y), s in zip(tests, scale)]))


def run(name: str, series: SeriesSet, horizon: int, seasons: Sequence[int], seeds: int, part: str) -> None:
    """Fits with the defaults, seed after seed, and writes errors, coverage and floors."""
    steps = len(series.items[0])
    if part == "train":
        series = series.until(round(TEST * steps))
        steps = len(series.items[0])
    last = round(TEST * steps)
    values, begin, lags = filled(series), steps - last, 168 if horizon == 24 else 336
    floors = {f"repeat {season}": repeated(values, begin, horizon, season) for season in seasons}
    floors[f"ridge {lags}"] = float(np.mean([ridge([each], begin, horizon, lags) for each in values]))
    if len(values) > 1:
        floors[f"ridge {lags}, one for both"] = ridge(values, begin, horizon, lags)
    errors, coverages, seconds = [], [], []
    for seed in range(seeds):
        begun = time.perf_counter()
        model = Forecaster(horizon=horizon, random_state=seed).fit(series.until(last))
        seconds.append(time.perf_counter() - begun)
        found = model.backtest(series, last=last)
        errors.append(found.mae)
        coverages.append(found.coverage)
        print(f"seed {seed}: error {found.mae:.5g}, coverage {found.coverage:.3f}, fitted in {seconds[-1]:.0f} s", flush=True)
    best = min(floors.values())
    write(
        "forecasting",
        {
            "data": name,
            "part": part,
            "error": float(np.mean(errors)),
            "errors": errors,
            "floors": floors,
            "below_best_floor": 1 - float(np.mean(errors)) / best,
            "coverage": float(np.mean(coverages)),
            "coverages": coverages,
            "seconds": seconds,
        },
    )


def many(count: int = 1000, steps: int = 500, horizon: int = 24) -> None:
    """How long it takes to fit many series: daily ones with a week, a trend and noise."""
    draw = np.random.default_rng(0)
    day = np.arange(steps)
    made = []
    for _ in range(count):
        week = draw.normal(size=7)[day % 7] * draw.uniform(0.5, 2)
        made.append(draw.uniform(5, 50) + week + draw.normal(size=steps).cumsum() * 0.1 + draw.normal(size=steps))
    frame = pd.DataFrame(dict(zip(map(str, range(count)), made)), index=pd.date_range("2022-01-01", periods=steps))
    series = series_of(frame, Columns(shape="wide"))
    begun = time.perf_counter()
    model = Forecaster(horizon=horizon, random_state=0).fit(series.until(horizon))
    seconds = time.perf_counter() - begun
    found = model.backtest(series, last=horizon)
    line = {"series": count, "steps": steps, "seconds": [seconds], "error": found.mae, "floors": {"repeat": found.floor_mae}}
    write("forecasting", {"data": "many", **line, "coverage": found.coverage})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("data", choices=("temperature", "electricity", "many"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", choices=("test", "train"), default="test")
    given = parser.parse_args()
    if given.data == "temperature":
        run("temperature", temperatures(), 24, (24,), given.seeds, given.part)
    elif given.data == "electricity":
        run("electricity", electricity_demand(), 48, (48, 336), given.seeds, given.part)
    else:
        many()
