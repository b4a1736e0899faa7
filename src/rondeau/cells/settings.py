"""Checks of the settings that cells and mechanisms take."""

from __future__ import annotations

import math
from numbers import Real

from rondeau.errors import InputError


def whole(name: str, value: object, least: int, meaning: str) -> int:
    """``value`` itself, a whole number from ``least``.

    Raises:
        InputError: it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} is {meaning}, a whole number from {least}, not {value!r}")
    return value


def number(name: str, value: object) -> float:
    """``value`` itself, a finite number.

    Raises:
        InputError: it is not.
    """
    if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
        raise InputError(f"{name} is a finite number, not {value!r}")
    return float(value)


def part(name: str, value: object) -> float:
    """``value`` itself, a number above 0 and up to 1.

    Raises:
        InputError: it is not.
    """
    if not 0 < number(name, value) <= 1:
        raise InputError(f"{name} lies above 0 and up to 1, not {value!r}")
    return number(name, value)


def probability(name: str, value: object) -> float:
    """``value`` itself, a number from 0 up to but not including 1.

    Raises:
        InputError: it is not.
    """
    if not 0 <= number(name, value) < 1:
        raise InputError(f"{name} is a probability from 0 up to but not including 1, not {value!r}")
    return number(name, value)
