"""Running a cell: `scan`, `step`, and the backends behind them."""

from rondeau.engine.explain import Explanation, explain
from rondeau.engine.scan import BACKENDS, scan, step

__all__ = ["BACKENDS", "Explanation", "explain", "scan", "step"]
