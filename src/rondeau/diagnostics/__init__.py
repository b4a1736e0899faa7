"""The microscope: what flows through a recurrent network, forward and back. A function gives a record, a record a figure."""

from rondeau.diagnostics.activations import Saturation, saturation
from rondeau.diagnostics.drawing import svg
from rondeau.diagnostics.figures import flow_figure, jacobian_figure, lag_figure, saturation_figure, spectrum_figure
from rondeau.diagnostics.flow import GradientFlow, gradient_flow
from rondeau.diagnostics.jacobi import Jacobians, jacobians
from rondeau.diagnostics.lags import ByLag, by_lag
from rondeau.diagnostics.matrices import Spectrum, spectrum, spectrum_of

__all__ = [
    "ByLag",
    "GradientFlow",
    "Jacobians",
    "Saturation",
    "Spectrum",
    "by_lag",
    "flow_figure",
    "gradient_flow",
    "jacobian_figure",
    "jacobians",
    "lag_figure",
    "saturation",
    "saturation_figure",
    "spectrum",
    "spectrum_figure",
    "spectrum_of",
    "svg",
]
