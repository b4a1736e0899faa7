"""Forecasts from the ends of series: quantiles in one pass, or paths that are drawn pass after pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rondeau.data.windows import Panel, Windows
from rondeau.estimators.calibration import LEVELS, Calibration
from rondeau.estimators.series_plan import Prepared, SeriesPlan
from rondeau.models.forecaster import ForecastNetwork
from rondeau.models.heads import NegativeBinomial, Point
from rondeau.train import Callback, Training
from rondeau.train.forecasting import median, parts, quantiles
from rondeau.train.weights import copied, weights

CALIBRATED = 100_000
"""The held-out numbers at most from which it is found how far quantiles are off."""

PATHS = 200
"""The paths from which quantiles are found where steps are forecast one after the other."""

AT_ONCE = 4_096
"""The windows that are cut at a time."""


@dataclass(frozen=True, eq=False)
class Source:
    """What forecasts come from.

    Args:
        network: what was learned.
        plan: how windows are cut; its horizon is that of one pass.
        horizon: steps ahead.
    """

    network: ForecastNetwork
    plan: SeriesPlan
    horizon: int

    @property
    def calibration(self) -> Calibration:
        """Where quantiles are taken."""
        return Calibration(self.network.calibration.cpu().numpy())

    @torch.no_grad()
    def quantiles(self, panel: Panel, levels: Sequence[float] | None) -> Tensor:
        """Quantiles (series, horizon, targets, levels) in the series' own numbers; the median alone if no levels are given."""
        said = torch.cat([self._quantiles(panel, places, levels) for places in _chunks(len(panel.lengths), AT_ONCE)])
        return said.double() * panel.scale[:, None, :, None] + panel.mean[:, None, :, None]

    @torch.no_grad()
    def paths(self, panel: Panel, count: int, draw: torch.Generator) -> Tensor:
        """Paths that may come (count, series, horizon, targets), in the series' own numbers."""
        size = max(1, AT_ONCE // count)
        said = torch.cat([self._paths(panel, places, count, draw) for places in _chunks(len(panel.lengths), size)], 1)
        return said.double() * panel.scale[:, None] + panel.mean[:, None]

    def _quantiles(self, panel: Panel, places: np.ndarray, levels: Sequence[float] | None) -> Tensor:
        if self.plan.horizon < self.horizon:
            return self._of_paths(panel, places, levels or (0.5,))
        windows = panel.windows(places, panel.lengths[places], self.plan.shape)
        if levels is None:
            return torch.cat([median(self.network, part) for part in parts(windows)])[..., None]
        taken = self.calibration.levels(levels)
        return torch.cat([quantiles(self.network, part, taken) for part in parts(windows)])

    def _of_paths(self, panel: Panel, places: np.ndarray, levels: Sequence[float]) -> Tensor:
        count = 1 if isinstance(self.network.head, Point) else PATHS
        draw = torch.Generator().manual_seed(0)
        chunks = []
        for some in _chunks(len(places), max(1, AT_ONCE // count)):
            paths = self._paths(panel, places[some], count, draw)
            chunks.append(torch.quantile(paths, torch.tensor(levels, dtype=paths.dtype), dim=0).movedim(0, -1))
        return torch.cat(chunks)

    def _paths(self, panel: Panel, places: np.ndarray, count: int, draw: torch.Generator) -> Tensor:
        """Paths (count, batch, horizon, targets) of some series, pass after pass."""
        shape, path = self.plan.shape, torch.zeros(len(places) * count, 0, panel.values.shape[1])
        while path.shape[1] < self.horizon:
            moments = panel.lengths[places] + path.shape[1]
            windows = _continued(panel.windows(places, moments, shape), path, shape.reach, count)
            drawn = torch.cat([_drawn(self.network, part, draw) for part in parts(windows)])
            path = torch.cat([path, drawn], 1)
        return path[:, : self.horizon].unflatten(0, (len(places), count)).movedim(1, 0)


def _chunks(count: int, size: int) -> Iterator[np.ndarray]:
    for begin in range(0, count, size):
        yield np.arange(begin, min(begin + size, count))


def _drawn(network: ForecastNetwork, windows: Windows, draw: torch.Generator) -> Tensor:
    """Values drawn of each step of one pass (batch, horizon, targets)."""
    said = network.head.sample(network(windows.to(network.step.device)).cpu(), draw)
    return network.own_scale(windows, said[..., None])[..., 0]


def _continued(windows: Windows, path: Tensor, reach: int, count: int) -> Windows:
    """Each window so many times, with a path in place of what has not come yet."""
    many = windows.take(torch.arange(len(windows)).repeat_interleave(count))
    near = path[:, -reach:]
    many.values[:, reach - near.shape[1] : reach] = near
    many.observed[:, reach - near.shape[1] : reach] = 1.0
    return many


@torch.no_grad()
def calibrated(network: ForecastNetwork, held: Windows) -> Calibration:
    """The calibration of a network on held-out windows."""
    reach = network.shape.reach
    tables = torch.cat([quantiles(network, part, LEVELS) for part in parts(held)])
    return Calibration.of(tables, held.values[:, reach:], held.observed[:, reach:])


@torch.no_grad()
def worth_it(network: ForecastNetwork, held: Windows) -> bool:
    """Whether what the network corrects makes held-out errors smaller by more than chance would: by more than two standard
    errors over stretches of a horizon each."""
    gains = []
    for part in parts(held):
        before, y = network.linear(part), part.values[:, network.shape.reach :]
        weight = part.observed[:, network.shape.reach :] * part.scale[:, None].float()
        gain = ((before - y).abs() - (median(network, part) - y).abs()) * weight
        gains.append(gain.mean((1, 2)))
    every = torch.cat(gains).double().numpy()
    if len(every) < 2:
        return False
    stretches = np.array([each.mean() for each in np.array_split(every, max(2, len(every) // network.shape.horizon))])
    return bool(stretches.mean() > 2 * stretches.std(ddof=1) / np.sqrt(len(stretches)))


class Finishing(Callback):
    """At the end of a training, finds from what was held out whether the network corrects anything and how wide intervals are,
    and then the linear forecast again, with all there is; all become part of the network.

    Args:
        prepared: the series that are learned from.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared

    def on_begin(self, training: Training) -> None:
        """Has the linear forecast know nothing of what is held out, also in a run that has ended once and goes on."""
        network = training.model
        assert isinstance(network, ForecastNetwork)
        network.skip.fit(self.prepared.plan.recipes, self.prepared.for_skip())

    def on_end(self, training: Training) -> None:
        """Does so, once the best weights are in the model."""
        network, plan = training.model, self.prepared.plan
        assert isinstance(network, ForecastNetwork)
        most = CALIBRATED // (4 if isinstance(network.head, NegativeBinomial) else 1)
        held = self.prepared.held(plan.shape, int(np.clip(most // network.skip.unit.numel(), 50, 2_000)))
        if held is None:
            return
        mode = network.training
        if training.last is None:
            training.last = copied(weights(network))  # from which a run that was only stopped goes on
        self.on_begin(training)  # the best weights may be those of a run that has ended once
        if not worth_it(network.eval(), held):
            network.correct_nothing()
        network.calibration.copy_(torch.from_numpy(calibrated(network, held).scores))
        network.train(mode)
        network.skip.fit(plan.recipes, self.prepared.whole().for_skip())
        training.keep_best()  # which a run folder has for use
