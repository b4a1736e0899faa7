"""`ForecastNetwork`: many series, several steps ahead in one pass; a linear forecast from lags that layers correct.

A recurrent network alone often loses to ridge regression on lags, so it is added to that: with its last layer at zero it says
what the linear forecast says, and it learns what is left, in units of the linear forecast's error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rondeau.data.windows import Windows, WindowShape
from rondeau.engine import BackendChoice
from rondeau.ir import Cell
from rondeau.models.heads import Head, NegativeBinomial
from rondeau.models.lag_skip import LagSkip
from rondeau.models.layers import recurrent_layers

PARTS = np.linspace(0.01, 0.99, 99)
"""The parts of values inside of intervals for which a network keeps how wide the interval is, as a score of the normal
distribution; as its head says until it is found out."""


@dataclass(frozen=True)
class SeriesFeatures:
    """What a network reads at a step: numbers of targets, and of features past, known ahead and static; and the seasons by
    which it sees changes."""

    targets: int
    past: int
    known: int
    static: int
    seasons: tuple[int, ...]


class ForecastNetwork(nn.Module):
    """From windows of series to what a head says about each step ahead.

    The recurrent layers read the last ``context`` steps: values, their changes since the step and since each season before,
    which are missing, the time between steps, what is known beside. For every step ahead at once, what they end with is put
    beside what is known of that step: the calendar, the values some seasons before, the linear forecast.

    Args:
        features: what is read at a step.
        skip: the linear forecast.
        context: steps that the recurrent layers read.
        head: what is said about each number.
        cell: the recurrent cell, or a name of the zoo.
        hidden: units of each layer, and of the layer before the head.
        layers: recurrent layers.
        dropout: the rate on what the recurrent layers end with, and between them.
        backend: as for `rondeau.scan`.
    """

    changes: Tensor
    calibration: Tensor

    def __init__(
        self,
        features: SeriesFeatures,
        skip: LagSkip,
        context: int,
        head: Head,
        *,
        cell: Cell | str = "gru",
        hidden: int = 64,
        layers: int = 1,
        dropout: float = 0.0,
        backend: BackendChoice = "auto",
    ) -> None:
        super().__init__()
        self.features, self.head = features, head
        horizon = skip.horizon
        self.shape = WindowShape(max(skip.reach, context + max((1, *features.seasons))), context, horizon)
        self.skip = skip
        seen = len(features.seasons) + 1
        self.register_buffer("changes", torch.ones(seen, features.targets))
        self.register_buffer("calibration", torch.special.ndtri((1 + torch.from_numpy(PARTS)) / 2))
        read = (2 + seen) * features.targets + features.past + features.known + features.static
        self.body = recurrent_layers(cell, read, hidden, layers=layers, dropout=dropout, backend=backend)
        ahead = (1 + seen) * features.targets + features.known
        self.from_past = nn.Linear(self.body.output_size + features.targets + features.static, hidden)
        self.from_ahead = nn.Linear(ahead, hidden)
        self.step = nn.Parameter(torch.zeros(horizon, hidden))
        self.hidden = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, features.targets * head.size)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, windows: Windows) -> Tensor:
        """The head's parameters (batch, horizon, targets, parameters): of counts in the series' own numbers, else of values
        less the series' mean over its deviation."""
        shape, values = self.shape, windows.values[:, : self.shape.reach]
        linear = self.skip(values, windows.known[:, shape.context])
        level = self.skip.level(values)
        last = self.body(self._read(windows, values, level))[0][:, -1]
        past = torch.cat([self.dropout(last), level, windows.static], -1)
        ahead = self._ahead(windows, values, level, linear)
        mixed = nn.functional.silu(self.from_past(past)[:, None] + self.from_ahead(ahead) + self.step)
        raw = self.out(mixed + nn.functional.silu(self.hidden(mixed)))
        raw = raw.unflatten(-1, (self.features.targets, self.head.size))
        return self.head(raw, *self._own(windows, linear, self.skip.unit.expand_as(linear)))

    def loss(self, windows: Windows) -> Tensor:
        """The losses of all numbers ahead (batch, horizon, targets), 0 where one is missing."""
        y, observed = windows.values[:, self.shape.reach :], windows.observed[:, self.shape.reach :]
        unit = self.skip.unit.mean(0).expand_as(y)
        return self.head.loss(self(windows), *self._own(windows, y, unit)) * observed

    def _own(self, windows: Windows, location: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
        """A location and its unit, of counts in the series' own numbers."""
        if not isinstance(self.head, NegativeBinomial):
            return location, unit
        mean, scale = windows.mean[:, None].float(), windows.scale[:, None].float()
        return mean + scale * location, scale * unit

    def linear(self, windows: Windows) -> Tensor:
        """The linear forecast alone (batch, horizon, targets), each series less its mean over its deviation."""
        return self.skip(windows.values[:, : self.shape.reach], windows.known[:, self.shape.context])

    @torch.no_grad()
    def correct_nothing(self) -> None:
        """Has the linear forecast stand as it is; how sure of it the head is stays as learned."""
        for part in (self.out.weight, self.out.bias):
            part.unflatten(0, (self.features.targets, self.head.size))[:, 0] = 0.0

    def own_scale(self, windows: Windows, said: Tensor) -> Tensor:
        """Numbers that the head says (batch, horizon, targets, ...), each series less its mean over its deviation."""
        if not isinstance(self.head, NegativeBinomial):
            return said
        mean, scale = windows.mean[:, None, :, None], windows.scale[:, None, :, None]
        return ((said - mean) / scale).to(said.dtype)

    def _read(self, windows: Windows, values: Tensor, level: Tensor) -> Tensor:
        """What the recurrent layers read (batch, context, features)."""
        context, reach = self.shape.context, self.shape.reach
        near = values[:, reach - context :]
        parts = [near - level[:, None], windows.observed[:, reach - context : reach]]
        for size, season in zip(self.changes, (1, *self.features.seasons)):
            parts.append((near - values[:, reach - context - season : reach - season]) / size)
        static = windows.static[:, None].expand(-1, context, -1)
        return torch.cat([*parts, windows.past, windows.known[:, :context], static], -1).clamp(-20, 20)

    def _ahead(self, windows: Windows, values: Tensor, level: Tensor, linear: Tensor) -> Tensor:
        """What is known of each step ahead (batch, horizon, features)."""
        reach, ahead = self.shape.reach, torch.arange(self.shape.horizon)
        parts = [linear - level[:, None], (linear - values[:, reach - 1 : reach]) / self.changes[0]]
        for size, season in zip(self.changes[1:], self.features.seasons):
            before = values[:, reach + ahead - season * (ahead // season + 1)]
            parts.append((linear - before) / size)
        return torch.cat([*parts, windows.known[:, self.shape.context :]], -1).clamp(-20, 20)

    @torch.no_grad()
    def measure(self, windows: Windows) -> None:
        """Finds how large changes since the step and the seasons before mostly are."""
        reach, values = self.shape.reach, windows.values
        for row, season in zip(self.changes, (1, *self.features.seasons)):
            change = values[:, reach - self.shape.context : reach]
            change = change - values[:, reach - self.shape.context - season : reach - season]
            row.copy_((change**2).mean((0, 1)).sqrt().clamp(min=1e-4))
