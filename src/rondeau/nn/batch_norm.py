"""Batch norm for sequences."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rondeau.cells.stateless import scaled
from rondeau.errors import InputError
from rondeau.nn.layer import Given, Layer, Lengths, Traces
from rondeau.nn.stepper import Calls


class SequenceBatchNorm(Layer[tuple[()]]):
    """Each feature with mean 0 and variance 1 over all true steps of a batch, scaled by ``weight`` and shifted by ``bias``.

    Steps past a length count for nothing, and come out as zeros. After ``eval()`` running averages take the place of the
    batch's own mean and variance. A batch of one step is its own mean, and comes out as ``bias``. As a layer without a state it
    stands anywhere in a `Stack`, and hears of lengths there, as `torch.nn.BatchNorm1d` cannot; its parameters and buffers have
    that one's names, so that state dicts can be exchanged.

    Args:
        features: features of the input, and of the output too.
        epsilon: added to the variance.
        momentum: the part of the running averages that a batch replaces; None for the plain average over all batches.
        affine: whether to scale and shift.

    Raises:
        InputError: a number is out of range.

    Source:
        Ioffe & Szegedy 2015, arXiv:1502.03167; over steps and sequences together, as in Laurent et al. 2016, arXiv:1510.01378.

    Example:
        >>> from rondeau.nn import Recurrent, Stack
        >>> deep = Stack(Recurrent("gru", 3, 8), SequenceBatchNorm(8), Recurrent("gru", 8, 4))
        >>> y, (below, nothing, above) = deep(torch.randn(2, 5, 3), lengths=[5, 2])
        >>> y.shape, nothing
        (torch.Size([2, 5, 4]), ())
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, features: int, *, epsilon: float = 1e-5, momentum: float | None = 0.1, affine: bool = True) -> None:
        super().__init__()
        if not isinstance(features, int) or isinstance(features, bool) or features < 1:
            raise InputError(f"features is a positive whole number, not {features!r}")
        if not epsilon > 0 or not (momentum is None or 0 <= momentum <= 1):
            raise InputError(f"epsilon is positive and momentum from 0 to 1 or None; got {epsilon!r} and {momentum!r}")
        self.features, self.epsilon, self.momentum = features, epsilon, momentum
        self.weight = nn.Parameter(torch.ones(features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(features)) if affine else None
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    @property
    def input_size(self) -> int:
        """Features of the input."""
        return self.features

    @property
    def output_size(self) -> int:
        """Features of the output, as many."""
        return self.features

    @property
    def ordered(self) -> bool:
        """Steps in another order come out the same."""
        return False

    def initial_state(self, batch: int) -> tuple[()]:
        """There is none."""
        return ()

    def _forward(self, x: Tensor, state: Any, given: Given) -> tuple[Tensor, tuple[()], Traces]:
        if x.dim() != 3 or x.shape[2] != self.features:
            raise InputError(f"x is (batch, time, {self.features}) for this batch norm, not {tuple(x.shape)}")
        alive = _alive(x, given.lengths)
        scale, shift = self._affine(*(self._of_batch(x, alive) if self.training else (self.running_mean, self.running_var)))
        y = (x * scale + shift).to(x.dtype)
        return y if alive is None else torch.where(alive, y, 0.0), (), {}

    def _affine(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """What x is multiplied with and what is added, (features,) each."""
        scale = (variance + self.epsilon).rsqrt()
        if self.weight is None or self.bias is None:
            return scale, -mean * scale
        return scale * self.weight, self.bias - mean * scale * self.weight

    def _of_batch(self, x: Tensor, alive: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and variance over the true steps, (features,) each, which the running averages take note of."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        if alive is None:
            count = torch.tensor(float(x.shape[0] * x.shape[1]), device=x.device)
            mean = wide.mean((0, 1))
            variance = (wide - mean).square().mean((0, 1))
        else:
            count = alive.sum().clamp(min=1).to(wide.dtype)
            mean = torch.where(alive, wide, 0.0).sum((0, 1)) / count
            variance = torch.where(alive, wide - mean, 0.0).square().sum((0, 1)) / count
        self._note(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        return mean, variance

    @torch.no_grad()
    def _note(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked += 1
        part = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        self.running_mean += part * (mean - self.running_mean)
        self.running_var += part * (variance - self.running_var)

    def _steps(self, x: Tensor, calls: Calls) -> tuple[Tensor, tuple[()]]:
        def params() -> dict[str, Tensor]:
            return dict(zip("gb", self._affine(self.running_mean, self.running_var)))

        return calls.cell(scaled(), params, x, (torch.zeros_like(x),)), ()

    def extra_repr(self) -> str:
        """The number of features, and what differs from the defaults."""
        settings = {
            "epsilon": (self.epsilon, 1e-5),
            "momentum": (self.momentum, 0.1),
            "affine": (self.weight is not None, True),
        }
        changed = [f"{name}={value!r}" for name, (value, usual) in settings.items() if value != usual]
        return ", ".join([str(self.features), *changed])


def _alive(x: Tensor, lengths: Lengths) -> Tensor | None:
    """Whether a step lies within its sequence, (batch, time, 1); None where all do."""
    if lengths is None:
        return None
    counts = torch.as_tensor(lengths, device=x.device)
    if counts.shape != x.shape[:1]:
        raise InputError(f"lengths has the shape {tuple(counts.shape)} for a batch of {x.shape[0]}; give one for each")
    return (torch.arange(x.shape[1], device=x.device) < counts[:, None])[:, :, None]
