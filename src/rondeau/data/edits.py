"""How far what was written is from what should have been: edit distances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


def edit_distance(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Entries to insert, leave out or replace until one sequence is the other.

    Example:
        >>> edit_distance("kitten", "sitting"), edit_distance([], [1, 2])
        (3, 2)
    """
    numbers: dict[Any, int] = {}
    codes = np.array([numbers.setdefault(each, len(numbers)) for each in other], np.int64)
    places = np.arange(len(codes) + 1)
    row = places.copy()
    for count, each in enumerate(one, 1):
        changed = np.minimum(row[:-1] + (codes != numbers.get(each, -1)), row[1:] + 1)
        row = np.minimum.accumulate(np.concatenate([[count], changed]) - places) + places  # insertions, from left to right
    return int(row[-1])


def error_rate(found: Iterable[Sequence[Any]], wanted: Iterable[Sequence[Any]]) -> float:
    """Edit distances of all pairs over the entries of all that was wanted: the character, word or token error rate.

    Example:
        >>> error_rate(["cat", "dog"], ["cart", "dog"])
        0.14285714285714285
    """
    pairs = list(zip(found, wanted))
    total = sum(len(right) for _, right in pairs)
    return sum(edit_distance(left, right) for left, right in pairs) / max(total, 1)
