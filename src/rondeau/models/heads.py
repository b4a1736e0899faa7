"""Heads: what the last layer's outputs say about a number, as a point, quantiles or a distribution.

A head reads a ``location`` (...,), which is what a simpler forecast says, a ``unit`` (...,), by how much that is mostly off,
and ``raw`` (..., size), the network's outputs. Raw outputs of zero say the location itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rondeau.errors import InputError

LEAST = 1e-3
"""The least deviation that a distribution may have, in units."""


class Head(nn.Module, ABC):
    """What raw outputs mean."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Raw outputs for each number."""

    @abstractmethod
    def forward(self, raw: Tensor, location: Tensor, unit: Tensor) -> Tensor:
        """The parameters of what is said about each number, (..., parameters)."""

    @abstractmethod
    def loss(self, parameters: Tensor, y: Tensor, unit: Tensor) -> Tensor:
        """The loss of each number y (...,)."""

    @abstractmethod
    def quantiles(self, parameters: Tensor, levels: Sequence[float]) -> Tensor:
        """The quantiles (..., levels) of levels that go up."""

    def sample(self, parameters: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A number drawn of each (...,): the quantile of a level drawn evenly.

        Args:
            parameters: (..., parameters).
            generator: of the random numbers.
        """
        grid = np.linspace(0.005, 0.995, 100)
        table = self.quantiles(parameters, grid.tolist())
        level = torch.rand(parameters.shape[:-1], generator=generator) * (len(grid) - 1)
        low = level.floor().long().clamp(max=len(grid) - 2)
        pair = table.gather(-1, torch.stack([low, low + 1], -1))
        return torch.lerp(pair[..., 0], pair[..., 1], (level - low).to(table.dtype))


class Point(Head):
    """A single number, with the absolute or the squared error.

    Args:
        error: ``absolute`` (the median is best) or ``squared`` (the mean).
    """

    size = 1

    def __init__(self, error: str = "absolute") -> None:
        super().__init__()
        if error not in ("absolute", "squared"):
            raise InputError(f"error is absolute or squared, not {error!r}")
        self.error = error

    def forward(self, raw: Tensor, location: Tensor, unit: Tensor) -> Tensor:
        """See `Head.forward`; the number."""
        return (location + unit * raw[..., 0])[..., None]

    def loss(self, parameters: Tensor, y: Tensor, unit: Tensor) -> Tensor:
        """See `Head.loss`."""
        off = (y - parameters[..., 0]) / unit
        return off.abs() if self.error == "absolute" else off**2

    def quantiles(self, parameters: Tensor, levels: Sequence[float]) -> Tensor:
        """See `Head.quantiles`; all are the number."""
        return parameters.expand(*parameters.shape[:-1], len(levels))


class Quantiles(Head):
    """Quantiles that never cross, learned by the pinball loss; those between are interpolated, as of a normal distribution.

    Args:
        levels: which quantiles are learned, going up, the median among them.

    Raises:
        InputError: levels that do not go up, lie outside of 0 to 1, or lack the median.

    Example:
        >>> head = Quantiles((0.1, 0.5, 0.9))
        >>> parameters = head(torch.zeros(1, 3), torch.tensor([5.0]), torch.tensor([2.0]))
        >>> head.quantiles(parameters, (0.1, 0.5, 0.9)).round(decimals=2)
        tensor([[2.4400, 5.0000, 7.5600]])
    """

    def __init__(self, levels: Sequence[float] = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)) -> None:
        super().__init__()
        self.levels = check_levels(levels)
        if 0.5 not in self.levels:
            raise InputError(f"the levels {self.levels} lack the median; add 0.5")
        self.middle = self.levels.index(0.5)
        scores = _normal_quantile(np.array(self.levels))
        self.register_buffer("steps", torch.tensor(np.diff(scores), dtype=torch.float32), persistent=False)
        self.register_buffer("at", torch.tensor(self.levels, dtype=torch.float32), persistent=False)

    steps: Tensor
    at: Tensor

    @property
    def size(self) -> int:
        """Raw outputs for each number: the median's shift and the distances between quantiles."""
        return len(self.levels)

    def forward(self, raw: Tensor, location: Tensor, unit: Tensor) -> Tensor:
        """See `Head.forward`; the quantiles."""
        middle = location + unit * raw[..., 0]
        apart = _positive(raw[..., 1:]) * self.steps * unit[..., None]
        below, above = apart[..., : self.middle], apart[..., self.middle :]
        low = middle[..., None] - below.flip(-1).cumsum(-1).flip(-1)
        return torch.cat([low, middle[..., None], middle[..., None] + above.cumsum(-1)], -1)

    def loss(self, parameters: Tensor, y: Tensor, unit: Tensor) -> Tensor:
        """See `Head.loss`; twice the mean pinball loss, which is the absolute error where there is the median alone."""
        off = (y[..., None] - parameters) / unit[..., None]
        return 2 * torch.maximum(self.at * off, (self.at - 1) * off).mean(-1)

    def quantiles(self, parameters: Tensor, levels: Sequence[float]) -> Tensor:
        """See `Head.quantiles`."""
        own, wanted = _normal_quantile(np.array(self.levels)), _normal_quantile(np.array(levels))
        right = np.searchsorted(own, wanted).clip(1, max(len(own) - 1, 1))
        if len(own) == 1:
            return parameters.expand(*parameters.shape[:-1], len(levels))
        part = torch.tensor((wanted - own[right - 1]) / (own[right] - own[right - 1]), dtype=parameters.dtype)
        return torch.lerp(parameters[..., right - 1], parameters[..., right], part)


class Normal(Head):
    """A normal distribution, learned by its likelihood."""

    size = 2

    def forward(self, raw: Tensor, location: Tensor, unit: Tensor) -> Tensor:
        """See `Head.forward`; mean and deviation."""
        return torch.stack([location + unit * raw[..., 0], unit * (_positive(raw[..., 1]) + LEAST)], -1)

    def loss(self, parameters: Tensor, y: Tensor, unit: Tensor) -> Tensor:
        """See `Head.loss`; nats, less those of the unit."""
        mean, deviation = parameters.unbind(-1)
        return 0.5 * ((y - mean) / deviation) ** 2 + torch.log(deviation / unit)

    def quantiles(self, parameters: Tensor, levels: Sequence[float]) -> Tensor:
        """See `Head.quantiles`."""
        scores = torch.tensor(_normal_quantile(np.array(levels)), dtype=parameters.dtype)
        return parameters[..., :1] + parameters[..., 1:] * scores


class StudentT(Head):
    """Student's t distribution, for numbers that are at times far off, learned by its likelihood."""

    size = 3

    def forward(self, raw: Tensor, location: Tensor, unit: Tensor) -> Tensor:
        """See `Head.forward`; location, scale and degrees of freedom, which are above 2."""
        scale = unit * (_positive(raw[..., 1]) + LEAST)
        return torch.stack([location + unit * raw[..., 0], scale, 2 + 4 * _positive(raw[..., 2])], -1)

    def loss(self, parameters: Tensor, y: Tensor, unit: Tensor) -> Tensor:
        """See `Head.loss`; nats, less those of the unit."""
        location, scale, freedom = parameters.unbind(-1)
        return -torch.distributions.StudentT(freedom, location, scale, validate_args=False).log_prob(y) - torch.log(unit)

    def quantiles(self, parameters: Tensor, levels: Sequence[float]) -> Tensor:
        """See `Head.quantiles`."""
        from scipy import special

        found = special.stdtrit(parameters[..., 2:].double().numpy(), np.array(levels))
        return parameters[..., :1] + parameters[..., 1:2] * torch.from_numpy(found).to(parameters.dtype)


class NegativeBinomial(Head):
    """A negative binomial distribution of counts, learned by its likelihood; location and y are counts, not below zero."""

    size = 2

    def forward(self, raw: Tensor, location: Tensor, unit: Tensor) -> Tensor:
        """See `Head.forward`; mean and dispersion, the variance being mean + dispersion * mean ** 2."""
        mean = unit * nn.functional.softplus((location + unit * raw[..., 0]) / unit, 4.0) + 1e-6
        start = (unit / mean.detach().clamp(min=1e-3)).clamp(0.05, 20.0) ** 2  # as variable as the simpler forecast is off
        return torch.stack([mean, (start * _positive(raw[..., 1])).clamp(1e-4, 1e4)], -1)

    def loss(self, parameters: Tensor, y: Tensor, unit: Tensor) -> Tensor:
        """See `Head.loss`; nats."""
        mean, dispersion = parameters.unbind(-1)
        count = 1 / dispersion
        known = torch.lgamma(y + count) - torch.lgamma(count) - torch.lgamma(y + 1)
        return -(known + count * torch.log(count / (count + mean)) + y * torch.log(mean / (count + mean)))

    def quantiles(self, parameters: Tensor, levels: Sequence[float]) -> Tensor:
        """See `Head.quantiles`; whole numbers."""
        from scipy import stats

        mean, dispersion = parameters[..., :1].double().numpy(), parameters[..., 1:].double().numpy()
        found = stats.nbinom.ppf(np.array(levels), 1 / dispersion, 1 / (1 + dispersion * mean))
        return torch.from_numpy(found).to(parameters.dtype)


HEADS: dict[str, type[Head]] = {
    "point": Point,
    "quantiles": Quantiles,
    "normal": Normal,
    "student_t": StudentT,
    "negative_binomial": NegativeBinomial,
}


def check_levels(levels: Sequence[float]) -> tuple[float, ...]:
    """Levels of quantiles as a tuple.

    Raises:
        InputError: they do not go up from above 0 to below 1.
    """
    found = tuple(map(float, levels))
    if not found or not all(0 < level < 1 for level in found) or sorted(set(found)) != list(found):
        raise InputError(f"levels of quantiles go up between 0 and 1, as 0.1, 0.5, 0.9; got {list(levels)}")
    return found


def _positive(raw: Tensor) -> Tensor:
    """A positive number, 1 for a raw output of 0."""
    return nn.functional.softplus(raw + 0.5413)


def _normal_quantile(levels: np.ndarray) -> np.ndarray:
    """The quantiles of the standard normal distribution."""
    return torch.special.ndtri(torch.from_numpy(np.asarray(levels, np.float64))).numpy()
