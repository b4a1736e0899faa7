"""The report of a forecaster says what its backtest says."""

from __future__ import annotations

import numpy as np
import pytest

from rondeau.data import series_of
from rondeau.errors import InputError
from rondeau.estimators import Forecaster
from rondeau.report.series import of_forecaster

Y = np.sin(np.arange(240) * 2 * np.pi / 12) + np.random.default_rng(0).normal(0, 0.1, 240)


@pytest.fixture(scope="module")
def model() -> Forecaster:
    """Knows all but the last 48 steps."""
    return Forecaster(horizon=6, hidden=4, epochs=1, random_state=0).fit(Y[:-48])


def test_the_errors_are_those_of_the_backtest(model: Forecaster) -> None:
    sections = of_forecaster(model, series_of(Y), series_of(Y[:-48]))
    found = model.backtest(Y, last=48)
    assert found.mae != model.backtest(Y, last=40).mae
    text = "".join(each.html() for each in sections)
    assert f"error is {found.mae:.4g}" in text and f"{100 * found.coverage:.1f} % of what came" in text
    assert "43 forecasts of the last 48 steps" in text
    assert len(sections) == 3 and text.count("<svg") == 2


def test_missing_ends_and_several_series_are_shown(model: Forecaster) -> None:
    gap = Y.copy()
    gap[-30:] = np.nan
    text = "".join(each.html() for each in of_forecaster(model, series_of([gap, Y, np.full(240, 5.0)])))
    assert "nan" not in text


def test_a_series_too_short_to_compare_is_refused(model: Forecaster) -> None:
    with pytest.raises(InputError, match="give longer ones"):
        of_forecaster(model, series_of(Y[:9]))
