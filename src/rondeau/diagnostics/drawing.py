"""Drawings by matplotlib, as SVG that stands inside a page and takes the page's colour for lines and text."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from rondeau.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"  # stands for the colour of the page's text
COLOURS = ("#2f7fd1", "#e07b28", "#3f9f62", "#a45bc4", "#c94f6d", "#8b7a3a")
"""Readable on white and on near black."""


def panels(count: int = 1, height: float = 2.6) -> tuple[Figure, list[Axes]]:
    """A figure with ``count`` panels, one below the other, each ``height`` inches high.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("pictures need matplotlib, which is not installed; run: pip install 'rondeau[figures]'") from error
    made = Figure(figsize=(8.0, height * count), layout="constrained")
    made.patch.set_alpha(0.0)
    all_axes = [made.add_subplot(count, 1, place + 1) for place in range(count)]
    for axes in all_axes:
        plain(axes)
    return made, all_axes


def plain(axes: Axes) -> None:
    """Takes away what is not needed, and gives the rest the colour of the page."""
    axes.patch.set_alpha(0.0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(which="both", colors=INK, labelsize=9)
    for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
        text.set_color(INK)
        text.set_fontsize(9)


def legend(axes: Axes) -> None:
    """The names of what is drawn, if anything has one."""
    names = axes.get_legend_handles_labels()[1]
    if names:
        axes.legend(frameon=False, fontsize=9 if len(names) < 7 else 7, labelcolor=INK, ncols=1 + (len(names) - 1) // 6)


def svg(figure: Figure, alt: str) -> str:
    """A figure as an SVG element, the same bytes for the same drawing.

    Args:
        figure: what to draw.
        alt: what it shows, for those who cannot see it.
    """
    from html import escape

    from matplotlib import rc_context

    target = io.StringIO()
    with rc_context({"svg.hashsalt": alt, "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(target, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = target.getvalue()
    element = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
    element = element.replace(INK, "currentColor").replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1)
    return re.sub(r"font: ([^;\"]*?)'[^;\"]*", r"font: \1sans-serif", element)
