"""`Forecaster`: what comes next in one series or thousands, as an estimator of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from rondeau.data import Columns, SeriesSet
from rondeau.data.windows import Panel
from rondeau.engine.backends.registry import choice
from rondeau.errors import InputError
from rondeau.estimators.backtest import backtest
from rondeau.estimators.forecasts import Finishing, Source
from rondeau.estimators.learner import Learner
from rondeau.estimators.randomness import seed_of
from rondeau.estimators.series_plan import Prepared, SeriesPlan, prepare, read
from rondeau.ir import Cell
from rondeau.models.forecaster import ForecastNetwork
from rondeau.models.heads import HEADS, Head, check_levels
from rondeau.models.lag_skip import LagSkip
from rondeau.train import Training, optimizer
from rondeau.train.forecasting import Forecasting

LEAST_WINDOWS, MOST_WINDOWS = 1 << 12, 1 << 14
"""The windows of an epoch at most, for few series and for many; an eighth of all between."""


@dataclass(kw_only=True, eq=False, repr=False)
class Forecaster(Learner):
    """Forecasts series, ``horizon`` steps ahead.

    A linear forecast from lags, found in closed form, is corrected by a recurrent network. How many lags are read, when to stop
    and how wide intervals are is decided on held-out stretches of the series.

    Args:
        horizon: steps ahead.
        cell: the recurrent cell, or a name of the zoo.
        hidden: units of each layer.
        layers: recurrent layers above one another.
        dropout: the rate on what the recurrent layers end with, and between them, while training.
        head: what is said about each number: "quantiles", "point", or a distribution: "normal", "student_t" or, for counts,
            "negative_binomial".
        context: steps that the recurrent layers read; "auto": two seasons.
        seasons: numbers of steps after which series repeat; "auto": as the calendar and the values say.
        steps_at_once: how many steps are forecast in one pass; later ones are forecast from drawn values of those before. None:
            all at once.
        columns: what the columns of a frame are.
        epochs: passes over windows, of which there are at most 4,096 in an epoch, or more for many series.
        batch_size: windows in a batch.
        learning_rate, optimizer, schedule, weight_decay, clip_norm: as in `rondeau.train.TrainingSettings`.
        validation_fraction: the part of each series, its end, on which when to stop and how wide intervals are is decided;
            None: none is held back.
        patience: epochs without progress after which training stops; the best weights are kept.
        random_state: a whole number for the same numbers each time.
        warm_start: whether another `fit` goes on with the weights that there are.
        verbose: whether to print how far training is.
        device: "cpu", "cuda" or "mps".
        backend: as for `rondeau.scan`.
        threads: processor threads while training; as PyTorch has them if not given.

    Attributes:
        network_: what was learned, a `rondeau.models.ForecastNetwork`.
        plan_: what was found out about the series: seasons, lags, calendar.
        history_: the rows of the training's record; the first is of the linear forecast alone.
        settings_: of the training.
        n_features_in_: numbers at each step.
        n_iter_: updates of the weights.

    Example:
        >>> y = np.sin(np.arange(300) * 2 * np.pi / 12)
        >>> model = Forecaster(horizon=6, epochs=1, random_state=0).fit(y)
        >>> bool(np.abs(model.predict(y) - np.sin(np.arange(300, 306) * 2 * np.pi / 12)).max() < 0.05)
        True
    """

    horizon: int = 24
    cell: str | Cell = "gru"
    hidden: int = 64
    layers: int = 1
    dropout: float = 0.1
    head: str = "quantiles"
    context: int | str = "auto"
    seasons: Sequence[int] | str = "auto"
    steps_at_once: int | None = None
    columns: Columns | None = None
    epochs: int | str = 6
    batch_size: int | str = 64
    learning_rate: float = 0.001
    validation_fraction: float | None = 0.2
    patience: int | None = 3
    backend: str = "auto"

    kind: ClassVar[str] = "forecaster"
    _fitted: ClassVar[tuple[str, ...]] = ("plan_", *Learner._fitted)

    # learning

    def begin(self, X: Any, y: Any = None, sample_weight: Any = None, *, seed: int) -> Training:
        """See `Learner.begin`.

        Args:
            X: an array (steps,) or (steps, targets), a list of such arrays, a pandas frame or series, or a
                `rondeau.data.SeriesSet`; frames and sets may bring times and what is known beside. NaN is a missing value.
            y: not used.
            sample_weight: not used; refused.
            seed: decides all that is random.

        Raises:
            InputError: a parameter is out of range, or arrays are not sound.
            DataError: a frame is not sound, or series are too short to learn from.
        """
        self._check(sample_weight)
        going_on = self.warm_start and "network_" in vars(self)
        series = self.plan_.read(X) if going_on else read(X, self.columns)
        series.check(self.horizon)
        self._check_counts(series)
        found = prepare(series, self._pass, self.context, self.seasons, self.validation_fraction)
        if not going_on:
            self.plan_: SeriesPlan = found.plan
            self.n_features_in_ = len(series.targets)
            self.network_ = self._network()
        return self._training(replace(found, plan=self.plan_), seed, going_on)

    def _training(self, prepared: Prepared, seed: int, going_on: bool) -> Training:
        network, held = self.network_.cpu(), prepared.held(self.plan_.shape)
        total = prepared.learned(self.plan_.shape).total
        most = int(np.clip(total // 8, LEAST_WINDOWS, MOST_WINDOWS))
        batches = prepared.learned(self.plan_.shape, batch=self._batch(total), most=most, seed=seed)
        network.skip.fit(self.plan_.recipes, prepared.for_skip())
        if not going_on:
            some = batches.spread(2_000)
            network.measure(some)
            network.skip.measure(some if held is None else held)
        settings = self.settings_ = self._settings(total, held is not None, seed)
        task = Forecasting(batches, held, network.head, self.device)
        end = [Finishing(prepared)]
        training = Training(network, task, optimizer(network, settings), end, settings=settings)
        if held is not None:
            training.evaluation()  # of the linear forecast alone, which may be the best
        return training

    @property
    def _pass(self) -> int:
        """The steps ahead of one pass."""
        return self.horizon if self.steps_at_once is None else min(self.steps_at_once, self.horizon)

    def _network(self) -> ForecastNetwork:
        plan, targets = self.plan_, len(self.plan_.names[0])
        return ForecastNetwork(
            plan.features,
            LagSkip(plan.skip_reach, plan.recipes[0].level, plan.horizon, targets, plan.features.known),
            plan.context,
            _head(self.head),
            cell=self.cell,
            hidden=self.hidden,
            layers=self.layers,
            dropout=self.dropout,
            backend=choice(self.backend),
        )

    def _check(self, sample_weight: Any) -> None:
        if sample_weight is not None:
            raise InputError("a forecaster takes no sample_weight; leave series out, or repeat them")
        check_count("horizon", self.horizon)
        for name in ("context", "steps_at_once"):
            if getattr(self, name) not in ("auto", None):
                check_count(name, getattr(self, name))
        if not isinstance(self.seasons, str):
            for season in self.seasons:
                check_count("a season", season)
        part = self.validation_fraction
        if part is not None and not 0 < part < 1:
            raise InputError(f"validation_fraction is None or a part between 0 and 1, not {part!r}")
        _head(self.head)

    def _check_counts(self, series: SeriesSet) -> None:
        if self.head == "negative_binomial":
            for each in series.items:
                known = each.values[each.observed]
                if (known < 0).any() or (known != known.round()).any():
                    raise InputError(
                        f"series {each.id!r} has {known[(known < 0) | (known != known.round())][0]:g}, and the head "
                        "negative_binomial is for counts, whole numbers from 0 on; choose another head"
                    )

    # forecasting

    def predict(self, X: Any) -> np.ndarray:
        """What comes next: the median of each step ahead.

        Args:
            X: series until now, as for `fit`; other ones than were learned from will do, and longer ones.

        Returns:
            (horizon,) for one series; (series, horizon) for a list or a frame of several; with several targets
            (..., horizon, targets).

        Raises:
            InputError, DataError: they are not sound, or not like those that the model was fitted to.
            NotFittedError: nothing was fitted.
        """
        series, panel = self._panel(X)
        return shaped(self._source.quantiles(panel, None)[..., 0].numpy(), X, series)

    def predict_quantiles(self, X: Any, levels: Sequence[float] = (0.1, 0.5, 0.9)) -> np.ndarray:
        """Quantiles of each step ahead, at levels that go up: as `predict`, and a last axis of levels.

        Raises:
            InputError: as for `predict`, or levels that do not go up between 0 and 1.
        """
        series, panel = self._panel(X)
        return shaped(self._source.quantiles(panel, check_levels(levels)).numpy(), X, series)

    def predict_interval(self, X: Any, coverage: float = 0.8) -> np.ndarray:
        """The lower and the upper end of intervals in which a part ``coverage`` of the values should lie: as `predict`, and a
        last axis of 2.

        Raises:
            InputError: as for `predict`, or a coverage that is not between 0 and 1.
        """
        if not 0 < coverage < 1:
            raise InputError(f"coverage is a part between 0 and 1, such as 0.8, not {coverage!r}")
        return self.predict_quantiles(X, ((1 - coverage) / 2, (1 + coverage) / 2))

    def sample(self, X: Any, count: int = 100, random_state: Any = None) -> np.ndarray:
        """Paths that may come (count, ...), each as `predict` gives it. Steps of one pass are drawn by themselves; with
        ``steps_at_once=1`` each is drawn after the one before.

        Raises:
            InputError: as for `predict`.
        """
        check_count("count", count)
        series, panel = self._panel(X)
        draw = torch.Generator().manual_seed(seed_of(random_state))
        return shaped(self._source.paths(panel, count, draw).numpy(), X, series, before=1)

    def score(self, X: Any, y: Any = None) -> float:
        """How much better than repeating the season, or the last value: 1 less the ratio of the mean absolute errors, over all
        moments of series that are given with what came; 1 is perfect, 0 no better.

        Raises:
            InputError: as for `predict`, or series no longer than the horizon.
        """
        check_is_fitted(self, "network_")
        return backtest(self._source, X).skill

    def backtest(self, X: Any, last: int | None = None, stride: int = 1, levels: Sequence[float] = (0.1, 0.5, 0.9)) -> Any:
        """See `rondeau.estimators.backtest`."""
        check_is_fitted(self, "network_")
        return backtest(self._source, X, last=last, stride=stride, levels=levels)

    @property
    def _source(self) -> Source:
        return Source(self.network_, self.plan_, self.horizon)

    def _panel(self, X: Any) -> tuple[SeriesSet, Panel]:
        check_is_fitted(self, "network_")
        series = self.plan_.read(X)
        series.check_ahead(self.horizon)
        return series, Panel(series, self.plan_.covariates, self.horizon)


def shaped(values: np.ndarray, X: Any, series: SeriesSet, before: int = 0) -> np.ndarray:
    """Values (..., series, horizon, targets, ...) without the axes that one series or one target does not need; ``before`` axes
    come first."""
    if len(series.targets) == 1:
        values = values.squeeze(before + 2)
    several = isinstance(X, (list, tuple)) and np.ndim(X[0]) > 0
    return values.squeeze(before) if len(series) == 1 and not several else values


def _head(name: str) -> Head:
    if name not in HEADS:
        raise InputError(f"head is {', '.join(list(HEADS)[:-1])} or {list(HEADS)[-1]}, not {name!r}")
    return HEADS[name]()


def check_count(name: str, value: Any) -> None:
    """Refuses what is no positive whole number.

    Raises:
        InputError: it is not.
    """
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} is a positive whole number, not {value!r}")
