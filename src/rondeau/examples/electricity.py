"""How much electricity a country needs tomorrow, half-hour by half-hour (England and Wales, summer 2000).

Demand repeats by day and by week, so the week before, repeated, is hard to beat, and ridge regression harder.
"""

from __future__ import annotations

from pathlib import Path

from rondeau.estimators import Forecaster
from rondeau.examples.forecasted import electricity_demand, forecasted
from rondeau.examples.outcome import Outcome


def recipe(out: Path, seed: int = 1, effort: float = 1.0) -> Outcome:
    """Learns from ten weeks."""
    model = Forecaster(horizon=48, random_state=seed)
    return forecasted(model, electricity_demand(), out, "electricity", "megawatts", effort)
