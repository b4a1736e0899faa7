"""The microscope: what flows through a recurrent network, forward and back. A function gives a record, a record a figure."""

from rondeau.diagnostics.drawing import svg
from rondeau.diagnostics.figures import flow_figure, lag_figure
from rondeau.diagnostics.flow import GradientFlow, gradient_flow
from rondeau.diagnostics.lags import ByLag, by_lag

__all__ = ["ByLag", "GradientFlow", "by_lag", "flow_figure", "gradient_flow", "lag_figure", "svg"]
