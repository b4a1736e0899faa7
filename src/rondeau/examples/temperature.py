"""Temperature a day ahead, hour by hour, in San Francisco and Seattle.

The series are normal temperatures, means over thirty years, so they are smooth: ridge regression on past hours is off by less
than a tenth of a degree, and repeating the day before by less than two.

What is there to find is how days follow one another; `rondeau.estimators.Forecaster` reads up to six weeks.
"""

from __future__ import annotations

from pathlib import Path

from rondeau.estimators import Forecaster
from rondeau.examples.forecasted import forecasted, temperatures
from rondeau.examples.outcome import Outcome


def recipe(out: Path, seed: int = 1, effort: float = 1.0) -> Outcome:
    """Learns from the first four fifths of a year."""
    model = Forecaster(horizon=24, random_state=seed)
    return forecasted(model, temperatures(), out, "temperature", "degrees Fahrenheit", effort)
