"""Blood glucose in the next hour, from a sensor that reads every five minutes and at times does not.

Where readings are missing the network is told so. Beside the forecast stands the last reading, which is a fair guess for some
minutes. This is no medical device.
"""

from __future__ import annotations

from pathlib import Path

from rondeau.estimators import Forecaster
from rondeau.examples.forecasted import forecasted, glucose_levels, latest
from rondeau.examples.outcome import Outcome

ROWS = 20_000
"""The last readings, some ten weeks of them."""


def recipe(out: Path, seed: int = 1, effort: float = 1.0) -> Outcome:
    """Learns from the first four fifths of the last ten weeks."""
    series = glucose_levels()
    series = latest(series, min(0.999, ROWS / int(series.lengths[0])))
    return forecasted(Forecaster(horizon=12, random_state=seed), series, out, "glucose", "mg/dl", effort)
