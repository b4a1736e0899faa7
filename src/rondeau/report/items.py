"""One sequence in few words, or as a small picture, for a row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from rondeau.data import Sequences
from rondeau.report.page import Html

LONGEST = 160  # characters of a text
LINES = 6  # features that are drawn
POINTS = 120  # of each
WIDTH, HEIGHT = 160, 36  # of a drawing, in pixels


def shown(data: Sequences, places: Sequence[int] | np.ndarray) -> list[str]:
    """The sequences at ``places``, each for a cell of a table: a text as it is, numbers as lines, its name before it."""
    return [_named(data, int(place), _item(data.items[place], data.kind)) for place in places]


def _named(data: Sequences, place: int, what: str) -> str:
    if data.ids is None:
        return what
    name = str(data.ids[place])[:40]
    return Html(f"{escape(name)} {what}") if isinstance(what, Html) else f"{name}: {what}"


def _item(item: Any, kind: str) -> str:
    if kind == "numbers":
        return lines(item)
    text = item if kind == "texts" else " ".join(map(str, item))
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def lines(values: np.ndarray) -> Html:
    """Numbers (steps, features) as a line a feature, each in its own range; gaps where values are missing.

    Example:
        >>> lines(np.array([[0.0], [1.0]])).count("polyline")
        1
    """
    every = max(1, -(-len(values) // POINTS))
    thinned = np.asarray(values, np.float64)[::every, :LINES]
    across = np.linspace(1, WIDTH - 1, len(thinned)) if len(thinned) > 1 else np.array([WIDTH / 2])
    drawn = "".join(_line(across, column) for column in thinned.T)
    steps, features = values.shape
    return Html(
        f'<svg role="img" aria-label="{steps} steps of {features} features" width="{WIDTH}" height="{HEIGHT}" '
        f'fill="none" stroke="currentColor" stroke-width="1">{drawn}</svg>'
    )


def _line(across: np.ndarray, values: np.ndarray) -> str:
    known = ~np.isnan(values)
    if not known.any():
        return ""
    low, high = values[known].min(), values[known].max()
    scaled = (values - low) / (high - low) if high > low else np.where(known, 0.5, np.nan)
    down = HEIGHT - 2 - scaled * (HEIGHT - 4)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y, here in zip(across, down, known) if here)
    return f'<polyline points="{points}" opacity="0.7"/>'
