"""What an output remembers: how much it depends on the input of every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from rondeau.diagnostics.runs import captured
from rondeau.errors import InputError


@dataclass(frozen=True, eq=False)
class Memory:
    """How much the output at each step depends on the input at each.

    Attributes:
        influence: (batch, step of the output, step of the input); not a number past the length of a sequence. By the gradient
            it is the norm of dy_t/dx_s, in units of the output over units of what the first recurrent layer reads; by
            occlusion the norm of the change of y_t, in units of the output.
        lengths: (batch,), in steps.
    """

    influence: np.ndarray
    lengths: np.ndarray

    @property
    def lags(self) -> np.ndarray:
        """How many steps before the output the input lies, (lag,): negative ones are after it, which only a layer that reads
        backward sees."""
        time = self.influence.shape[1]
        return np.arange(1 - time, time)

    def by_lag(self) -> np.ndarray:
        """The influence by lag, on average over outputs and sequences: (lag,), as `lags`; not a number where there is none."""
        found = []
        for lag in self.lags:
            values = np.diagonal(self.influence, -lag, 1, 2)
            found.append(float(np.nanmean(values)) if np.isfinite(values).any() else float("nan"))
        return np.array(found)

    def reach(self, part: float = 0.01) -> int:
        """The largest lag whose influence is at least ``part`` of the largest; 0 where there is none."""
        influence = np.nan_to_num(self.by_lag())
        large = np.flatnonzero(influence >= part * influence.max()) if influence.any() else np.array([], int)
        return int(self.lags[large].max()) if len(large) else 0


def memory_of(
    model: nn.Module,
    x: Tensor,
    *,
    by: Literal["gradient", "occlusion"] = "gradient",
    call: Callable[[Tensor], Any] | None = None,
    blank: float = 0,
) -> Memory:
    """How the output of a model at every step depends on its input at every step.

    Costs a forward pass a step by occlusion, and a backward pass a step and feature of the output by the gradient; pick one
    number a step, such as the log-probability of what comes next, where there are many features.

    Args:
        model: any module with recurrent layers in it.
        x: what it reads, (batch, time) or (batch, time, input). The gradient is that of what the first recurrent layer reads,
            such as the embeddings of tokens.
        by: ``gradient``, or ``occlusion``, which puts ``blank`` in the place of the input, step by step.
        call: runs the model on such an ``x`` and returns the output, (batch, time) or (batch, time, features), or a tuple that
            begins with it; the model itself if not given.
        blank: a number, or a token, that says nothing.

    Raises:
        InputError: nothing recurrent ran, or the output does not have the steps of the input.

    Example:
        >>> from rondeau.nn import Recurrent
        >>> layer = Recurrent("gru", 3, 4)
        >>> memory_of(layer, torch.randn(2, 7, 3)).influence.shape
        (2, 7, 7)
    """
    if by not in ("gradient", "occlusion"):
        raise InputError(f"by is 'gradient' or 'occlusion', not {by!r}")
    called = call or model
    with torch.set_grad_enabled(by == "gradient"):
        result, runs = captured(model, lambda: _output(called(x), x), fresh=by == "gradient")
    if by == "gradient":
        influence = _gradients(result, runs[0].x)
    else:
        with torch.no_grad():
            influence = _changes(result, called, x, blank)
    lengths = runs[0].lengths
    alive = torch.arange(x.shape[1]) < lengths[:, None]
    found = influence.double().cpu().masked_fill(~(alive[:, :, None] & alive[:, None, :]), torch.nan)
    return Memory(found.numpy(), lengths.numpy())


def _output(result: Any, x: Tensor) -> Tensor:
    """The output of a model as (batch, time, features)."""
    y = result[0] if isinstance(result, tuple) else result
    if not isinstance(y, Tensor) or y.dim() not in (2, 3) or y.shape[:2] != x.shape[:2]:
        got = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
        raise InputError(
            f"the model gave {got}, expected an output for every step of x, {tuple(x.shape[:2])}; pick it with call"
        )
    return y if y.dim() == 3 else y.unsqueeze(-1)


def _gradients(y: Tensor, x: Tensor) -> Tensor:
    """The norm of dy_t/dx_s, (batch, t, s); sequences do not depend on one another, so that one pass does for all."""
    squares = y.new_zeros(len(y), y.shape[1], x.shape[1])
    for step in range(y.shape[1]):
        for feature in range(y.shape[2]):
            (gradient,) = torch.autograd.grad(y[:, step, feature].sum(), x, retain_graph=True)
            squares[:, step] += gradient.square().sum(-1)
    return squares.sqrt()


def _changes(y: Tensor, call: Callable[[Tensor], Any], x: Tensor, blank: float) -> Tensor:
    """The norm of the change of y_t without x_s, (batch, t, s)."""
    found = []
    for step in range(x.shape[1]):
        without = x.clone()
        without[:, step] = blank
        found.append(torch.linalg.vector_norm(_output(call(without), x) - y, dim=-1))
    return torch.stack(found, -1)
