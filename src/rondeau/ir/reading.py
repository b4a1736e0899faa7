"""Reading JSON that anybody may have written: every part is of the kind that is expected there, or refused in a sentence."""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Collection
from fractions import Fraction
from typing import Any, NoReturn, TypeVar

from rondeau.errors import CellError
from rondeau.ir.widths import Width

Choice = TypeVar("Choice", bound=str)
MOST_TEXT = 2_000_000
"""The most characters of a document."""
FACTOR = re.compile(r"-?[1-9][0-9]{0,9}(/[1-9][0-9]{0,9})?")


def parsed(text: object) -> Any:
    """What a JSON text says. Names occur once in an object, numbers are finite and not too long.

    Raises:
        CellError: the text is not JSON, or too long.
    """
    if not isinstance(text, str):
        raise CellError(f"a cell is read from text, not from {type(text).__name__}; decode it first")
    if len(text) > MOST_TEXT:
        raise CellError(f"this text has {len(text):,} characters; the JSON of a cell has at most {MOST_TEXT:,}")
    try:
        return json.loads(text, object_pairs_hook=_once, parse_int=_whole, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError, MemoryError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).partition("\n")[0]
        raise CellError(f"this text is not a cell in JSON ({reason}); write one with rondeau.ir.to_json(cell)") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice in an object")
    return found


def _whole(text: str) -> int:
    if len(text) > 18:
        raise ValueError(f"the number {text[:20]}... is too long")
    return int(text)


def _finite(text: str) -> float:
    value = float(text) if len(text) <= 40 else math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no finite number")
    return value


def damaged(what: str, got: object, wanted: str) -> NoReturn:
    """Refuses a part of a document."""
    raise CellError(
        f"this JSON of a cell is damaged: {what} is {reprlib.repr(got)}, not {wanted}; write it again with "
        "rondeau.ir.to_json(cell)"
    )


def fields(value: object, what: str, names: Collection[str]) -> dict[str, Any]:
    """An object of exactly these names."""
    if not isinstance(value, dict):
        damaged(what, value, "an object")
    if set(value) != set(names):
        damaged(f"the names in {what}", sorted(value), ", ".join(names))
    return value


def items(value: object, what: str, most: int) -> list[Any]:
    """A list of up to so many parts."""
    if not isinstance(value, list) or len(value) > most:
        damaged(what, value, f"a list of up to {most:,} parts")
    return value


def row(value: object, what: str, count: int) -> list[Any]:
    """A list of exactly so many parts."""
    if not isinstance(value, list) or len(value) != count:
        damaged(what, value, f"a list of {count} parts")
    return value


def string(value: object, what: str) -> str:
    """A text."""
    if not isinstance(value, str):
        damaged(what, value, "a text")
    return value


def one_of(value: object, what: str, choices: tuple[Choice, ...]) -> Choice:
    """One of a few texts."""
    found = [choice for choice in choices if choice == value and isinstance(value, str)]
    return found[0] if found else damaged(what, value, f"one of {', '.join(choices)}")


def name(value: object, what: str) -> str:
    """A name as in Python, or an empty one."""
    if not isinstance(value, str) or len(value) > 200 or (value and not value.isidentifier()):
        damaged(what, value, "a name")
    return value


def number(value: object, what: str) -> float:
    """A finite number."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        damaged(what, value, "a number")
    return float(value)


def index(value: object, what: str, below: int) -> int:
    """A whole number from zero up to but not including ``below``."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < below:
        damaged(what, value, f"a place before {below}")
    return value


def width(value: object, what: str) -> Width:
    """A width as its terms."""
    terms = []
    for term in items(value, what, 20):
        size, factor = row(term, what, 2)
        if not isinstance(factor, str) or not FACTOR.fullmatch(factor):
            damaged(f"a factor of {what}", factor, "a whole number or a fraction, as text")
        terms.append((name(size, what), Fraction(factor)))
    if [size for size, _ in terms] != sorted({size for size, _ in terms}):
        damaged(what, value, "a sum of different sizes in order")
    return Width(tuple(terms))
