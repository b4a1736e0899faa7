"""What comes again: the calendar's cycles as features of a time, and the seasons of a series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rondeau.data.series import SeriesSet
from rondeau.data.times import in_seconds

DAY = 86_400.0
PERIODS = {"day": DAY, "week": 7 * DAY, "year": 365.2425 * DAY}
HARMONICS = {"day": 3, "week": 3, "year": 2}
"""How finely a place in a cycle is told: so many sines and cosines. Three tell the seven days of a week apart."""

REPEATS = 0.3
"""The autocorrelation of changes from which on a season is taken for one."""

LONGEST = 2000
"""The longest season that is looked for in numbers without dates, in steps."""


def cycles_of(series: SeriesSet) -> tuple[str, ...]:
    """The cycles of the calendar that the times of some series tell something about: they see each at least twice, and have
    at least two steps in it. Times that are numbers have none.

    Example:
        >>> from rondeau.data import series_of
        >>> import pandas as pd
        >>> hours = pd.Series(range(1000), index=pd.date_range("2024-01-01", periods=1000, freq="h"), dtype=float)
        >>> cycles_of(series_of(hours))
        ('day', 'week')
    """
    times = [in_seconds(each.times) for each in series.items if each.times.dtype.kind == "M"]
    steps = [float(np.median(np.diff(each))) for each in times if len(each) > 1]
    if not steps:
        return ()
    step, span = float(np.median(steps)), max(each[-1] - each[0] for each in times)
    return tuple(name for name, period in PERIODS.items() if 2 * step <= period * 1.02 and 2 * period <= span)


def phases(times: np.ndarray, cycles: Sequence[str]) -> np.ndarray:
    """Where in each cycle some times (steps,) lie, as sines and cosines (steps, features), float32."""
    parts = [np.zeros((len(times), 0))]
    for name in cycles:
        turns = _turns(times, name)[:, None] * np.arange(1, HARMONICS[name] + 1) * 2 * np.pi
        parts += [np.sin(turns), np.cos(turns)]
    return np.concatenate(parts, 1).astype(np.float32)


def phase_count(cycles: Sequence[str]) -> int:
    """How many features `phases` gives."""
    return sum(2 * HARMONICS[name] for name in cycles)


def _turns(times: np.ndarray, cycle: str) -> np.ndarray:
    """The part of a cycle that lies behind at each time."""
    if cycle == "year":
        year = times.astype("datetime64[Y]")
        whole = ((year + 1).astype("datetime64[ns]") - year.astype("datetime64[ns]")).astype(np.float64)
        return (times - year.astype(times.dtype)).astype("timedelta64[ns]").astype(np.float64) / whole
    return in_seconds(times) / PERIODS[cycle] % 1


def seasons_of(series: SeriesSet) -> tuple[int, ...]:
    """The numbers of steps after which series may repeat, the shortest first: those of the calendar where times are regular
    dates, those found in the values where times are numbers. A typical series sees each three times.

    Example:
        >>> from rondeau.data import series_of
        >>> seasons_of(series_of(np.sin(np.arange(200) * 2 * np.pi / 12)))
        (12,)
    """
    frequency, typical = series.frequency, int(np.median(series.lengths))
    if frequency is None:
        return ()
    if frequency.unit == "numbers":
        return _found(series)
    if frequency.unit == "seconds":
        counts = [period / frequency.count for period in PERIODS.values()]
    else:
        counts = [float(frequency.season)]
    whole = sorted({round(count) for count in counts if count >= 2 and abs(count - round(count)) < 0.5})
    return tuple(count for count in whole if 3 * count <= typical)


def _found(series: SeriesSet) -> tuple[int, ...]:
    """The season at which changes repeat best, the shortest of equals, after a shorter one that it is a multiple of."""
    correlations = [_autocorrelation(each.values[:, 0]) for each in series.items[:: max(1, len(series) // 32)]]
    longest = int(np.median([len(each) for each in correlations]))
    kept = [each[:longest] for each in correlations if len(each) >= longest]
    if longest < 4 or not kept:
        return ()
    mean = np.mean(kept, 0)
    inner = mean[2:-1]
    peaks = 2 + np.flatnonzero((inner > mean[1:-2]) & (inner >= mean[3:]) & (inner > REPEATS))
    if not len(peaks):
        return ()
    best = int(next(peak for peak in peaks if mean[peak] >= mean[peaks].max() - 0.05))
    parts = [int(peak) for peak in peaks if peak < best and best % peak == 0]
    return (*parts[:1], best)


def _autocorrelation(values: np.ndarray) -> np.ndarray:
    """Of the changes from step to step, by lag (a third of the steps,); nothing for a series that never changes."""
    changes = np.nan_to_num(np.diff(values))
    changes = changes - changes.mean() if len(changes) else changes
    power = float((changes**2).sum())
    if power <= 0:
        return np.zeros(0)
    spectrum = np.abs(np.fft.rfft(changes, 2 * len(changes))) ** 2
    return np.fft.irfft(spectrum)[: min(len(values) // 3, LONGEST) + 2] / power
