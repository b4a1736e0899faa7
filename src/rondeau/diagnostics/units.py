"""Gates and units along a text, and which of them track something in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import nn

from rondeau.diagnostics.runs import Forward, captured
from rondeau.errors import InputError

OPENING, CLOSING = "([{", ")]}"


@dataclass(frozen=True, eq=False)
class Gates:
    """Every named value of every layer at every step, such as ``0.f``: (batch, time, width), without units; not a number past
    the length of a sequence."""

    values: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Tracking:
    """How closely every unit follows signals.

    Attributes:
        correlations: by name of the value and of the signal: (width,), Pearson's correlation from -1 to 1; 0 where a unit or
            the signal stands still.
    """

    correlations: Mapping[str, Mapping[str, np.ndarray]]

    def best(self, signal: str, count: int = 5) -> list[tuple[str, int, float]]:
        """The units that follow a signal most closely, up or down: the name of the value, the unit, the correlation."""
        found = [
            (name, unit, float(value))
            for name, by_signal in self.correlations.items()
            for unit, value in enumerate(by_signal[signal])
        ]
        return sorted(found, key=lambda each: -abs(each[2]))[:count]


def gates(model: nn.Module, forward: Forward, names: Sequence[str] = ()) -> Gates:
    """The gates and other named values of a model's recurrent layers at every step.

    Args:
        model: any module with recurrent layers in it.
        forward: runs the model, as ``lambda: model(x)``.
        names: those of the equations that are wanted, as ``("f", "c")``; all if not given.

    Raises:
        InputError: nothing recurrent ran, or no cell has such an equation.

    Example:
        >>> from rondeau.nn import Recurrent
        >>> layer = Recurrent("lstm", 3, 4)
        >>> found = gates(layer, lambda: layer(torch.randn(2, 9, 3)), ("f", "c"))
        >>> {name: value.shape for name, value in found.values.items()}
        {'layer.f': (2, 9, 4), 'layer.c': (2, 9, 4)}
    """
    with torch.no_grad():
        _, runs = captured(model, forward, trace=tuple(names))
    known = {equation.name for run in runs for equation in run.cell.equations}
    for name in names:
        if name not in known:
            raise InputError(f"no cell of this model has an equation {name!r}; there are {', '.join(sorted(known))}")
    found = {}
    for run in runs:
        past = torch.arange(run.x.shape[1]) >= run.lengths[:, None]
        for name, value in run.traced.items():
            found[f"{run.name}.{name}"] = value.cpu().masked_fill(past[..., None], torch.nan).numpy()
    return Gates(found)


def tracking(found: Gates, signals: Mapping[str, Sequence[float] | np.ndarray]) -> Tracking:
    """How closely every unit follows signals that have a value at every step.

    Args:
        found: the units, as `gates` finds them.
        signals: by name, (time,) for a batch of one sequence or (batch, time); `text_signals` makes some of a text.

    Raises:
        InputError: a signal does not have the steps of the units.
    """
    correlations = {}
    for name, values in found.values.items():
        shaped = {key: np.atleast_2d(np.asarray(signal, float)) for key, signal in signals.items()}
        for key, signal in shaped.items():
            if signal.shape != values.shape[:2]:
                raise InputError(
                    f"the signal {key!r} has the shape {signal.shape}, but {name} runs over {values.shape[:2]}; give one a step"
                )
        known = np.isfinite(values).all(-1)
        correlations[name] = {key: _correlation(values[known], signal[known]) for key, signal in shaped.items()}
    return Tracking(correlations)


def _correlation(values: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each column with the signal."""
    centred, other = values.astype(float) - values.mean(0), signal - signal.mean()
    scale = np.linalg.norm(centred, axis=0) * np.linalg.norm(other)
    moving = scale > 1e-9 * max(len(signal), 1)
    found: np.ndarray = np.where(moving, other @ centred / np.where(moving, scale, 1), 0.0)
    return found


def text_signals(text: str) -> dict[str, np.ndarray]:
    """What a unit might track in a text, (characters,) each: ``quotes``, whether a character stands within quotation marks;
    ``line``, how many characters its line has before it; ``depth``, how many brackets are open after it.

    Example:
        >>> {name: values.tolist() for name, values in text_signals('a "b"').items()}
        {'quotes': [0, 0, 1, 1, 0], 'line': [0, 1, 2, 3, 4], 'depth': [0, 0, 0, 0, 0]}
    """
    quotes = accumulate(letter == '"' for letter in text)
    steps = ((letter in OPENING) - (letter in CLOSING) for letter in text)
    depth = accumulate(steps, lambda open, step: max(open + step, 0), initial=0)
    line = [place - text.rfind("\n", 0, place) - 1 for place in range(len(text))]
    return {
        "quotes": np.array([count % 2 for count in quotes]),
        "line": np.array(line, int),
        "depth": np.array(list(depth)[1:], int),
    }
