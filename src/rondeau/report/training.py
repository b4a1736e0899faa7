"""How a training went: its learning curves, drawn from the record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rondeau.diagnostics.drawing import COLOURS, legend, panels, svg
from rondeau.report.page import Section, figure, paragraph

BESIDE = ("gradient_norm", "learning_rate")
NO_METRICS = ("step", "epoch", "seconds", "held_out_bits")
"""What stands in a row of evaluation and is no curve of its own."""


def learning(rows: Sequence[dict[str, Any]]) -> Section:
    """The section of learning curves: the loss and the metrics of held-out data, gradient norm and learning rate, over steps.

    Args:
        rows: those of a record, see `rondeau.train.Record`.
    """
    title = "Learning curves"
    trained = [row for row in rows if "loss" in row]
    if not trained:
        return Section(title, (paragraph("The record of this run has no rows."),))
    named = list(dict.fromkeys(name for row in rows if "loss" not in row for name in row if name not in NO_METRICS))
    with_loss = [name for name in named if name == "held_out"]
    others = [name for name in named if name not in with_loss]
    made, axes = panels(1 + len(others) + len(BESIDE), 2.0)
    _curve(axes[0], trained, "loss", "loss, learned", COLOURS[0])
    for name in with_loss:
        _curve(axes[0], rows, name, "held out", COLOURS[1])
    axes[0].set_ylabel("loss")
    for place, name in enumerate(others, 1):
        _curve(axes[place], rows, name, "held out", COLOURS[1])
        axes[place].set_ylabel(name.replace("_", " "))
    for place, name in enumerate(BESIDE, 1 + len(others)):
        _curve(axes[place], trained, name, "", COLOURS[2])
        axes[place].set_ylabel(name.replace("_", " "))
    axes[-1].set_xlabel("step")
    for each in axes:
        legend(each)
    return Section(title, (figure(svg(made, "learning curves"), _caption(trained)),))


def _curve(axes: Any, rows: Sequence[dict[str, Any]], name: str, label: str, colour: str) -> None:
    points = [(row["step"], row[name]) for row in rows if name in row]
    axes.plot(*zip(*points), color=colour, label=label or None, linewidth=1.5, marker="." if len(points) < 30 else None)


def _caption(trained: Sequence[dict[str, Any]]) -> str:
    last = trained[-1]
    so_far = f"{last['step']:,} steps, {last['epoch']:.3g} epochs, {last['seconds']:,.0f} seconds"
    return f"{so_far}; each point is the mean since the one before."
