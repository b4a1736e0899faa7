"""Windows over series, the calendar and seasons: what a model of series reads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from rondeau.data import Columns, SeriesSet, series_of
from rondeau.data.cycles import cycles_of, phase_count, phases, seasons_of
from rondeau.data.windows import Covariates, Panel, WindowBatches, WindowShape, times_of
from rondeau.errors import InputError


def panel(series: SeriesSet, horizon: int = 2, season: int = 0) -> Panel:
    return Panel(series, Covariates.of(series, cycles_of(series), season), horizon)


def own(given: Panel, place: int, moment: int, shape: WindowShape) -> list[float]:
    """The values of a window in the series' own numbers."""
    windows = given.windows(np.array([place]), np.array([moment]), shape)
    return (windows.values * windows.scale[:, None] + windows.mean[:, None]).flatten().round(decimals=3).tolist()


def test_a_window_is_what_lies_around_its_moment() -> None:
    series = series_of([np.arange(10.0), np.arange(100.0, 108.0)])
    given, shape = panel(series), WindowShape(3, 2, 2)
    assert own(given, 0, 5, shape) == [2, 3, 4, 5, 6]
    assert own(given, 1, 6, shape) == [103, 104, 105, 106, 107]


def test_before_its_start_a_series_is_missing() -> None:
    windows = panel(series_of(np.arange(10.0))).windows(np.array([0]), np.array([1]), WindowShape(4, 2, 2))
    assert windows.observed[0, :, 0].tolist() == [0, 0, 0, 1, 1, 1]


def test_behind_its_end_too_but_the_calendar_goes_on() -> None:
    hours = pd.date_range("2024-01-01", periods=72, freq="h")
    given = series_of(pd.Series(np.arange(72.0), index=hours))
    windows = panel(given, horizon=3).windows(np.array([0]), np.array([72]), WindowShape(4, 2, 3))
    assert windows.observed[0, :, 0].tolist() == [1, 1, 1, 1, 0, 0, 0]
    expected = phases(np.array(["2024-01-04T00", "2024-01-04T01", "2024-01-04T02"], "datetime64[ns]"), ("day",))
    np.testing.assert_allclose(windows.known[0, 2:, : expected.shape[1]], expected, atol=1e-6)


def test_what_is_missing_stands_as_a_season_before() -> None:
    y = np.tile([1.0, 2.0, 3.0], 4)
    y[[4, 5, 10]] = np.nan
    series = series_of(y)
    assert own(panel(series, season=3), 0, 12, WindowShape(12, 2, 0)) == np.tile([1.0, 2, 3], 4).tolist()
    assert own(panel(series), 0, 12, WindowShape(12, 2, 0))[3:6] == [1, 1, 1]
    windows = panel(series, season=3).windows(np.array([0]), np.array([12]), WindowShape(12, 2, 0))
    assert np.flatnonzero(windows.observed[0, :, 0] == 0).tolist() == [4, 5, 10]


def test_scale_is_that_of_the_measured_steps() -> None:
    series = series_of(np.array([1.0, 3, 1, 3, 100, 100]))
    found = Panel(series, Covariates.of(series, (), 0), 1, measured=[4])
    assert found.mean.item() == 2 and found.scale.item() == 1


@pytest.mark.parametrize("value", [0.0, 5.0, 1e9])
def test_a_constant_series_has_a_scale_too(value: float) -> None:
    found = panel(series_of([np.full(8, value), np.arange(8.0)]))
    assert found.scale[0].item() > 0 and torch.isfinite(found.values).all()


def test_what_stands_beside_is_scaled_and_told_missing() -> None:
    frame = pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=6),
            "y": [1.0, 2, 3, 4, np.nan, np.nan],
            "visits": [10.0, np.nan, 30, 10, np.nan, np.nan],
            "price": [1.0, 1, 2, 2, 3, 3],
            "kind": "shop",
        }
    )
    series = series_of(frame, Columns(target="y", time="time", features=("visits",), future=("price",), static=("kind",)))
    windows = panel(series).windows(np.array([0]), np.array([4]), WindowShape(4, 4, 2))
    assert windows.past[0, :, 2].tolist() == [1, 0, 1, 1]  # known or not
    assert windows.past[0, 1, 1] == 0 and windows.past[0, 2, 1] > 0
    assert windows.known[0, :, -1].diff().sign().tolist() == [0, 1, 0, 1, 0]
    assert windows.static.tolist() == [[1.0]]


