"""One figure for each record, drawn by matplotlib; `rondeau.diagnostics.svg` makes a picture for a page of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from rondeau.diagnostics.drawing import COLOURS, legend, panels, plain
from rondeau.diagnostics.flow import GradientFlow
from rondeau.diagnostics.lags import ByLag

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def flow_figure(flow: GradientFlow) -> Figure:
    """The norm of the gradient at every step, over the whole batch, a line a state, on a logarithmic scale."""
    figure, (axes,) = panels()
    for name, colour in _coloured(flow.norms):
        axes.plot(_positive(flow.over_batch(name)), color=colour, label=f"{name} (x {flow.growth(name):.3g} a step back)")
    _labelled(axes, "gradient of the loss at every step", "step", "norm of dL/ds")
    axes.set_yscale("log")
    legend(axes)
    return figure


def lag_figure(found: ByLag, names: tuple[str, ...] = ()) -> Figure:
    """The norm of every term of the gradient by lag, a line a parameter or gate, on a logarithmic scale.

    Args:
        found: the record.
        names: which of its terms; all if not given.
    """
    figure, (axes,) = panels()
    for name, colour in _coloured(names or found.terms):
        axes.plot(found.lags, _positive(found.norms(name)), color=colour, label=name)
    _labelled(axes, "terms of the gradient by how far they went back", "lag (steps)", "norm of the term")
    axes.set_yscale("log")
    legend(axes)
    return figure


def _coloured(names: Iterable[str]) -> list[tuple[str, str]]:
    """Each name with a colour."""
    return [(name, COLOURS[place % len(COLOURS)]) for place, name in enumerate(names)]


def _positive(values: np.ndarray) -> np.ndarray:
    """What a logarithmic scale can show: gaps where there is nothing."""
    return np.where(values > 0, values, np.nan)


def _labelled(axes: Axes, title: str, below: str, left: str) -> None:
    axes.set(title=title, xlabel=below, ylabel=left)
    plain(axes)
