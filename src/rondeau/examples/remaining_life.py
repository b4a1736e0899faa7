"""How long will it run: the remaining life of machines, from what their sensors have said so far.

A machine wears out along a curve of its own: slowly, then faster, until its wear is 1, after 60 to 240 steps. Four sensors show
it badly: a temperature that also follows the load, a vibration that grows late, a pressure that falls, and one that shows
nothing. All are noisy, and each machine has offsets of its own. What is read ends anywhere in a machine's life; asked is how
many steps are left, at most 125, since before that nothing can be known. Whole machines are held out.

What costs nothing is the mean, and a ridge regression on the mean, spread, beginning, end and trend of each sensor.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rondeau.data import Sequences, Targets, sequences_of
from rondeau.estimators import SequenceRegressor
from rondeau.estimators.floors import regression_floors
from rondeau.examples.outcome import Outcome, drawing, saved

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 125  # steps of life that are asked for
LEAST = 10  # steps that are read


def machine(draw: np.random.Generator) -> np.ndarray:
    """All that the sensors of one machine say until it breaks, (steps, 4)."""
    life, late = int(draw.integers(60, 241)), draw.uniform(2.0, 5.0)
    steps = np.arange(1, life + 1)
    wear = 0.2 * steps / life + 0.8 * (steps / life) ** late
    load = np.cumsum(draw.normal(0, 0.15, life)) * 0.3
    clean = np.stack([20 * wear + 6 * load, 4 * wear**3, -8 * wear + load, np.zeros(life)], 1)
    return clean + draw.normal(0, [3.0, 0.4, 1.5, 1.0], (life, 4)) + draw.normal(0, [2.0, 0.2, 1.0, 1.0], (1, 4))


def machines(draw: np.random.Generator, count: int) -> Sequences:
    """So many machines, each read up to some step, with what is left."""
    seen, left = [], []
    for _ in range(count):
        whole = machine(draw)
        end = int(draw.integers(LEAST, len(whole)))
        seen.append(whole[:end])
        left.append(float(min(len(whole) - end, MOST)))
    return sequences_of(seen, left, goal="target")


def recipe(out: Path, seed: int = 1, effort: float = 1.0) -> Outcome:
    """Learns from 1,000 machines, and asks of 400 others."""
    draw = np.random.default_rng(seed)
    train, test = machines(draw, max(30, int(1000 * effort))), machines(draw, max(20, int(400 * effort)))
    model = SequenceRegressor(loss="absolute", random_state=seed)
    if effort < 1:
        model.set_params(epochs=max(1, int(30 * effort)), members=1)
    said = model.fit(train).predict(test)
    assert isinstance(test.goal, Targets)
    true = test.goal.values[:, 0]
    floors = {name: float(np.abs(found[:, 0] - true).mean()) for name, found in regression_floors(train, test).items()}
    scores = {"SequenceRegressor": float(np.abs(said - true).mean())}
    return Outcome("mean absolute error, steps of life", scores, floors, saved(drawn(true, said), out, "remaining_life"))


def drawn(true: np.ndarray, said: np.ndarray) -> Figure:
    """What was said beside what came."""
    figure, (axes,) = drawing(high=5.0)
    axes.plot([0, MOST], [0, MOST], color="lightgrey")
    axes.plot(true, said, "o", markersize=3, alpha=0.5)
    axes.set(xlabel="steps of life left", ylabel="said", title="remaining life of machines that were held out")
    return figure
