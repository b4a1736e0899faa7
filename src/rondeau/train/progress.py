"""How far a run is, and the steps since the last row of its record."""

from __future__ import annotations

import math
from dataclasses import dataclass

ROWS = 50  # rows of training that a run of as many steps has at least
ROW_SECONDS = 1.0  # the longest time between two rows of the record; in a long run a thousandth of its time


@dataclass
class Progress:
    """How far a run is. ``since_step`` and ``since_seconds`` say where its last stretch began: 0, or where `resume` was asked
    for more. ``evaluated`` is the step of the last evaluation, ``best`` the best value of the first metric so far, and
    ``worse`` the number of evaluations since that one."""

    step: int = 0
    seconds: float = 0.0
    best: float = math.inf
    worse: int = 0
    evaluated: int = -1
    since_step: int = 0
    since_seconds: float = 0.0


class Interval:
    """The steps since the last row of the record."""

    def __init__(self, done: float) -> None:
        self.losses: list[float] = []
        self.norm, self.count, self.seconds, self.mark = 0.0, 0.0, 0.0, math.floor(done * ROWS)

    def add(self, loss: float, norm: float, count: float, seconds: float) -> None:
        """One more step."""
        self.losses.append(loss)
        self.norm, self.count, self.seconds = norm, self.count + count, self.seconds + seconds

    def due(self, done: float, progress: Progress) -> bool:
        """Whether it is time for a row: in each of the first steps, in each fiftieth of the run, and after a second."""
        early = progress.step - progress.since_step <= ROWS
        return early or math.floor(done * ROWS) > self.mark or self.seconds >= max(ROW_SECONDS, progress.seconds / 1000)
