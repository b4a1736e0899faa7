"""Which gates are stuck at an end of their range, where almost no gradient passes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from rondeau.diagnostics.runs import Forward, captured
from rondeau.diagnostics.steps import Steps
from rondeau.errors import InputError
from rondeau.ir import Cell, Expr
from rondeau.ir.nodes import postorder
from rondeau.ir.printing import equation_names
from rondeau.ir.spelling import spell

RANGES = {
    "sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "hard_tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0),
    "erf": (-1.0, 1.0), "relu": (0.0, math.inf),
}  # fmt: skip
"""The functions whose derivative vanishes at the ends of their range."""


@dataclass(frozen=True, eq=False)
class Saturation:
    """How much of each gate and activation lies at an end of its range, by name, such as ``0.f``, or ``0.tanh(c[t])`` where the
    equations give it no name.

    Attributes:
        low: (time,), the share of units and sequences near the lower end; exactly at it where there is no upper one. Not a
            number where no sequence has that step.
        high: (time,), the share near the upper end.
        stuck: the share of units that are near the same end at every step of every sequence; dead units, for a relu.
        margin: how near is near, as a part of the range.
    """

    low: Mapping[str, np.ndarray]
    high: Mapping[str, np.ndarray]
    stuck: Mapping[str, float]
    margin: float


def saturation(model: nn.Module, forward: Forward, *, margin: float = 0.05) -> Saturation:
    """The share of every gate and activation of a model's recurrent layers that is saturated, over time.

    Args:
        model: any module with recurrent layers in it.
        forward: runs the model, as ``lambda: model(x)``.
        margin: how near an end of the range is saturated, as a part of the range: a sigmoid under 0.05 or over 0.95.

    Raises:
        InputError: nothing recurrent ran, or the margin does not lie between 0 and a half.

    Example:
        >>> import torch
        >>> from rondeau.nn import Recurrent
        >>> layer = Recurrent("lstm", 3, 4)
        >>> found = saturation(layer, lambda: layer(100 * torch.randn(2, 9, 3)))
        >>> sorted(found.low), bool(found.low["layer.f"].mean() > 0.3)
        (['layer.f', 'layer.g', 'layer.i', 'layer.o', 'layer.tanh(c[t])'], True)
    """
    if not 0 < margin < 0.5:
        raise InputError(f"margin is a part of the range between 0 and 0.5, not {margin!r}")
    low, high, stuck = {}, {}, {}
    for run in captured(model, forward)[1]:
        steps, found = Steps(run), activations(run.cell)
        for (label, expr), value in zip(found.items(), steps.values(list(found.values()))):
            name, alive = f"{run.name}.{label}", steps.in_time(steps.alive[..., None])[..., 0]
            below, above = (steps.in_time(end) for end in _ends(value, RANGES[expr.op], margin))
            low[name], high[name] = _share(below, alive), _share(above, alive)
            stuck[name] = float((below[alive].all(0) | above[alive].all(0)).double().mean())
    return Saturation(low, high, stuck, margin)


def activations(cell: Cell) -> dict[str, Expr]:
    """Every gate and activation of a cell that can saturate, by its name in the equations, or as they spell it."""
    names = equation_names(cell)
    own = {equation.expr: equation.name for equation in cell.equations}
    every = dict.fromkeys([*(equation.expr for equation in cell.equations), *postorder(cell.roots)])
    found = [expr for expr in every if expr.op in RANGES]
    return {own[expr] if expr in own else spell(expr, names): expr for expr in found}


def _ends(value: Tensor, limits: tuple[float, float], margin: float) -> tuple[Tensor, Tensor]:
    """Whether each value is near the lower and the upper end."""
    lower, upper = limits
    near = margin * (upper - lower) if math.isfinite(upper) else 0.0
    return value <= lower + near, value >= upper - near


def _share(near: Tensor, alive: Tensor) -> np.ndarray:
    counts = alive.sum(0).double()
    inside: np.ndarray = ((near.double().mean(-1) * alive).sum(0) / counts).cpu().numpy()
    return inside
