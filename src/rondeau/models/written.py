"""`Written`: what a search has written so far, as one step after another, and each hypothesis as a whole from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A sequence that was written.

    Args:
        tokens: without the end (steps,).
        log_probability: of the sequence, its end counted, in nats.
        score: what it is ranked by.
        ended: whether it came to its end; False where it was cut at the longest length.
        attention: where each step looked, the end too (steps + 1, source), if that was asked for.
    """

    tokens: Tensor
    log_probability: float
    score: float
    ended: bool
    attention: Tensor | None


@dataclass(frozen=True)
class Ending:
    """A hypothesis as a search leaves it: of which source, after how many steps, in which row of that step."""

    source: int
    steps: int
    row: int
    log_probability: float
    score: float
    ended: bool


class Written:
    """Steps of a search: the token of every row, the row of the step before that it goes on from, and where that looked."""

    def __init__(self) -> None:
        self.endings: list[Ending] = []
        self._tokens: list[np.ndarray] = []
        self._before: list[np.ndarray] = []
        self._looks: list[np.ndarray] = []

    def look(self, weights: Tensor) -> None:
        """Notes where the rows of a step looked (rows, time)."""
        self._looks.append(weights.cpu().numpy())

    def add(self, tokens: np.ndarray, before: np.ndarray) -> None:
        """Adds a step: tokens (rows,), and the rows of the step before that they go on from."""
        self._tokens.append(tokens)
        self._before.append(before)

    def keep(self, rows: np.ndarray) -> None:
        """Leaves these rows of the last step alone."""
        self._tokens[-1], self._before[-1] = self._tokens[-1][rows], self._before[-1][rows]

    def hypotheses(self, lengths: list[int]) -> list[list[Hypothesis]]:
        """The hypotheses of each source, those that ended first, the best before others; ``lengths`` are the sources'."""
        found: list[list[Hypothesis]] = [[] for _ in lengths]
        ranked = sorted(self.endings, key=lambda each: (not each.ended, -each.score))
        tokens, looks = self._traced(ranked)
        for i, each in enumerate(ranked):
            seen = torch.from_numpy(looks[i, : each.steps + each.ended, : lengths[each.source]].copy()) if len(looks) else None
            text = torch.from_numpy(tokens[i, : each.steps].copy())
            found[each.source].append(Hypothesis(text, each.log_probability, each.score, each.ended, seen))
        return found

    def _traced(self, endings: list[Ending]) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (endings, steps) and where each step looked (endings, steps + 1, time), from the last step to the first."""
        steps, rows = (np.array([getattr(each, name) for each in endings], np.int64) for name in ("steps", "row"))
        most = int(steps.max(initial=0))
        tokens = np.zeros((len(endings), most), np.int64)
        looks = np.zeros((len(endings), most + 1, self._looks[0].shape[1]), np.float32) if self._looks else np.zeros(0)
        for step in range(most, -1, -1):
            on = np.flatnonzero(steps >= step)
            if step < len(self._looks):
                looks[on, step] = self._looks[step][rows[on]]
            if step:
                tokens[on, step - 1] = self._tokens[step - 1][rows[on]]
                rows[on] = self._before[step - 1][rows[on]]
        return tokens, looks
