"""Calibration: quantiles moved so that intervals hold as many held-out values as they say.

For each held-out value it is found at which level the forecast's quantile equals it, and how far that is from the median, as
the score of a normal distribution. If the forecast were right, these scores would be those of a normal distribution; so the
interval that is to hold a part p is taken as wide as a part p of the scores are small. This is split conformal prediction with
the forecast's own distribution as the score. Both sides are moved alike: that held-out values lay mostly on one side of the
median says little about the next ones.

Source: Chernozhukov, Wüthrich and Zhu 2021, arXiv:1909.07889; Kuleshov, Fenner and Ermon 2018, arXiv:1807.00263.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rondeau.models.forecaster import PARTS

FARTHEST = 6.0
"""Scores of levels are those of the normal distribution, up to here on both sides."""

SCORES = torch.linspace(-FARTHEST, FARTHEST, 97, dtype=torch.float64)
LEVELS = tuple(torch.special.ndtr(SCORES).tolist())
"""The levels at which a forecast's quantiles are compared with values."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """How wide intervals are taken: the score (parts,) of an interval's ends for each part in `PARTS`."""

    scores: np.ndarray

    @staticmethod
    def none() -> Calibration:
        """Intervals as the forecast has them."""
        return Calibration(_normal(PARTS))

    @staticmethod
    def of(tables: Tensor, values: Tensor, observed: Tensor) -> Calibration:
        """That of held-out values.

        Args:
            tables: the forecast's quantiles at `LEVELS` (..., levels).
            values: what came (...,).
            observed: 0 where nothing came (...,).
        """
        seen = observed > 0
        if not seen.any():
            return Calibration.none()
        return Calibration(np.quantile(_scores(tables[seen].double(), values[seen].double()).abs().numpy(), PARTS))

    def levels(self, wanted: Sequence[float]) -> list[float]:
        """The levels at which to take quantiles of some levels.

        Example:
            >>> wide = Calibration(2 * Calibration.none().scores)
            >>> [round(level, 3) for level in wide.levels((0.1, 0.5, 0.9))]
            [0.005, 0.5, 0.995]
        """
        levels = np.array(wanted, np.float64)
        part = np.abs(2 * levels - 1)
        beyond = np.where(part > PARTS[-1], _normal(part.clip(max=1 - 1e-9)) / _normal(PARTS[-1:]), 1.0)
        wide = np.interp(part, np.concatenate([[0.0], PARTS]), np.concatenate([[0.0], self.scores])) * beyond
        moved = np.sign(levels - 0.5) * wide
        return torch.special.ndtr(torch.from_numpy(moved.clip(-FARTHEST, FARTHEST))).tolist()


def _normal(parts: np.ndarray) -> np.ndarray:
    """Within how many deviations so large parts of a normal distribution lie."""
    return torch.special.ndtri(torch.from_numpy((1 + parts) / 2)).numpy()


def _scores(tables: Tensor, values: Tensor) -> Tensor:
    """The scores (values,) at which quantiles (values, levels) equal values; halfway where several do."""
    low = (tables < values[:, None]).sum(1).clamp(1, len(SCORES) - 1)
    below, above = tables.gather(1, low[:, None] - 1)[:, 0], tables.gather(1, low[:, None])[:, 0]
    part = ((values - below) / (above - below).clamp(min=1e-12)).clamp(0, 1)
    return torch.lerp(SCORES[low - 1], SCORES[low], part)
