"""`LagSkip`: a linear forecast from lags, fitted in closed form; what a recurrent network is added to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from rondeau.data.windows import Windows

ALPHAS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1.0, 100.0)
"""The ridge penalties that are tried, per window, where a series has the deviation 1."""

WIDEST = 1100
"""The most lags of a recipe."""

COUNTS = (2, 4, 8, 14, 21, 28, 35, 42)
"""How many of the shortest seasons a recipe reads: of days, a week and a day, and whole weeks."""

NEARLY = 1.01
"""How much worse than the best a larger penalty may be to be taken: it is safer where there is little data."""

MEMBERS = 8
"""How many recipes are averaged; one may be among them several times."""

LEAST_UNIT = 1e-4
"""The least size of an error, in deviations of a series."""


@dataclass(frozen=True)
class Recipe:
    """One ridge regression: ``season`` is repeated (0: the last value is), and differences from that are linear in the values
    ``lags`` steps before the moment (1 is the last) less the mean of the last ``level`` ones, in that mean, and, with
    ``beside``, in what is known of the first step ahead; ``alpha`` is the penalty."""

    season: int
    lags: tuple[int, ...]
    level: int
    beside: bool = False
    alpha: float = 0.0

    @property
    def reach(self) -> int:
        """How many steps before the moment it reads."""
        return max(self.season, self.level, self.lags[-1])


def recipes(seasons: Sequence[int], season: int, horizon: int, longest: int, beside: bool) -> list[Recipe]:
    """Recipes that may do: the last values; these and those around the same moments a season before; the values of several
    short seasons; each without and with what is known beside.

    Args:
        seasons: after which series may repeat, the shortest first.
        season: the one that is repeated; 0: the last value is.
        horizon: the steps ahead.
        longest: the farthest lag that there are enough values for.
        beside: whether anything is known beside.
    """
    near = min(max(seasons[0] if seasons else 0, 8), 2 * WIDEST // 5)
    found = [tuple(range(1, near + 1))]
    if season > 2 * near:
        ahead = min(horizon, season - 1, near)
        found += [(*range(1, times * near + 1), *range(season - ahead + 1, season + times * near + 1)) for times in (1, 2)]
    counts = COUNTS if seasons else (4, 16, 32)
    found += [tuple(range(1, count * near + 1)) for count in counts if count * near <= WIDEST]
    level = max(1, min(near, longest))
    kept = [lags for lags in found if lags[-1] <= longest] or [tuple(range(1, level + 1))]
    return [
        Recipe(season, lags, level, also) for lags in dict.fromkeys(kept) for also in ((False, True) if beside else (False,))
    ]


def base_of(values: Tensor, reach: int, horizon: int, season: int) -> Tensor:
    """The season before, repeated, or the last value (batch, horizon, targets)."""
    if not season:
        return values[:, reach - 1 : reach].expand(-1, horizon, -1)
    ahead = torch.arange(horizon)
    return values[:, reach + ahead - season * (ahead // season + 1)]


class LagSkip(nn.Module):
    """A forecast of each step ahead that is linear in the last values and in what is known of the first step ahead.

    It learns by `fit`, not by gradients. The mean of the last ``level`` values is taken off before and added after.

    Args:
        reach: how many last values it reads.
        level: see above.
        horizon: steps ahead.
        targets: numbers at each step, each with weights of its own.
        beside: features of what is known of a step.
    """

    weight: Tensor
    unit: Tensor

    def __init__(self, reach: int, level: int, horizon: int, targets: int, beside: int) -> None:
        super().__init__()
        self.reach, self.mean_of, self.horizon, self.targets = reach, level, horizon, targets
        self.register_buffer("weight", torch.zeros(targets, reach + beside + 2, horizon))
        self.register_buffer("unit", torch.ones(horizon, targets))

    def forward(self, values: Tensor, known: Tensor) -> Tensor:
        """The forecast (batch, horizon, targets) of the last values (batch, reach, targets) or more, and what is known of the
        first step ahead (batch, features)."""
        level = self.level(values)
        near = (values[:, -self.reach :] - level[:, None]).transpose(1, 2)
        features = _beside(near, level, known)
        return level[:, None] + torch.einsum("btf,tfh->bht", features, self.weight)

    def level(self, values: Tensor) -> Tensor:
        """The mean of the last values (batch, targets)."""
        return values[:, -self.mean_of :].mean(1)

    @torch.no_grad()
    def fit(self, chosen: Sequence[Recipe], windows: Windows) -> None:
        """Solves every recipe on windows, and takes the mean."""
        total = torch.zeros_like(self.weight, dtype=torch.float64)
        whole = Regression.of(windows, self.horizon, chosen[0].season, chosen[0].level)
        moments = whole.moments()
        for recipe in dict.fromkeys(chosen):
            solution = moments.at(whole.places(recipe)).solution(recipe.alpha)
            self._add(total, recipe, solution, chosen.count(recipe) / len(chosen))
        self.weight.copy_(total)

    def _add(self, total: Tensor, recipe: Recipe, solution: Tensor, share: float) -> None:
        """Adds a recipe's weights (targets, features, horizon) at the places of what it reads."""
        count, ahead = len(recipe.lags), torch.arange(self.horizon)
        at = self.reach - torch.tensor(recipe.lags)
        total[:, at] += share * solution[:, :count]
        total[:, self.reach] += share * solution[:, count]
        total[:, -1] += share * solution[:, count + 1]
        if recipe.beside:
            total[:, self.reach + 1 : -1] += share * solution[:, count + 2 :]
        season = recipe.season
        base = self.reach - 1 + 0 * ahead if not season else self.reach + ahead - season * (ahead // season + 1)
        total[:, base, ahead] += share

    @torch.no_grad()
    def measure(self, windows: Windows) -> None:
        """Sets ``unit`` (horizon, targets), the mean absolute error on windows."""
        behind = windows.values.shape[1] - self.horizon
        off = self(windows.values[:, :behind], first_ahead(windows, self.horizon)) - windows.values[:, behind:]
        observed = windows.observed[:, behind:]
        self.unit.copy_(((off.abs() * observed).sum(0) / observed.sum(0).clamp(min=1)).clamp(min=LEAST_UNIT))


def first_ahead(windows: Windows, horizon: int) -> Tensor:
    """What is known of the first step ahead (batch, features)."""
    return windows.known[:, windows.known.shape[1] - horizon]


def _beside(near: Tensor, level: Tensor, known: Tensor) -> Tensor:
    """Values, their level, what is known and a one (batch, targets, features)."""
    known = known[:, None].expand(-1, near.shape[1], -1)
    return torch.cat([near, level[..., None], known, torch.ones_like(level)[..., None]], -1)


@dataclass(frozen=True)
class Regression:
    """Windows as ridge regression sees them: what any recipe may read, and what is to be found.

    Args:
        features: lags from the last on, their level, a one, and what is known of the first step ahead; (targets, batch,
            features).
        wanted: differences from what is repeated (targets, batch, horizon), 0 where one is missing.
        lags: how many lags there are.
    """

    features: Tensor
    wanted: Tensor
    lags: int

    @staticmethod
    def of(windows: Windows, horizon: int, season: int, level: int) -> Regression:
        """That of windows, which all recipes with this season and this level share."""
        values = windows.values.permute(2, 0, 1)  # (targets, batch, steps)
        reach = values.shape[2] - horizon
        mean = values[..., reach - level : reach].mean(-1, keepdim=True)
        known = first_ahead(windows, horizon).expand(len(values), -1, -1)
        near = values[..., :reach].flip(-1) - mean
        wanted = windows.values[:, reach:] - base_of(windows.values, reach, horizon, season)
        wanted = (wanted * windows.observed[:, reach:]).permute(2, 0, 1)
        return Regression(torch.cat([near, mean, torch.ones_like(mean), known], -1), wanted, reach)

    def take(self, rows: Tensor) -> Regression:
        """Some of the windows."""
        return Regression(self.features[:, rows], self.wanted[:, rows], self.lags)

    def places(self, recipe: Recipe) -> Tensor:
        """Which features a recipe reads."""
        end = self.features.shape[2] if recipe.beside else self.lags + 2
        return torch.cat([torch.tensor(recipe.lags) - 1, torch.arange(self.lags, end)])

    def moments(self) -> Moments:
        """Its moments."""
        features, wanted = self.features.double(), self.wanted.double()
        return Moments(features.mT @ features, features.mT @ wanted, features.shape[1])


@dataclass(frozen=True)
class Moments:
    """All that ridge regression needs of windows: products of features, and of features with what is to be found."""

    square: Tensor  # (targets, features, features)
    cross: Tensor  # (targets, features, horizon)
    count: int

    def __sub__(self, other: Moments) -> Moments:
        return Moments(self.square - other.square, self.cross - other.cross, self.count - other.count)

    def at(self, places: Tensor) -> Moments:
        """Those of some features."""
        return Moments(self.square[:, places][:, :, places], self.cross[:, places], self.count)

    def solution(self, alpha: float) -> Tensor:
        """The weights (targets, features, horizon) for a penalty."""
        ridge = max(alpha * self.count, 1e-10 * float(self.square.diagonal(dim1=1, dim2=2).max()))
        own = self.square + ridge * torch.eye(self.square.shape[-1], dtype=self.square.dtype)
        return torch.cholesky_solve(self.cross, torch.linalg.cholesky(own))


@dataclass(frozen=True)
class Fold:
    """A stretch of time: the windows ``inside`` (windows,) are forecast, by what was found without those ``near`` (windows,),
    which are the same and those whose steps ahead overlap them; both are numbers of windows."""

    inside: Tensor
    near: Tensor


@torch.no_grad()
def chosen(given: Sequence[Recipe], windows: Windows, folds: Sequence[Fold], horizon: int) -> list[Recipe]:
    """The recipes whose mean forecasts folds best that were left out: of each the best penalty, then one after the other.

    Args:
        given: recipes with one season and one level.
        windows: to learn from and to forecast.
        folds: what is left out in turn.
        horizon: steps ahead.
    """
    whole = Regression.of(windows, horizon, given[0].season, given[0].level)
    moments = whole.moments()
    errors: dict[Recipe, list[Tensor]] = {replace(each, alpha=alpha): [] for each in given for alpha in ALPHAS}
    for fold in folds:
        rest, inside = moments - whole.take(fold.near).moments(), whole.take(fold.inside)
        weight = windows.scale[fold.inside].T[..., None].float()
        for recipe in given:
            places = whole.places(recipe)
            own, features = rest.at(places), inside.features[..., places]
            for alpha in ALPHAS:
                off = features @ own.solution(alpha).float() - inside.wanted
                errors[replace(recipe, alpha=alpha)].append(off * weight)
    return _averaged([_best(recipe, errors) for recipe in given])


def _best(recipe: Recipe, errors: dict[Recipe, list[Tensor]]) -> tuple[Recipe, Tensor]:
    """A recipe with the largest penalty that is nearly the best, and its errors on all folds (targets, windows, horizon)."""
    every = [(each, torch.cat(errors[each], 1)) for each in (replace(recipe, alpha=alpha) for alpha in ALPHAS)]
    scores = [float(error.abs().mean()) for _, error in every]
    return next(pair for pair, score in zip(reversed(every), reversed(scores)) if score <= NEARLY * min(scores))


def _averaged(best: Sequence[tuple[Recipe, Tensor]]) -> list[Recipe]:
    """The recipes whose mean is best, found one after the other; one may come several times."""
    total = torch.zeros_like(best[0][1])
    members: list[Recipe] = []
    while len(members) < MEMBERS:
        scores = [float((total + error).abs().mean() / (len(members) + 1)) for _, error in best]
        recipe, error = best[scores.index(min(scores))]
        total = total + error
        members.append(recipe)
    return members


def season_of(windows: Windows, seasons: Sequence[int], horizon: int) -> int:
    """The season whose repetition is best on windows; 0: repeating the last value is."""
    behind = windows.values.shape[1] - horizon
    held, observed = windows.values[:, behind:], windows.observed[:, behind:]
    errors = {
        season: float(((base_of(windows.values, behind, horizon, season) - held).abs() * observed).mean())
        for season in (0, *(season for season in seasons if season <= behind))
    }
    return min(errors, key=lambda season: errors[season])
