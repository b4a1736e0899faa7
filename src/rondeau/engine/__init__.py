"""Running a cell: `scan`, `step`, and the backends behind them."""

from rondeau.engine.backends.backend import Backend, BackendChoice, BackendName
from rondeau.engine.backends.registry import BACKENDS
from rondeau.engine.explain import Explanation, explain
from rondeau.engine.memory_step import MemoryStep
from rondeau.engine.scan import scan, step
from rondeau.engine.stepper import Stepper

__all__ = [
    "BACKENDS",
    "Backend",
    "BackendChoice",
    "BackendName",
    "Explanation",
    "MemoryStep",
    "Stepper",
    "explain",
    "scan",
    "step",
]
