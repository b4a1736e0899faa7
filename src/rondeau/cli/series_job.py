"""What the commands do with series: read, split by time, scored by forecasts from moments of the past, forecast on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rondeau.cli.jobs import Parts, Row, Scores, make

if TYPE_CHECKING:
    import numpy as np

    from rondeau.cli.dataset import DataSet
    from rondeau.data import SeriesSet

MOMENTS = 20_000  # forecasts that are scored, about
FIFTH = 0.2
LEVELS = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class SeriesJob:
    """The estimator of what comes next in series."""

    kind: str = "forecaster"
    estimator: str = "Forecaster"

    def of(self, parameters: dict[str, Any]) -> SeriesJob:
        """See `Job.of`."""
        return self

    def read(self, data: DataSet, model: Any = None) -> SeriesSet:
        """See `Job.read`."""
        from rondeau.data import read_series

        return read_series(data.opened(), data.read_columns(), kind=data.format)

    def parts(self, data: DataSet, parameters: dict[str, Any]) -> Parts:
        """See `Job.parts`; the last steps of every series are held out, at least as many as are forecast."""
        whole = self.read(data)
        if not data.held_out:
            return Parts(whole, whole, None, "all of it to train on")
        last = max(make(self, parameters).horizon, round(data.held_out * int(whole.lengths.min())))
        return Parts(whole, whole.until(last), whole, f"the last {last:,} steps of each series held out")

    def pairs(self, some: SeriesSet) -> list[Any]:
        """See `Job.pairs`."""
        return [(each.id, each.values, each.times, each.past, each.future, each.static) for each in some.items]

    def scores(self, model: Any, parts: Parts, floors: bool) -> Scores:
        """See `Job.scores`."""
        last = len(parts.whole.items[0]) - len(parts.train.items[0])
        moments = len(parts.whole) * (last - model.horizon + 1)
        found = model.backtest(parts.whole, last=last, stride=max(1, moments // MOMENTS), levels=LEVELS)
        scores: Scores = {}
        if floors:
            from rondeau.estimators.series_floors import forecast_floors

            said = forecast_floors(parts.train, parts.whole, found.places, found.moments, model.horizon)
            scores = {name: _errors(found.actual, values) for name, values in said.items()}
        return {**scores, type(model).__name__: {**_errors(found.actual, found.forecast), "80 % intervals": found.coverage}}

    def figures(self, model: Any, whole: SeriesSet) -> dict[str, float]:
        """See `Job.figures`; of forecasts from moments in the last fifth of the series, measured by what is before."""
        last = max(model.horizon, round(FIFTH * int(whole.lengths.min())))
        found = model.backtest(whole, last=last, levels=LEVELS)
        return {**_errors(found.actual, found.forecast), "80 % intervals": found.coverage, "forecasts": len(found.moments)}

    def rows(self, model: Any, data: DataSet, all_classes: bool) -> Iterator[Row]:
        """See `Job.rows`; a row for each step ahead, with the ends of an interval that holds four of five values."""
        series = self.read(data)
        said = model.predict_quantiles(series, LEVELS).reshape(len(series), model.horizon, len(series.targets), len(LEVELS))
        for each, values in zip(series.items, said):
            for time, steps in zip(_ahead(series, each.times[-1], model.horizon), values):
                name = {"id": each.id} if len(series) > 1 else {}
                yield {**name, **time, **_told(series.targets, steps)}


FORECAST = SeriesJob()


def _told(targets: tuple[str, ...], values: np.ndarray) -> Row:
    """What is said of one step (targets, levels)."""
    row: Row = {}
    for target, (low, middle, high) in zip(targets, values.tolist()):
        row |= {target: middle, f"{target} from": low, f"{target} to": high}
    return row


def _ahead(series: SeriesSet, last: Any, horizon: int) -> list[Row]:
    """What names the steps ahead: their times, or where times are irregular their numbers."""
    import numpy as np

    if series.frequency is None:
        return [{"step": step + 1} for step in range(horizon)]
    times = series.frequency.after(last, horizon)
    if not np.issubdtype(times.dtype, np.datetime64):
        return [{"time": float(time)} for time in times]
    texts = [str(time).replace("T", " ") for time in times.astype("datetime64[s]")]
    days = all(text.endswith(" 00:00:00") for text in texts)
    return [{"time": text.removesuffix(" 00:00:00") if days else text} for text in texts]


def _errors(actual: np.ndarray, said: np.ndarray) -> dict[str, float]:
    """How far off forecasts are, over all that is known."""
    import numpy as np

    error = (said - actual)[~np.isnan(actual)]
    return {"mean absolute error": float(np.abs(error).mean()), "root mean squared error": float(np.sqrt((error**2).mean()))}
