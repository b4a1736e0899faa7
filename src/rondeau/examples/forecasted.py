"""Real series from ordinary packages, and a recipe's way to forecast one: the last fifth, from every step, beside floors."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from rondeau.data import Columns, SeriesSet, series_of
from rondeau.errors import DataError
from rondeau.estimators import Backtest, Forecaster
from rondeau.estimators.series_floors import forecast_floors
from rondeau.examples.labelled import folder_of
from rondeau.examples.outcome import Outcome, drawing, saved

HELD = 0.2
"""The part of a series, its end, that is forecast."""


def temperatures() -> SeriesSet:
    """Hourly normal temperatures of San Francisco and Seattle, 8,759 hours, in degrees Fahrenheit (NOAA, by vega_datasets)."""
    folder = folder_of("vega_datasets") / "_data"
    frames = [pd.read_csv(folder / f"{place}-temps.csv").assign(place=place) for place in ("sf", "seattle")]
    frames = [frame.assign(date=pd.to_datetime(frame.date)) for frame in frames]
    return series_of(pd.concat(frames), Columns(target="temp", id="place", time="date"))


def electricity_demand() -> SeriesSet:
    """Half-hourly demand of England and Wales from Monday, 5 June 2000, 4,032 half-hours, in megawatts (Taylor 2003)."""
    text = (folder_of("pmdarima") / "datasets" / "taylor.py").read_text(encoding="utf-8")
    lists = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.List)]
    values = np.array(ast.literal_eval(max(lists, key=lambda node: len(node.elts))), float)
    return series_of(pd.Series(values, index=pd.date_range("2000-06-05", periods=len(values), freq="30min")))


def glucose_levels() -> SeriesSet:
    """Somebody's blood glucose, about every five minutes with interruptions, in mg/dl (public domain, by bokeh-sampledata)."""
    frame = pd.read_csv(folder_of("bokeh_sampledata") / "_data" / "CGM.csv.gz")
    minutes = pd.to_datetime(frame.datetime).dt.round("5min")
    level = frame.glucose.groupby(minutes.to_numpy()).mean()
    return series_of(level.rename_axis("time"))


def closing_prices() -> pd.Series:
    """Daily closing values of the S&P 500, 1999 to 2018 (by arch)."""
    frame = pd.read_csv(folder_of("arch") / "data" / "sp500" / "sp500.csv.gz")
    return pd.Series(frame["Adj Close"].to_numpy(float), index=pd.to_datetime(frame.Date), name="close")


def latest(series: SeriesSet, part: float, least: int = 300) -> SeriesSet:
    """The last part of each series, for a quick look."""
    if part >= 1:
        return series
    items = []
    for each in series.items:
        begin = max(0, len(each) - max(least, int(part * len(each))))
        names = ("values", "times", "positions", "past", "future")
        items.append(replace(each, **{name: getattr(each, name)[begin:] for name in names}))
    return replace(series, items=tuple(items))


def tested(model: Forecaster, series: SeriesSet, effort: float) -> tuple[Backtest, dict[str, float]]:
    """A model fitted without the last fifth of series, its forecasts of that, and the errors of floors at the same moments."""
    series = latest(series, effort)
    if not len(series):
        raise DataError("there are no series; give at least one")
    if effort < 1:
        model = model.set_params(epochs=max(1, int(6 * effort)))
    last = max(round(HELD * int(series.lengths.min())), model.horizon)
    known = series.until(last)
    found = model.fit(known).backtest(series, last=last)
    said = forecast_floors(known, series, found.places, found.moments, model.horizon)
    return found, {name: float(np.nanmean(np.abs(values - found.actual))) for name, values in said.items()}


def forecasted(model: Forecaster, series: SeriesSet, out: Path, name: str, unit: str, effort: float) -> Outcome:
    """Forecasts the last fifth of series, beside floors, with a picture of three forecasts."""
    found, floors = tested(model, series, effort)
    lines = (f"{found.coverage:.0%} of the values lay in the 80 % intervals",)
    return Outcome(f"mean absolute error, {unit}", {"Forecaster": found.mae}, floors, pictured(found, out, name, unit), lines)


def pictured(found: Backtest, out: Path, name: str, unit: str) -> Path:
    """Three forecasts with their intervals, and what came."""
    figure, axes = drawing(columns=3, wide=11.0, high=3.4)
    for each, place in zip(axes, np.linspace(0, len(found.moments) - 1, 3).round().astype(int)):
        ahead = np.arange(1, found.actual.shape[1] + 1)
        low, high = found.quantiles[place, :, 0, 0], found.quantiles[place, :, 0, -1]
        each.fill_between(ahead, low, high, alpha=0.25, label="80 % interval")
        each.plot(ahead, found.forecast[place, :, 0], label="forecast")
        each.plot(ahead, found.actual[place, :, 0], "k.", markersize=4, label="what came")
        each.set_xlabel("steps ahead")
    axes[0].set_ylabel(unit)
    axes[0].legend()
    return saved(figure, out, name)