def test_batches_come_to_every_window_once_an_epoch() -> None:
    series = series_of([np.arange(12.0), np.arange(100.0, 109.0)])
    batches = WindowBatches(panel(series), WindowShape(2, 2, 2), np.array([2, 2]), np.array([10, 7]), batch=4, seed=3)
    assert batches.total == 15 and batches.count == 4

    def epoch() -> list[float]:
        found = [batches.next() for _ in range(batches.count)]
        return [v for w in found for v in (w.values[:, 2, 0] * w.scale[:, 0] + w.mean[:, 0]).round().tolist()]

    expected = [*range(2, 11), *range(102, 108)]
    first, second = epoch(), epoch()
    assert sorted(first) == sorted(second) == expected and first != second
    assert batches.epoch == 2 and batches.passed == 2


def test_batches_go_on_where_they_stood() -> None:
    def made() -> WindowBatches:
        series = series_of(np.random.default_rng(0).normal(size=60))
        return WindowBatches(panel(series), WindowShape(2, 2, 2), np.array([2]), np.array([58]), batch=8, most=24)

    one, other = made(), made()
    for _ in range(5):
        one.next()
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.next().values, other.next().values)
    with pytest.raises(InputError, match="none is the 7th"):
        other.load_state_dict({"epoch": 0, "position": 7})


def test_no_window_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="shorter horizon"):
        WindowBatches(panel(series_of(np.arange(5.0))), WindowShape(2, 2, 2), np.array([4]), np.array([3]))


@pytest.mark.parametrize(
    ("steps", "freq", "expected"),
    [(40, "h", ()), (60, "h", ("day",)), (800, "h", ("day", "week")), (800, "D", ("week", "year")), (30, "MS", ("year",))],
)
def test_cycles_of_the_calendar_are_those_that_times_tell_of(steps: int, freq: str, expected: tuple[str, ...]) -> None:
    found = cycles_of(
        series_of(pd.Series(np.arange(float(steps)), index=pd.date_range("2020-01-06", periods=steps, freq=freq)))
    )
    assert found == expected


def test_phases_come_again() -> None:
    days = pd.date_range("2024-01-01", periods=15).to_numpy()
    found = phases(days, ("week",))
    assert found.shape == (15, phase_count(("week",)))
    np.testing.assert_allclose(found[:8], found[7:], atol=1e-5)
    apart = np.abs(found[:7, None] - found[None, :7]).sum(-1) + np.eye(7)
    assert apart.min() > 0.5  # each day of the week by itself


def test_seasons_are_the_calendars_or_found() -> None:
    hours = pd.Series(np.arange(600.0), index=pd.date_range("2024-01-01", periods=600, freq="h"))
    assert seasons_of(series_of(hours)) == (24, 168)
    assert seasons_of(series_of(hours[:100])) == (24,)
    draw = np.random.default_rng(1)
    step = np.arange(900)
    both = np.sin(step * 2 * np.pi / 12) + 2 * (step % 60 < 12) * np.sin(step * 2 * np.pi / 12)
    assert seasons_of(series_of(both + 0.05 * draw.normal(size=900))) == (12, 60)
    assert seasons_of(series_of(draw.normal(size=900).cumsum())) == ()
    assert seasons_of(series_of(np.ones(50))) == ()


def test_irregular_times_go_on_by_the_median() -> None:
    frame = pd.DataFrame(
        {"time": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-07 05:00"], format="ISO8601"), "y": 1.0}
    )
    series = series_of(frame, Columns(target="y", time="time"))
    assert series.frequency is None
    ahead = times_of(series.items[0], series, 2)[4:]
    assert (ahead == np.array(["2024-01-08T05", "2024-01-09T05"], "datetime64[ns]")).all()
    windows = panel(series).windows(np.array([0]), np.array([4]), WindowShape(4, 4, 2))
    assert windows.past[0, -1, 0] > 3  # steps more than one since the step before
