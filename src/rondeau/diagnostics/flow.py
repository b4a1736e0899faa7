"""How large the gradient of a loss is at every step: where it comes from, and where it vanishes or explodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rondeau.diagnostics.runs import Forward, Run, captured, scalar


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """The norm of dL/ds_t for every state s of every layer, with all that flows through later steps.

    Attributes:
        loss: L.
        norms: by layer and state, such as ``0.h``: (batch, time), in units of the loss over units of the state; not a number
            past the length of a sequence.
        reverse: by the same names, whether the layer reads from the last step to the first.
    """

    loss: float
    norms: Mapping[str, np.ndarray]
    reverse: Mapping[str, bool]

    def over_batch(self, name: str) -> np.ndarray:
        """The norm over all sequences together, by step: (time,); zero where there are none."""
        found: np.ndarray = np.sqrt(np.nansum(self.norms[name] ** 2, axis=0))
        return found

    def growth(self, name: str) -> float:
        """By how much the norm grows at every step that the gradient goes back, as a factor; not a number if it is zero.

        The slope of a line through the logarithms: under 1 the gradient vanishes, over 1 it explodes.
        """
        norms = self.over_batch(name) if self.reverse[name] else self.over_batch(name)[::-1]
        steps = np.flatnonzero(norms > 0)
        if len(steps) < 2:
            return float("nan")
        return float(np.exp(np.polyfit(steps, np.log(norms[steps]), 1)[0]))


def gradient_flow(model: nn.Module, loss: Forward, *, backward: bool = False) -> GradientFlow:
    """How large the gradient is at every step of every recurrent layer of a model, for a loss of one step or of all.

    A zero is added to every state at every step, and the gradient of that zero is what is measured. A clip of the layer bounds
    it, as it does in training.

    Args:
        model: any module with recurrent layers in it.
        loss: runs the model and returns the loss, as ``lambda: criterion(model(x)[0], target)``.
        backward: whether the gradients of parameters are added to their ``grad`` in the same pass, as ``loss.backward()`` does.

    Raises:
        InputError: nothing recurrent ran, or the loss is not one number with a gradient.

    Example:
        >>> from rondeau.nn import Recurrent
        >>> layer = Recurrent("gru", 3, 5)
        >>> flow = gradient_flow(layer, lambda: layer(torch.randn(2, 9, 3))[0][:, -1].sum())
        >>> flow.norms["layer.h"].shape
        (2, 9)
    """
    with torch.enable_grad():
        result, runs = captured(model, loss, shifted=True)
        value = scalar(result)
    shifts = {f"{run.name}.{state}": zero for run in runs for state, zero in run.shifts.items()}
    if backward:
        value.backward()
        found: list[Tensor | None] = [zero.grad for zero in shifts.values()]
    else:
        found = list(torch.autograd.grad(value, list(shifts.values()), allow_unused=True))
    norms = {name: _norm(zero, g) for (name, zero), g in zip(shifts.items(), found)}
    ends = {f"{run.name}.{state}": run for run in runs for state in run.shifts}
    masked = {name: np.where(_alive(ends[name]), norm, np.nan) for name, norm in norms.items()}
    return GradientFlow(value.item(), masked, {name: run.reverse for name, run in ends.items()})


def _norm(zero: Tensor, gradient: Tensor | None) -> np.ndarray:
    norms: np.ndarray = torch.linalg.vector_norm(zero.detach() if gradient is None else gradient, dim=-1).cpu().numpy()
    return norms


def _alive(run: Run) -> np.ndarray:
    alive: np.ndarray = (torch.arange(run.x.shape[1]) < run.lengths[:, None]).numpy()
    return alive
