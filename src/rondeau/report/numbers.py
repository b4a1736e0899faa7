"""How close predicted numbers come: predicted against true, the errors, and the largest of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rondeau.diagnostics.drawing import COLOURS, INK, panels, svg
from rondeau.report.page import Section, figure, table

WORST = 12
POINTS = 2000  # of a drawing; more are thinned out evenly


def closeness(truth: np.ndarray, predicted: np.ndarray, name: str) -> Section:
    """The section of one target: errors, and a drawing of predicted against true.

    Args:
        truth: numbers (sequences,).
        predicted: numbers (sequences,).
        name: of the target.
    """
    errors = predicted - truth
    spread = float(((truth - truth.mean()) ** 2).mean()) if len(truth) else 0.0
    squared = float((errors**2).mean())
    figures = [
        ["mean absolute error", float(np.abs(errors).mean())],
        ["root of the mean squared error", squared**0.5],
        ["share of the variance explained (R2)", 1 - squared / spread if spread else None],
        ["mean error", float(errors.mean())],
    ]
    drawn = figure(_scatter(truth, predicted, name), "Each point is a sequence; on the line, the prediction is right.")
    return Section(name, (table(["", name], figures), drawn))


def _scatter(truth: np.ndarray, predicted: np.ndarray, name: str) -> str:
    made, (axes,) = panels(1, 4.0)
    every = max(1, -(-len(truth) // POINTS))
    axes.scatter(truth[::every], predicted[::every], s=12, color=COLOURS[0], alpha=0.6, linewidths=0)
    low, high = min(truth.min(), predicted.min()), max(truth.max(), predicted.max())
    axes.plot([low, high], [low, high], color=INK, linewidth=0.8)
    axes.set_xlabel("true")
    axes.set_ylabel("predicted")
    return svg(made, f"predicted against true {name}")


def worst(truth: np.ndarray, predicted: np.ndarray, show: Callable[[np.ndarray], Sequence[str]]) -> Section:
    """The section of the largest errors.

    Args:
        truth: numbers (sequences,).
        predicted: numbers (sequences,).
        show: the sequences at some places, each for a cell of a table.
    """
    order = np.argsort(-np.abs(predicted - truth), kind="stable")[:WORST]
    rows = [[what, float(truth[i]), float(predicted[i]), float(predicted[i] - truth[i])] for i, what in zip(order, show(order))]
    return Section("Worst cases", (table(["sequence", "true", "predicted", "error"], rows),))
