"""Forecasts beside what came: lines with their intervals, and how often the truth lay inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rondeau.diagnostics.drawing import COLOURS, INK, legend, panels, svg
from rondeau.report.page import Section, figure, paragraph


@dataclass(frozen=True, eq=False)
class Forecast:
    """One forecast with what is known around it.

    Args:
        name: of the series.
        past: the values before it (steps,), NaN where one is missing.
        truth: what came (horizon,), NaN where it is not known.
        middle: the forecast (horizon,).
        low, high: its interval (horizon,), if it has one.
    """

    name: str
    past: np.ndarray
    truth: np.ndarray
    middle: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    @property
    def error(self) -> float:
        """The mean absolute error where the truth is known; NaN where it is nowhere."""
        known = ~np.isnan(self.truth)
        return float(np.abs(self.middle - self.truth)[known].mean()) if known.any() else float("nan")


def forecasts(title: str, items: Sequence[Forecast], level: float) -> Section:
    """A section of drawn forecasts.

    Args:
        title: its heading.
        items: a panel each.
        level: the share of the truth that the intervals are to hold, 0 to 1.
    """
    made, all_axes = panels(len(items), 2.2)
    for axes, item in zip(all_axes, items):
        _draw(axes, item)
    legend(all_axes[0])
    caption = f"Line: what was and what came; coloured: the forecast with its interval of {100 * level:g} %."
    return Section(title, (figure(svg(made, title), caption),))


def _draw(axes: object, item: Forecast) -> None:
    steps = np.arange(len(item.past) + len(item.truth)) - len(item.past)
    ahead = steps[len(item.past) :]
    axes.plot(steps, np.concatenate([item.past, item.truth]), color=INK, linewidth=1.0, label="truth")  # type: ignore[attr-defined]
    axes.plot(ahead, item.middle, color=COLOURS[0], linewidth=1.6, label="forecast")  # type: ignore[attr-defined]
    if item.low is not None and item.high is not None:
        axes.fill_between(ahead, item.low, item.high, color=COLOURS[0], alpha=0.25, linewidth=0)  # type: ignore[attr-defined]
    axes.set_title(item.name, loc="left", color=INK, fontsize=9)  # type: ignore[attr-defined]


def quality(truth: np.ndarray, middle: np.ndarray, low: np.ndarray | None, high: np.ndarray | None, level: float) -> Section:
    """The section of errors by horizon, and how many values lay in their intervals.

    Args:
        truth, middle, low, high: forecasts (forecasts, horizon), NaN in ``truth`` where it is not known.
        level: the share that the intervals are to hold, 0 to 1.
    """
    known = ~np.isnan(truth)
    if not known.any():
        return Section("Accuracy", (paragraph("What came is not known, so there is nothing to compare with."),))
    errors = np.where(known, np.abs(middle - truth), 0.0)
    by_step = errors.sum(0) / np.where(known.any(0), known.sum(0), np.nan)
    parts = [paragraph(f"Mean absolute error {errors.sum() / known.sum():.4g} over {int(known.sum()):,} values.")]
    if low is not None and high is not None:
        inside = (truth >= low) & (truth <= high)
        share = inside[known].mean()
        parts.append(paragraph(f"{100 * share:.1f} % of what came lay in the intervals of {100 * level:g} %."))
    made, (axes,) = panels(1, 2.2)
    axes.plot(np.arange(1, truth.shape[1] + 1), by_step, color=COLOURS[0], linewidth=1.5)
    axes.set_ylim(0, 1.1 * np.nanmax(by_step) or 1)
    axes.set_xlabel("steps ahead")
    axes.set_ylabel("mean absolute error")
    parts.append(figure(svg(made, "error by horizon"), "How the error grows with the distance."))
    return Section("Accuracy", tuple(parts))
