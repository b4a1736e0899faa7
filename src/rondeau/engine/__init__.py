"""Running a cell: `scan`, `step`, and the backends behind them."""

from rondeau.engine.explain import Explanation, explain
from rondeau.engine.scan import BACKENDS, scan, step
from rondeau.engine.stepper import Stepper

__all__ = ["BACKENDS", "Explanation", "Stepper", "explain", "scan", "step"]
