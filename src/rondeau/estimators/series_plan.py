"""What a forecaster knows of the series that it was fitted to, beside its weights: seasons, calendar, what stands beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from rondeau.data import Columns, Frequency, Series, SeriesSet, series_of
from rondeau.data.cycles import cycles_of, phase_count, seasons_of
from rondeau.data.frames import is_frame
from rondeau.data.windows import Covariates, Panel, WindowBatches, Windows, WindowShape
from rondeau.errors import InputError
from rondeau.models.forecaster import SeriesFeatures
from rondeau.models.lag_skip import WIDEST, Fold, Recipe, chosen, recipes, season_of

FITTED = 10_000
"""The windows from which the linear forecast is found at most."""

NUMBERS = 20_000_000
"""The numbers in those windows at most."""

HELD = 2_000
"""The held-out windows at most on which a forecaster is evaluated."""

FOLDS = 8
"""Into how many stretches of time series are cut to choose the linear forecast."""

SCORED = 400_000
"""The numbers at most that are forecast to choose it."""

SHORTEST, LONGEST_CONTEXT = 32, 128
"""The steps that recurrent layers read at least, if series are so long, and at most, if not told otherwise."""


@dataclass(frozen=True, eq=False)
class SeriesPlan:
    """What was found out about series before anything was learned by gradients.

    Args:
        horizon: steps ahead in one pass.
        context: steps that recurrent layers read.
        seasons: after which series may repeat, the shortest first.
        season: the one that is repeated; 0: the last value is.
        recipes: of the linear forecast.
        covariates: how what stands beside becomes features.
        names: of targets, past, future and static.
        frequency: how far apart times are; None where they are irregular.
        columns: of the table that series came from, if they did.
    """

    horizon: int
    context: int
    seasons: tuple[int, ...]
    season: int
    recipes: tuple[Recipe, ...]
    covariates: Covariates
    names: tuple[tuple[str, ...], ...]
    frequency: Frequency | None
    columns: Columns | None

    @property
    def reach(self) -> int:
        """The steps before a moment that anything reads."""
        return max(self.skip_reach, self.context + max((1, *self.seasons)))

    @property
    def skip_reach(self) -> int:
        """The steps before a moment that the linear forecast reads."""
        return max(recipe.reach for recipe in self.recipes)

    @property
    def shape(self) -> WindowShape:
        """Of the windows that the network reads."""
        return WindowShape(self.reach, self.context, self.horizon)

    @property
    def features(self) -> SeriesFeatures:
        """What the network reads at a step."""
        own = self.covariates
        known = phase_count(own.cycles) + own.future.shape[1]
        return SeriesFeatures(len(self.names[0]), own.past_features, known, own.static_features, self.seasons)

    def read(self, y: Any) -> SeriesSet:
        """Series like those that this is of.

        Raises:
            InputError: they have other targets, or other things beside.
            DataError: a table is not sound.
        """
        series = read(y, self.columns)
        self._check_frequency(series)
        for kind, own, given in zip(("targets", "past", "future", "static"), self.names, names_of(series)):
            if len(own) != len(given) or (kind != "targets" and own != given):
                raise InputError(
                    f"the series have {kind} {', '.join(given) or 'none'}, and the model was fitted to "
                    f"{', '.join(own) or 'none'}; give the same"
                )
        return series

    def _check_frequency(self, series: SeriesSet) -> None:
        own, given = self.frequency, series.frequency
        apart = max(map(len, series.items)) > 1
        if own is None or own.unit == "numbers" or own == given or not apart:
            return
        raise InputError(
            f"the series are {given or 'at irregular times'}, and the model was fitted to series that are {own}; bring them to "
            "the same times, or fit a model to such"
        )


def read(y: Any, columns: Columns | None) -> SeriesSet:
    """Series from whatever they come in; ``columns`` are those of a frame.

    Raises:
        InputError, DataError: it is not sound.
    """
    return y if isinstance(y, SeriesSet) else series_of(y, columns if is_frame(y) else None)


def names_of(series: SeriesSet) -> tuple[tuple[str, ...], ...]:
    """The names of targets, past, future and static."""
    return series.targets, series.past, series.future, series.static


def held_from(lengths: np.ndarray, horizon: int, part: float | None) -> np.ndarray:
    """The first step of each series that is held out (series,): that after which the last ``part`` begins, or as many steps as
    the horizon; its length, where it is too short for that.

    Example:
        >>> held_from(np.array([100, 10, 5]), 4, 0.2)
        array([80,  6,  5])
    """
    if part is None:
        return lengths
    held = np.maximum(np.round(lengths * part).astype(np.int64), horizon)
    return np.where(lengths - held >= horizon + 2, lengths - held, lengths)


def truncated(series: SeriesSet, until: np.ndarray) -> SeriesSet:
    """Each series up to a step of its own; what is known ahead stays."""
    return replace(series, items=tuple(_cut(each, int(steps)) for each, steps in zip(series.items, until)))


def _cut(series: Series, steps: int) -> Series:
    parts = {name: getattr(series, name)[:steps] for name in ("values", "times", "positions", "past")}
    return replace(series, **parts)


def first_moments(until: np.ndarray, reach: int, horizon: int) -> np.ndarray:
    """The first moment of each series from which is learned: with all that windows reach back to behind it, or, in a short
    series, half of what there is."""
    return np.minimum(reach, np.maximum(1, (until - horizon) // 2))


@dataclass(frozen=True, eq=False)
class Prepared:
    """Series in windows: to learn from, and those held out, if there are any."""

    plan: SeriesPlan
    series: SeriesSet
    panel: Panel
    until: np.ndarray

    def whole(self) -> Prepared:
        """The same with nothing held out."""
        panel = Panel(self.series, self.plan.covariates, self.plan.horizon)
        return Prepared(self.plan, self.series, panel, self.series.lengths)

    def learned(self, shape: WindowShape, **options: Any) -> WindowBatches:
        """The windows to learn from."""
        last = self.until - shape.horizon
        return WindowBatches(self.panel, shape, first_moments(self.until, shape.reach, shape.horizon), last, **options)

    def for_skip(self) -> Windows:
        """Windows for the linear forecast."""
        shape = WindowShape(self.plan.skip_reach, 1, self.plan.horizon)
        return self.learned(shape).spread(fitted_windows(shape.reach, len(self.plan.names[0])))

    def held(self, shape: WindowShape, most: int = HELD) -> Windows | None:
        """Windows whose steps ahead are held out, evenly over all."""
        last = np.where(self.until < self.panel.lengths, self.panel.lengths - shape.horizon, -1)
        if (last < self.until).all():
            return None
        return WindowBatches(self.panel, shape, self.until, last).spread(most)


def prepare(series: SeriesSet, horizon: int, context: int | str, seasons: Sequence[int] | str, part: float | None) -> Prepared:
    """Finds out what there is to know, and cuts series into windows.

    Args:
        series: to learn from.
        horizon: steps ahead in one pass.
        context: steps that recurrent layers read, or "auto".
        seasons: after which series repeat, or "auto".
        part: the part of each series, its end, that is held out.
    """
    until = held_from(series.lengths, horizon, part)
    seen = truncated(series, until)
    cycles = cycles_of(seen)
    found = seasons_of(seen) if isinstance(seasons, str) else tuple(sorted(seasons))
    covariates = Covariates.of(seen, cycles, found[0] if found else 0)
    typical = int(np.median(until))
    if isinstance(context, str):
        context = int(np.clip(2 * (found[0] if found else 1), SHORTEST, LONGEST_CONTEXT))
        context = max(2, min(context, typical - horizon))
    panel = Panel(series, covariates, horizon, until)
    plan = SeriesPlan(
        horizon, context, found, 0, (Recipe(0, (1,), 1),), covariates, names_of(series), series.frequency, series.columns
    )
    prepared = Prepared(plan, series, panel, until)
    return replace(prepared, plan=_with_recipes(prepared, max(1, (typical - horizon) // 3)))


def _with_recipes(prepared: Prepared, longest: int) -> SeriesPlan:
    """The plan with a linear forecast, the best at forecasting stretches of time that were left out."""
    plan, horizon = prepared.plan, prepared.plan.horizon
    reach = max(min(longest, WIDEST + max((0, *plan.seasons))), *plan.seasons, 1)
    shape = WindowShape(reach, 1, horizon)
    lengths = prepared.panel.lengths
    first, last = first_moments(prepared.until, reach, horizon), lengths - horizon
    batches = WindowBatches(prepared.panel, shape, first, last)
    first = batches.first
    numbers = batches.evenly(fitted_windows(reach, len(plan.names[0])))
    windows = batches.numbered(numbers)
    season = season_of(windows, plan.seasons, horizon)
    given = recipes(plan.seasons, season, horizon, longest, plan.features.known > 0)
    places, moments = batches.moments(numbers)
    scored = max(200, SCORED // (horizon * len(plan.names[0])))
    stretches = _folds(moments - first[places], (last - first)[places] + 1, horizon, scored)
    members = chosen(given, windows, stretches, horizon) if stretches else [replace(given[0], alpha=1e-2)]
    return replace(plan, season=season, recipes=tuple(members))


def fitted_windows(reach: int, targets: int) -> int:
    """How many windows of so many steps the linear forecast is found from at most."""
    return int(np.clip(NUMBERS // (reach * targets), 500, FITTED))


def _folds(behind: np.ndarray, counts: np.ndarray, horizon: int, scored: int) -> list[Fold]:
    """Stretches of time that are left out in turn, of all series alike.

    Args:
        behind: how many moments of its series are before that of each window (windows,).
        counts: the moments of its series (windows,).
        horizon: steps ahead.
        scored: windows that are forecast at most, over all folds.
    """
    found = []
    for place in range(FOLDS):
        begin, end = counts * place / FOLDS, counts * (place + 1) / FOLDS
        inside = np.flatnonzero((behind >= begin) & (behind < end))
        near = np.flatnonzero((behind > begin - horizon) & (behind < end + horizon))
        if len(inside) and len(near) < 0.8 * len(behind):
            some = inside[:: max(1, -(-len(inside) * FOLDS // scored))]
            found.append(Fold(torch.from_numpy(some), torch.from_numpy(near)))
    return found
