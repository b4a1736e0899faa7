"""How far one state reaches: the derivative of every state with respect to the one before, and what products of them do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from rondeau.diagnostics.runs import Forward, captured
from rondeau.diagnostics.steps import Rows, Steps


@dataclass(frozen=True, eq=False)
class Jacobians:
    """ds_t/ds_(t-1) at every step of every layer, s being all states of the layer side by side, without the counter of steps.

    Attributes:
        matrices: by layer: (batch, time, width, width), a row for each unit after the step and a column for each before it;
            steps in the order in which the layer reads them; not numbers past the length of a sequence.
        lengths: by layer: (batch,), in steps.
        parts: by layer and state, such as ``0.h``: where its units lie among those of all states.
    """

    matrices: Mapping[str, np.ndarray]
    lengths: Mapping[str, np.ndarray]
    parts: Mapping[str, slice]

    def between(self, name: str, start: int, stop: int) -> np.ndarray:
        """The derivative of the states after ``stop`` steps with respect to those after ``start``: (batch, width, width)."""
        found = _identities(self.matrices[name])
        for step in range(start, stop):
            found = self.matrices[name][:, step] @ found
        return found

    def singular_values(self, name: str) -> np.ndarray:
        """By how much a step stretches at most and at least: (batch, time, width), the largest first."""
        return _where_known(self.matrices[name], lambda known: np.linalg.svd(known, compute_uv=False))

    def spectral_radius(self, name: str) -> np.ndarray:
        """The largest absolute eigenvalue of every step: (batch, time)."""
        radius = _where_known(self.matrices[name], lambda known: np.abs(np.linalg.eigvals(known)).max(-1, keepdims=True))
        return radius[..., 0]

    def exponents(self, name: str, skip: int = 0) -> np.ndarray:
        """The Lyapunov exponents, (batch, width), the largest first: the mean logarithm per step of the growth along each of
        ``width`` directions, by repeated QR. Above zero differences grow, below they die out; minus infinity where a direction
        is lost at once.

        Args:
            name: the layer.
            skip: steps at the start that turn the directions but do not count.
        """
        matrices, lengths = self.matrices[name], self.lengths[name]
        turned = _identities(matrices)
        total = np.zeros(turned.shape[:2])
        for step in range(matrices.shape[1]):
            alive = lengths > step
            turned[alive], upper = np.linalg.qr(matrices[alive, step] @ turned[alive])
            if step >= skip:
                with np.errstate(divide="ignore"):
                    total[alive] += np.log(np.abs(np.diagonal(upper, axis1=-2, axis2=-1)))
        with np.errstate(divide="ignore", invalid="ignore"):
            return -np.sort(-(total / np.maximum(lengths - skip, 0)[:, None]), axis=-1)

    def influence(self, name: str, most: int | None = None, starts: int = 16) -> np.ndarray:
        """The norm of ds_t/ds_(t-k) by lag k from 0, (lag,): the largest singular value of the product of k steps, on average
        over sequences and steps to start from.

        Args:
            name: the layer.
            most: the largest lag; as many as there are steps if not given.
            starts: the steps to start from, spread evenly; all where there are no more.
        """
        matrices = self.matrices[name]
        time = matrices.shape[1]
        first = np.unique(np.linspace(0, max(time - 1, 0), min(time, starts)).astype(int))
        found, products = [1.0], np.tile(np.eye(matrices.shape[-1]), (len(matrices), len(first), 1, 1))
        for lag in range(time if most is None else min(most, time)):
            inside = first + lag < time
            products = matrices[:, first[inside] + lag] @ products[:, inside]
            first = first[inside]
            norms = _where_known(products, _largest)
            found.append(float(np.nanmean(norms)) if np.isfinite(norms).any() else float("nan"))
        return np.array(found)

    def half_life(self, name: str, most: int | None = None) -> float:
        """The number of steps after which the influence of a state stays under a half, interpolated between steps; infinity
        where it does not within the sequence."""
        influence = self.influence(name, most)
        influence = influence[np.isfinite(influence)]
        last = int(np.flatnonzero(influence >= 0.5)[-1])
        if last == len(influence) - 1:
            return float("inf")
        above, below = np.log2(np.maximum(influence[last : last + 2], 1e-300))
        return float(last + (above + 1) / (above - below))


def jacobians(model: nn.Module, forward: Forward) -> Jacobians:
    """The derivative of every state of every recurrent layer of a model with respect to the one before.

    Costs as many backward passes over all steps side by side as a layer has units in its states; memory is batch * time *
    width * width numbers.

    Args:
        model: any module with recurrent layers in it.
        forward: runs the model, as ``lambda: model(x)``.

    Raises:
        InputError: nothing recurrent ran.

    Example:
        >>> from rondeau.nn import Recurrent
        >>> layer = Recurrent("lstm", 3, 4)
        >>> found = jacobians(layer, lambda: layer(torch.randn(2, 9, 3)))
        >>> found.matrices["layer"].shape, found.exponents("layer").shape
        ((2, 9, 8, 8), (2, 8))
    """
    _, runs = captured(model, forward)
    matrices, lengths, parts = {}, {}, {}
    for run in runs:
        steps = Steps(run)
        kept = [index for index, state in enumerate(run.cell.states) if state.role != "time"]
        found = _matrices(steps, kept)
        found[~steps.alive] = torch.nan
        matrices[run.name], lengths[run.name] = found.cpu().numpy(), run.lengths.numpy()
        start = 0
        for index in kept:
            width = steps.before[index].shape[-1]
            parts[f"{run.name}.{run.cell.states[index].name}"] = slice(start, start + width)
            start += width
    return Jacobians(matrices, lengths, parts)


def _matrices(steps: Steps, kept: list[int]) -> torch.Tensor:
    with torch.enable_grad():
        rows = steps.rows()
    found = [_row(rows, kept, index, unit) for index in kept for unit in range(rows.before[index].shape[-1])]
    return torch.stack(found, 1).reshape(steps.batch, steps.time, len(found), -1)


def _row(rows: Rows, kept: list[int], index: int, unit: int) -> torch.Tensor:
    """The derivative of one unit after every step with respect to all before it, (rows, width)."""
    cotangent = torch.zeros_like(rows.before[index])
    cotangent[:, unit] = 1
    below, _ = rows.pull(None, [cotangent if place == index else None for place in range(len(rows.before))], params=False)
    return torch.cat([below[place] for place in kept], -1)


def _identities(matrices: np.ndarray) -> np.ndarray:
    """The identity for every sequence, (batch, width, width)."""
    return np.tile(np.eye(matrices.shape[-1]), (len(matrices), 1, 1))


def _largest(matrices: np.ndarray) -> np.ndarray:
    """The largest singular value of each matrix, (matrices, 1)."""
    squares = np.linalg.eigvalsh(matrices.swapaxes(-1, -2) @ matrices)
    found: np.ndarray = np.sqrt(np.maximum(squares[..., -1:], 0))
    return found


def _where_known(matrices: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A function of those matrices (..., width, width) that are numbers; not a number for the others."""
    known = np.isfinite(matrices).all((-2, -1))
    values = function(matrices[known])
    found = np.full((*known.shape, values.shape[-1]), np.nan)
    found[known] = values
    return found
