"""Forecasting as a task: windows at moments of many series, by a network that says something about every step ahead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rondeau.data.windows import WindowBatches, Windows
from rondeau.models.forecaster import ForecastNetwork
from rondeau.models.heads import Point, Quantiles
from rondeau.train.task import Metric

AT_ONCE = 256
"""Windows that are forecast at a time."""

ERROR = Metric("error", wording="held-out error {:.4f}")
LOSS = Metric("held_out", wording="held-out loss {:.4f}")


class Forecasting:
    """What lies ahead of moments of series.

    Its metrics are the mean absolute error of the median, in deviations of the series, and the loss; for points and quantiles
    the error decides what is best, for distributions the loss.

    Args:
        batches: windows to learn from.
        held: windows to evaluate on, or None.
        head: what the network says, which decides the order of the metrics.
        device: where the network is.
    """

    unit, in_nats, carries_state = "windows", False, False

    def __init__(self, batches: WindowBatches, held: Windows | None, head: nn.Module, device: str = "cpu") -> None:
        self.batches, self.held, self.device = batches, held, torch.device(device)
        self._order = (ERROR, LOSS) if isinstance(head, (Point, Quantiles)) else (LOSS, ERROR)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """See `Task.metrics`."""
        return () if self.held is None else self._order

    def loss(self, model: ForecastNetwork, batch: Windows, state: Any) -> tuple[Tensor, float, None]:
        """See `Task.loss`; a window counts by the part of its numbers that are there."""
        windows = batch.to(self.device)
        each = model.loss(windows)
        total = windows.observed[:, model.shape.reach :].sum() / each[0].numel()
        return each.sum() / each[0].numel(), max(float(total), 1e-6), None

    @torch.no_grad()
    def evaluate(self, model: ForecastNetwork) -> dict[str, float]:
        """See `Task.evaluate`."""
        assert self.held is not None
        training, sums, count = model.training, [0.0, 0.0], 0.0
        model.eval()
        for windows in parts(self.held):
            observed = windows.observed[:, model.shape.reach :]
            off = median(model, windows) - windows.values[:, model.shape.reach :]
            sums[0] += float((off.abs() * observed).sum())
            sums[1] += float(model.loss(windows.to(self.device)).sum())
            count += float(observed.sum())
        model.train(training)
        return {"error": sums[0] / max(count, 1.0), "held_out": sums[1] / max(count, 1.0)}

    @torch.no_grad()
    def example(self, model: ForecastNetwork) -> str:
        """What is forecast of one window, and what came."""
        training = model.training
        windows = (self.held or self.batches.spread(1)).part(0, 1)
        said = median(model.eval(), windows)[0, :, 0].tolist()
        model.train(training)
        came = windows.values[0, model.shape.reach :, 0].tolist()
        return ", ".join(f"{one:.2f} ({other:.2f})" for one, other in zip(said[:8], came[:8]))


def parts(windows: Windows, size: int = AT_ONCE) -> Iterator[Windows]:
    """Windows, some at a time."""
    for begin in range(0, len(windows), size):
        yield windows.part(begin, begin + size)


def median(model: ForecastNetwork, windows: Windows) -> Tensor:
    """The median (batch, horizon, targets), each series less its mean over its deviation."""
    return quantiles(model, windows, (0.5,))[..., 0]


def quantiles(model: ForecastNetwork, windows: Windows, levels: Sequence[float]) -> Tensor:
    """Quantiles (batch, horizon, targets, levels), each series less its mean over its deviation, on the processor."""
    said = model(windows.to(model.step.device)).cpu()
    return model.own_scale(windows, model.head.quantiles(said, levels))
