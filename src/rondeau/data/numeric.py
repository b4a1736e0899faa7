"""Numbers from cells: fast where all is well, and the place of the first fault where it is not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from rondeau.errors import DataError

MISSING = frozenset({"", "?", "-", ".", "na", "n/a", "nan", "null", "none"})
"""What stands for a missing number, in small letters."""


def floats(cells: Sequence[Any], place: Callable[[int], str], missing: bool = True) -> np.ndarray:
    """Cells as numbers (cells,), float64, NaN where one is missing.

    Args:
        cells: texts or numbers.
        place: names the cell of an index, for messages.
        missing: whether a number may be missing.

    Raises:
        DataError: a cell is no number, is infinite, or is missing and may not be.

    Example:
        >>> floats(["1", " 2.5", "?"], str)
        array([1. , 2.5, nan])
    """
    try:
        values = np.array(list(map(float, cells)))
    except (ValueError, TypeError, OverflowError):
        values = np.array([_number(cell, place, index) for index, cell in enumerate(cells)])
    wrong = np.isinf(values) if missing else ~np.isfinite(values)
    if wrong.any():
        index = int(wrong.argmax())
        what = "missing" if np.isnan(values[index]) else "infinite"
        raise DataError(f"{place(index)} is {what}; {_REMEDY[what]}")
    return values


_REMEDY = {
    "missing": "every row needs one here: fill it in or leave the row out",
    "infinite": "leave it empty if it is not known, or leave the row out",
}


def is_missing(cell: object) -> bool:
    """Whether a cell stands for a missing number."""
    return cell.strip().lower() in MISSING if isinstance(cell, str) else isinstance(cell, float) and math.isnan(cell)


def is_number(cell: object) -> bool:
    """Whether a cell is a number or a missing one."""
    if isinstance(cell, str):
        try:
            float(cell)
        except ValueError:
            return is_missing(cell)
        return True
    return isinstance(cell, Real) and not isinstance(cell, bool)


def _number(cell: object, place: Callable[[int], str], index: int) -> float:
    if is_missing(cell):
        return math.nan
    if isinstance(cell, (str, Real)):
        try:
            return float(cell)
        except (ValueError, OverflowError):
            pass
    raise DataError(f"{place(index)}: {shown(cell)} is no number; {_hint(cell)}")


def _hint(cell: object) -> str:
    if isinstance(cell, str) and is_number(cell.strip().replace(",", ".", 1)):
        return "write decimals with a point"
    return "correct it, leave it empty if it is not known, or leave the column out"


def shown(cell: object, most: int = 40) -> str:
    """A cell as messages quote it, cut where it is long.

    Example:
        >>> shown("a" * 50, 12), shown([1] * 50, 12)
        ("'aaaaaaa...'", '[1, 1, 1...')
    """
    text = repr(cell)
    return text if len(text) <= most else text[: most - 4] + "..." + text[0] * isinstance(cell, str)
