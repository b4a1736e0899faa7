"""The forecaster: what it takes, what it says, how it is kept, and what it refuses."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score

from rondeau.data import Columns, series_of
from rondeau.data.windows import Panel, WindowBatches
from rondeau.errors import DataError, InputError, RondeauError
from rondeau.estimators import Forecaster, SequenceClassifier, load
from rondeau.estimators.calibration import LEVELS, Calibration
from rondeau.estimators.forecasts import worth_it
from rondeau.estimators.randomness import own_randomness, seed_of
from rondeau.estimators.series_plan import held_from
from rondeau.models.lag_skip import LagSkip
from rondeau.train import Kind, Training, keep, open_run
from rondeau.train.forecasting import median

SMALL: dict[str, Any] = {"horizon": 4, "hidden": 8, "epochs": 2, "random_state": 0, "threads": 1}


def wave(steps: int = 200, period: int = 12, noise: float = 0.05, seed: int = 0, level: float = 3.0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return level + np.sin(np.arange(steps) * 2 * np.pi / period) + noise * draw.normal(size=steps)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return Forecaster(**SMALL).fit(wave())


def test_it_forecasts_better_than_repeating(fitted: Forecaster) -> None:
    y = wave(260, seed=1)
    found = fitted.predict(y)
    assert found.shape == (4,)
    np.testing.assert_allclose(found, wave(264, noise=0.0)[260:], atol=0.15)
    assert fitted.plan_.seasons == (12,)
    assert 0.1 < fitted.score(y) < 1


def test_the_same_seed_gives_the_same_numbers(fitted: Forecaster) -> None:
    again = Forecaster(**SMALL).fit(wave())
    np.testing.assert_array_equal(again.predict(wave()), fitted.predict(wave()))
    other = clone(again).set_params(random_state=1).fit(wave())
    assert not np.array_equal(other.predict_interval(wave()), fitted.predict_interval(wave()))


def test_randomness_around_stays_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Forecaster(**SMALL).fit(wave(60))
    assert torch.equal(torch.rand(3), expected)


def test_the_network_does_not_do_worse_than_the_linear_forecast(fitted: Forecaster) -> None:
    errors = [row["error"] for row in fitted.history_ if "error" in row]
    assert len(errors) == 3 and fitted.history_[0]["step"] == 0
    assert fitted.n_iter_ > 0


@pytest.mark.parametrize(("gain", "expected"), [(0.0, False), (0.3, True), (-0.3, False)])
def test_what_the_network_corrects_stands_only_where_it_gains(fitted: Forecaster, gain: float, expected: bool) -> None:
    """A correction that is taken away from, or added to, what came is worth keeping or not."""
    model = pickle.loads(pickle.dumps(fitted))
    network, series = model.network_, series_of(wave())
    panel = Panel(series, model.plan_.covariates, 4)
    windows = WindowBatches(panel, model.plan_.shape, np.array([100]), np.array([196])).spread(1000)
    network.correct_nothing()
    linear = network.linear(windows)
    torch.testing.assert_close(median(network, windows), linear)
    network.out.bias.data[0] = 1.0  # off by a unit of the linear forecast's error, always upwards
    off = median(network, windows) - linear
    windows.values[:, network.shape.reach :] = linear + gain * off * 5
    assert worth_it(network, windows) is expected


def test_every_shape_of_input_has_its_shape_of_output(fitted: Forecaster) -> None:
    one, other = wave(80, seed=2), wave(60, seed=3, level=9)
    alone = fitted.predict(one)
    assert fitted.predict([one]).shape == (1, 4)
    several = fitted.predict([one, other])
    assert several.shape == (2, 4)
    np.testing.assert_allclose(several[0], alone, rtol=1e-6)
    np.testing.assert_allclose(fitted.predict(one.tolist()), alone, rtol=1e-6)
    assert fitted.predict_quantiles([one, other], (0.2, 0.5, 0.7, 0.8)).shape == (2, 4, 4)
    assert fitted.predict_interval(one).shape == (4, 2)
    assert fitted.sample(one, 7, random_state=0).shape == (7, 4)


def test_several_targets_have_an_axis() -> None:
    y = np.stack([wave(120), 5 * wave(120, period=8, seed=1)], 1)
    model = Forecaster(**SMALL).fit(y)
    assert model.n_features_in_ == 2
    assert model.predict(y).shape == (4, 2)
    assert model.predict([y, y]).shape == (2, 4, 2)
    assert model.predict_interval(y).shape == (4, 2, 2)
    assert abs(model.predict(y)[:, 1].mean() / 15 - 1) < 0.4


def test_forecasts_move_with_the_series(fitted: Forecaster) -> None:
    """Scaled and shifted series have scaled and shifted forecasts, also far from those learned from."""
    y = wave(100, seed=4)
    np.testing.assert_allclose(fitted.predict(1e6 + 1e3 * y), 1e6 + 1e3 * fitted.predict(y), rtol=1e-5)


def test_quantiles_go_up_and_intervals_hold_what_they_say() -> None:
    y = wave(1200, noise=0.3)
    model = Forecaster(**{**SMALL, "validation_fraction": 0.3}).fit(y[:900])
    quantiles = model.predict_quantiles(y[:900], (0.01, 0.1, 0.5, 0.9, 0.99))
    assert (np.diff(quantiles, axis=-1) > 0).all()
    found = model.backtest(y, last=300)
    assert 0.72 < found.coverage < 0.88
    assert 0.4 < model.backtest(y, last=300, levels=(0.25, 0.75)).coverage < 0.6
    assert found.pinball < found.mae


def test_calibration_makes_intervals_as_wide_as_they_must_be() -> None:
    draw = torch.Generator().manual_seed(0)
    values = 2 * torch.randn(20_000, generator=draw)  # twice as far off as the forecast says
    tables = torch.special.ndtri(torch.tensor(LEVELS, dtype=torch.float64)).expand(20_000, -1)
    found = Calibration.of(tables, values, torch.ones(20_000))
    low, middle, high = (float(torch.special.ndtri(torch.tensor(level))) for level in found.levels((0.1, 0.5, 0.9)))
    assert abs(low + 2.56) < 0.1 and abs(middle) < 1e-6 and abs(high - 2.56) < 0.1
    assert np.allclose(Calibration.none().levels((0.1, 0.5, 0.999)), (0.1, 0.5, 0.999), atol=2e-3)
    nothing = Calibration.of(tables, values, torch.zeros(20_000))
    assert np.allclose(nothing.scores, Calibration.none().scores)


@pytest.mark.parametrize("head", ["point", "normal", "student_t", "negative_binomial"])
def test_other_heads(head: str) -> None:
    draw = np.random.default_rng(0)
    y = draw.poisson(20 * wave(150, noise=0.0)).astype(float)
    model = Forecaster(**SMALL, head=head).fit(y)
    found = model.predict(y)
    np.testing.assert_allclose(found, 20 * wave(154, noise=0.0)[150:], rtol=0.35)
    low, high = model.predict_interval(y).T
    assert (high >= low).all()
    if head == "negative_binomial":
        np.testing.assert_allclose(low, low.round(), atol=1e-3)


def test_step_by_step_it_forecasts_from_what_it_drew() -> None:
    y = wave(200)
    model = Forecaster(**{**SMALL, "horizon": 10}, steps_at_once=1).fit(y)
    assert model.network_.skip.horizon == 1
    np.testing.assert_allclose(model.predict(y), wave(210, noise=0.0)[200:], atol=0.3)
    low, high = model.predict_interval(y).T
    assert (high > low).all()
    paths = model.sample(y, 50, random_state=0)
    assert paths.shape == (50, 10) and np.ptp(paths, 0).min() > 0
    np.testing.assert_array_equal(paths, model.sample(y, 50, random_state=0))
    with pytest.raises(InputError, match="all steps at once"):
        model.backtest(y)


def frame(steps: int = 120, shops: tuple[str, ...] = ("a", "b")) -> pd.DataFrame:
    parts = []
    for number, shop in enumerate(shops):
        holiday = (np.arange(steps) % 9 == 0).astype(float)
        sales = 10 * (1 + number) + 3 * holiday + wave(steps, period=7, seed=number)
        parts.append(
            pd.DataFrame(
                {
                    "shop": shop,
                    "day": pd.date_range("2024-01-01", periods=steps),
                    "sales": sales,
                    "holiday": holiday,
                    "visits": 2 * sales,
                    "kind": ("city", "village")[number % 2],
                }
            )
        )
    return pd.concat(parts)


COLUMNS = Columns(target="sales", id="shop", time="day", features=("visits",), future=("holiday",), static=("kind",))


def test_frames_bring_what_is_known_beside() -> None:
    given = frame(124)
    late = given["day"] >= "2024-04-30"  # the last four days of each shop
    known = given.copy()
    known.loc[late, ["sales", "visits"]] = np.nan
    model = Forecaster(**{**SMALL, "epochs": 4, "learning_rate": 0.01}, columns=COLUMNS).fit(given[~late])
    assert model.plan_.names == (("sales",), ("visits",), ("holiday",), ("kind",))
    found = model.predict(known)
    assert found.shape == (2, 4)
    with pytest.raises(DataError, match="add rows with these"):
        model.predict(given[~late])
    flipped = known.assign(holiday=1 - known["holiday"])
    assert not np.allclose(model.predict(flipped), found)


def test_wide_frames_are_series_each() -> None:
    index = pd.date_range("2024-01-01", periods=100, freq="h")
    wide = pd.DataFrame({name: wave(100, period=24, seed=place) for place, name in enumerate("abc")}, index=index)
    model = Forecaster(**SMALL, columns=Columns(shape="wide")).fit(wide)
    assert model.predict(wide).shape == (3, 4)
    assert model.plan_.seasons == (24,) and model.plan_.covariates.cycles == ("day",)


def test_missing_values_are_told_the_network() -> None:
    y = wave(200)
    y[[20, 50, 51, 52, 120, 199]] = np.nan
    model = Forecaster(**SMALL).fit(y)
    np.testing.assert_allclose(model.predict(y), wave(204, noise=0.0)[200:], atol=0.3)


def test_irregular_times_are_learned_with_their_gaps() -> None:
    draw = np.random.default_rng(0)
    times = pd.to_datetime("2024-01-01") + pd.to_timedelta(draw.exponential(5, 150).cumsum(), unit="h")
    given = pd.DataFrame({"time": times, "value": wave(150)})
    model = Forecaster(**SMALL).fit(given)
    assert model.plan_.frequency is None and model.plan_.seasons == ()
    assert np.isfinite(model.predict(given)).all()


def test_timezones_are_one_time() -> None:
    index = pd.date_range("2024-03-01", periods=24 * 45, freq="h", tz="Europe/Berlin")  # over a change of clocks
    local = pd.Series(wave(24 * 45, period=24), index=index)
    model = Forecaster(**SMALL).fit(local)
    np.testing.assert_allclose(model.predict(local.tz_convert("UTC")), model.predict(local), rtol=1e-6)
    assert str(model.plan_.frequency) == "hourly"


def test_backtests_move_over_the_end(fitted: Forecaster) -> None:
    y = wave(260, seed=1)
    found = fitted.backtest(y, last=60)
    assert found.moments.tolist() == list(range(200, 257)) and found.actual.shape == (57, 4, 1)
    np.testing.assert_allclose(found.actual[5, :, 0], y[205:209], rtol=1e-6)
    np.testing.assert_allclose(found.forecast[0, :, 0], fitted.predict(y[:200]), rtol=1e-5)
    np.testing.assert_allclose(found.floor[0, :, 0], y[188:192], rtol=1e-5)
    assert found.by_step.shape == (4,) and abs(found.by_step.mean() - found.mae) < 1e-9
    assert found.rmse >= found.mae and found.skill == 1 - found.mae / found.floor_mae
    assert fitted.backtest(y, last=60, stride=7).moments.tolist() == list(range(200, 257, 7))
    two = fitted.backtest([y, y[:100]], last=10, stride=3)
    assert two.places.tolist() == [0, 0, 0, 1, 1, 1] and two.moments.tolist() == [250, 253, 256, 90, 93, 96]


def test_a_backtest_sees_nothing_of_what_it_forecasts(fitted: Forecaster) -> None:
    y = wave(260, seed=1)
    changed = y.copy()
    changed[240:] += 5
    one, other = fitted.backtest(y, last=60), fitted.backtest(changed, last=60)
    before = one.moments <= 240
    np.testing.assert_array_equal(one.forecast[before], other.forecast[before])
    assert not np.allclose(one.forecast[~before], other.forecast[~before])


def test_a_backtest_begins_behind_the_first_value(fitted: Forecaster) -> None:
    late = wave(240)
    late[:100] = np.nan
    assert fitted.backtest(late).moments.min() == 101


def test_it_is_kept_and_loaded(fitted: Forecaster, tmp_path: Path) -> None:
    y = wave(90, seed=3)
    expected = fitted.predict_interval(y)
    fitted.save(tmp_path / "run")
    for again in (load(tmp_path / "run"), Forecaster.load(tmp_path / "run"), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(again.predict_interval(y), expected)
        assert again.get_params() == fitted.get_params()
        assert again.history_ == fitted.history_ and again.n_iter_ == fitted.n_iter_
    with pytest.raises(RondeauError, match="forecaster"):
        SequenceClassifier.load(tmp_path / "run")


def test_a_frames_columns_are_kept(tmp_path: Path) -> None:
    given = frame(60)
    model = Forecaster(**SMALL, columns=COLUMNS, seasons=(7,)).fit(given)
    model.save(tmp_path / "run")
    again = load(tmp_path / "run")
    known = frame(64)
    known.loc[known["day"] > "2024-02-29", ["sales", "visits"]] = np.nan
    np.testing.assert_array_equal(again.predict(known), model.predict(known))
    assert again.plan_.names == model.plan_.names and again.columns == COLUMNS


def test_in_a_run_folder_it_learns_the_same(tmp_path: Path) -> None:
    model = Forecaster(**SMALL)
    model.fit_run(tmp_path / "run", wave())
    np.testing.assert_allclose(model.predict(wave()), Forecaster(**SMALL).fit(wave()).predict(wave()), rtol=1e-4)
    np.testing.assert_array_equal(load(tmp_path / "run").predict_interval(wave()), model.predict_interval(wave()))


@pytest.mark.parametrize("patience", [None, 3])
def test_a_run_that_has_ended_goes_on_without_what_was_held_out(patience: int | None, tmp_path: Path) -> None:
    y = wave(240)
    y[-48:] += np.linspace(0, 3, 48)  # only who has seen it forecasts it well
    settings = {**SMALL, "epochs": 1, "patience": patience}
    once = Forecaster(**settings).fit_run(tmp_path / "run", y)
    more, seed = Forecaster(**settings), seed_of(settings["random_state"])
    with own_randomness(seed):
        training = more.begin(y, seed=seed)
        open_run(tmp_path / "run").resume(training, steps=1).fit()
    more.finish(training)
    first, again = (np.diff(each.predict_interval(y)).mean() for each in (once, more))
    assert again > 0.8 * first
    assert more.history_[-1]["error"] > 0.8 * once.history_[-1]["error"]


@pytest.mark.parametrize("patience", [None, 3])
def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(patience: int | None, tmp_path: Path) -> None:
    settings, y = {**SMALL, "epochs": 2, "patience": patience}, wave(240)
    seed = seed_of(settings["random_state"])

    def begun() -> Training:
        with own_randomness(seed):
            return Forecaster(**settings).begin(y, seed=seed)

    def stop(row: dict[str, Any]) -> None:
        training.stopping = True

    whole, training = begun(), begun()
    with own_randomness(seed):
        whole.run()
    with own_randomness(seed):
        keep(training, tmp_path / "run", Kind("forecast")).fit(stop)
    assert not training.finished
    again = begun()
    with own_randomness(seed):
        open_run(tmp_path / "run", Kind("forecast")).resume(again).fit()
    assert again.finished
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(again.model.state_dict()[name], value, rtol=0, atol=0, msg=name)


def test_a_model_of_hours_refuses_days_and_one_of_counts_what_is_none() -> None:
    def at(every: str) -> pd.Series:
        return pd.Series(wave(100), index=pd.date_range("2024-01-01", periods=100, freq=every), name="load")

    model = Forecaster(**SMALL).fit(at("h"))
    assert np.isfinite(model.predict(at("h"))).all()
    with pytest.raises(InputError, match="the series are daily, and the model was fitted to series that are hourly"):
        model.predict(at("D"))
    with pytest.raises(InputError, match="whole numbers from 0 on"):
        Forecaster(**{**SMALL, "head": "negative_binomial"}).fit(wave(100) - 5)


def test_warm_start_goes_on(fitted: Forecaster) -> None:
    model = clone(fitted).set_params(warm_start=True).fit(wave())
    network = model.network_
    model.fit(wave(220))
    assert model.network_ is network
    with pytest.raises(InputError, match="targets"):
        model.fit(np.stack([wave(), wave()], 1))


def test_scikit_learn_searches_over_it() -> None:
    y = wave(240)
    search = GridSearchCV(Forecaster(**SMALL), {"hidden": [4, 8]}, cv=TimeSeriesSplit(2, test_size=60)).fit(y)
    assert search.best_params_["hidden"] in (4, 8) and search.predict(y).shape == (4,)
    assert (cross_val_score(Forecaster(**SMALL), y, cv=TimeSeriesSplit(2, test_size=60)) > 0).all()


def test_any_cell() -> None:
    model = Forecaster(**SMALL, cell="min_gru", layers=2).fit(wave(100))
    assert model.predict(wave(100)).shape == (4,)


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (np.arange(4.0), "shorter horizon"),
        (np.arange(2.0), "at least three"),
        (np.ones(50), "constant"),
        ([np.ones(50), np.ones(60)], "constant"),
        (np.array([1.0, np.inf] * 10), "infinity"),
        (np.full(20, np.nan), "0 values"),
        ("text", "give an array"),
        (np.array(["a"] * 20), "no number"),
        (np.zeros((5, 5, 5)), "shape"),
        ([], "shape"),
        ([np.arange(9.0), np.zeros((9, 2))], "give every series the same"),
    ],
)
def test_series_that_cannot_be_learned_from_are_refused(series: Any, message: str) -> None:
    with pytest.raises(RondeauError, match=message):
        Forecaster(**SMALL).fit(series)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["2024-01-01"] * 2 + [f"2024-01-{day:02}" for day in range(2, 20)], "same time"),
        ([f"2024-01-{day:02}" for day in range(20, 0, -1)], "order|before"),
        ([None, *(f"2024-01-{day:02}" for day in range(2, 21))], "no number|missing"),
        (["03/04/2024"] * 20, "date|sequences"),
    ],
)
def test_times_that_are_not_sound_are_refused(times: list[Any], message: str) -> None:
    given = pd.DataFrame({"time": times, "value": np.arange(20.0)})
    with pytest.raises(RondeauError, match=message):
        Forecaster(**SMALL, columns=Columns(time="time", target="value")).fit(given)


def test_a_constant_series_among_others_is_forecast_as_it_is() -> None:
    model = Forecaster(**SMALL).fit([wave(), np.full(200, 7.0)])
    np.testing.assert_allclose(model.predict([wave(), np.full(200, 7.0)])[1], 7.0, atol=0.05)


def test_short_series_are_learned_from_as_they_are() -> None:
    model = Forecaster(**{**SMALL, "horizon": 2}).fit(np.array([1.0, 2, 3, 4, 5]))
    assert np.isfinite(model.predict_interval(np.arange(3.0))).all()
    many = [wave(24, seed=seed) for seed in range(30)]
    assert Forecaster(**SMALL).fit(many).predict(many).shape == (30, 4)


def test_one_value_is_enough_to_forecast_from(fitted: Forecaster) -> None:
    assert np.isfinite(fitted.predict(np.array([3.0]))).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"horizon": 0},
        {"horizon": 2.5},
        {"head": "cauchy"},
        {"context": -1},
        {"steps_at_once": 0},
        {"seasons": (0,)},
        {"validation_fraction": 1.5},
        {"cell": "no such cell"},
        {"dropout": 1.0},
        {"epochs": 0},
        {"device": "abacus"},
    ],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RondeauError):
        Forecaster(**{**SMALL, **wrong}).fit(wave(60))


def test_what_it_is_not_made_for_is_said(fitted: Forecaster) -> None:
    with pytest.raises(NotFittedError):
        Forecaster().predict(wave())
    with pytest.raises(InputError, match="sample_weight"):
        Forecaster(**SMALL).fit(wave(), None, np.ones(200))
    with pytest.raises(InputError, match="coverage"):
        fitted.predict_interval(wave(), 80)
    with pytest.raises(InputError, match="go up"):
        fitted.predict_quantiles(wave(), (0.9, 0.1))
    with pytest.raises(InputError, match="targets"):
        fitted.predict(np.zeros((50, 2)))
    with pytest.raises(InputError, match="at least so many"):
        fitted.backtest(wave(60), last=2)
    with pytest.raises(InputError, match="at least so many"):
        fitted.backtest(wave(60), last=60)


def test_what_is_held_out_leaves_enough_to_learn_from() -> None:
    assert held_from(np.array([100, 30, 9, 8]), 4, 0.2).tolist() == [80, 24, 9, 8]
    assert held_from(np.array([100]), 4, None).tolist() == [100]


def test_the_linear_forecast_is_found_again_with_what_was_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    fit = LagSkip.fit

    def counted(self: LagSkip, chosen: Any, windows: Any) -> None:
        counts.append(len(windows))
        fit(self, chosen, windows)

    monkeypatch.setattr(LagSkip, "fit", counted)
    Forecaster(**SMALL).fit(series_of(wave()))
    assert counts[-1] > counts[0]
