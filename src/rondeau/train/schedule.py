"""Schedules: which part of the highest learning rate is left, after the warm-up."""

from __future__ import annotations

import math
from collections.abc import Callable

from rondeau.errors import InputError
from rondeau.train.methods import SCHEDULES, options
from rondeau.train.settings import TrainingSettings


class Schedule:
    """A curve over the rest of the run after the warm-up, from 0 to 1. Nothing else decides, so there is no state to keep.

    Args:
        curve: the part of the learning rate that is left there.
        floor: the least part.
    """

    def __init__(self, curve: Callable[[float], float], floor: float = 0.0) -> None:
        self.curve, self.floor = curve, floor

    def begin(self) -> None:
        """Begins anew, as when more is asked of a run."""

    def evaluated(self, better: bool) -> None:
        """Hears whether an evaluation was the best so far."""

    def factor(self, rest: float) -> float:
        """The part of the learning rate that is left at ``rest`` of the run."""
        return max(self.curve(rest), self.floor)

    def state(self) -> list[float]:
        """What going on exactly takes."""
        return []

    def put_state(self, numbers: list[float]) -> None:
        """Goes on where `state` stood."""


class Plateau(Schedule):
    """Multiplies the learning rate by ``factor`` after an evaluation that is not the best so far, when ``patience`` others
    just before it were not either."""

    def __init__(self, factor: float, patience: float, floor: float) -> None:
        super().__init__(lambda rest: self.left, floor)
        self.by, self.patience = factor, patience
        self.begin()

    def begin(self) -> None:
        """See `Schedule.begin`."""
        self.left, self.waited = 1.0, 0

    def evaluated(self, better: bool) -> None:
        """See `Schedule.evaluated`."""
        self.waited = 0 if better else self.waited + 1
        if self.waited > self.patience:
            self.left, self.waited = self.left * self.by, 0

    def state(self) -> list[float]:
        """See `Schedule.state`."""
        return [self.left, float(self.waited)]

    def put_state(self, numbers: list[float]) -> None:
        """See `Schedule.put_state`.

        Raises:
            ValueError: no plateau has these numbers.
        """
        left, waited = numbers
        if not (0 <= left <= 1 and 0 <= waited < 1 << 53 and waited == int(waited)):
            raise ValueError(f"its schedule is {numbers}")
        self.left, self.waited = left, int(waited)


def schedule(settings: TrainingSettings, evaluates: bool) -> Schedule:
    """The schedule that settings name.

    Args:
        settings: of the training.
        evaluates: whether there is held-out data to evaluate on.

    Raises:
        InputError: a plateau needs evaluations, and there are none.
    """
    name = settings.schedule
    own = options(name, SCHEDULES, settings.schedule_options)
    if name == "plateau":
        if not evaluates:
            raise InputError("the schedule plateau waits for evaluations; hold out some data, or choose another schedule")
        return Plateau(**own)
    return Schedule(CURVES[name], **own)


CURVES: dict[str, Callable[[float], float]] = {
    "constant": lambda rest: 1.0,
    "linear": lambda rest: 1 - rest,
    "cosine": lambda rest: 0.5 * (1 + math.cos(math.pi * min(rest, 1.0))),
}
