"""The microscope: what flows through a recurrent network, forward and back. A function gives a record, a record a figure."""

from rondeau.diagnostics.activations import Saturation, saturation
from rondeau.diagnostics.drawing import svg
from rondeau.diagnostics.figures import (
    flow_figure,
    gate_figure,
    jacobian_figure,
    lag_figure,
    memory_figure,
    saturation_figure,
    spectrum_figure,
    text_figure,
)
from rondeau.diagnostics.flow import GradientFlow, gradient_flow
from rondeau.diagnostics.jacobi import Jacobians, jacobians
from rondeau.diagnostics.lags import ByLag, by_lag
from rondeau.diagnostics.matrices import Spectrum, spectrum, spectrum_of
from rondeau.diagnostics.memory import Memory, memory_of
from rondeau.diagnostics.pictures import StepGraph, diagram, step_graph, unrolled
from rondeau.diagnostics.units import Gates, Tracking, gates, text_signals, tracking
from rondeau.diagnostics.unrolling import expansion, unrolled_equations

__all__ = [
    "ByLag",
    "Gates",
    "GradientFlow",
    "Jacobians",
    "Memory",
    "Saturation",
    "Spectrum",
    "StepGraph",
    "Tracking",
    "by_lag",
    "diagram",
    "expansion",
    "flow_figure",
    "gate_figure",
    "gates",
    "gradient_flow",
    "jacobian_figure",
    "jacobians",
    "lag_figure",
    "memory_figure",
    "memory_of",
    "saturation",
    "saturation_figure",
    "spectrum",
    "spectrum_figure",
    "spectrum_of",
    "step_graph",
    "svg",
    "text_figure",
    "text_signals",
    "tracking",
    "unrolled",
    "unrolled_equations",
]
