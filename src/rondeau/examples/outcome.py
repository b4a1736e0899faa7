"""What a recipe ends with: scores beside their floor, and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rondeau.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Outcome:
    """Scores by name, the best of what costs nothing, and where the picture is.

    Args:
        unit: what the scores are, such as "accuracy of the verb".
        scores: what was learned, by the name of the model.
        floors: what costs nothing, on the same data.
        picture: the file.
        lines: what else is worth reading.
    """

    unit: str
    scores: Mapping[str, float]
    floors: Mapping[str, float]
    picture: Path
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        rows = [(name, value, "") for name, value in self.scores.items()]
        rows += [(name, value, "   (floor)") for name, value in self.floors.items()]
        wide = max(len(name) for name, *_ in rows)
        table = [f"  {name:<{wide}}  {value:.4f}{note}" for name, value, note in rows]
        return "\n".join([*self.lines, self.unit, *table, f"picture: {self.picture}"])


def drawing(rows: int = 1, columns: int = 1, *, wide: float = 7.0, high: float = 4.0) -> tuple[Figure, list[Axes]]:
    """A figure and its axes, row by row, that needs no screen.

    Raises:
        DataError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DataError("the picture needs matplotlib: pip install 'rondeau[figures]'") from error
    figure = Figure(figsize=(wide, high), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def saved(figure: Figure, out: Path, name: str) -> Path:
    """Saves a figure as a PNG in the folder ``out``, which is made if need be; the file."""
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / f"{name}.png", dpi=120)
    return out / f"{name}.png"
