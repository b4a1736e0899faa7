"""Widths of vectors: sums of named sizes with rational factors, such as ``hidden``, ``hidden/4`` or ``2*hidden - 1``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from rondeau.errors import CellError, InputError

_TERM = re.compile(r"(?:(\d{1,9})\s*\*\s*)?([A-Za-z_]\w*)(?:\s*/\s*(\d{1,9}))?|(\d{1,9})")
_SIGNED = re.compile(r"\s*([+-])([^+-]*)")


@dataclass(frozen=True)
class Width:
    """A number of features: a constant plus named sizes times rational factors.

    ``terms`` holds ``(name, factor)`` sorted by name; the constant has the empty name.
    """

    terms: tuple[tuple[str, Fraction], ...]

    def __post_init__(self) -> None:
        # widths are bound and hashed at every run, and fractions are slow
        plain = len(self.terms) == 1 and self.terms[0][1] == 1 and self.terms[0][0]
        object.__setattr__(self, "_plain", plain or None)
        object.__setattr__(self, "_hash", hash(self.terms))

    def __hash__(self) -> int:
        return int(self.__dict__["_hash"])

    @staticmethod
    def of(value: Width | str | int) -> Width:
        """The width that ``value`` writes: ``Width.of("2*hidden + 1")``.

        Raises:
            CellError: it is neither a whole number nor a sum of sizes.
        """
        if isinstance(value, Width):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return _collect({"": Fraction(value)})
        if not isinstance(value, str):
            raise CellError(f"a width is a whole number or a text such as 'hidden', not {value!r}")
        return _collect(_parse(value))

    @property
    def names(self) -> frozenset[str]:
        """The named sizes that occur."""
        return frozenset(name for name, _ in self.terms if name)

    @property
    def number(self) -> Fraction | None:
        """The number that it is for all sizes, if no named size occurs."""
        return None if self.names else sum((factor for _, factor in self.terms), Fraction(0))

    @property
    def is_one(self) -> bool:
        """Whether this is the width of a scalar, which stretches to any other width."""
        return self.terms == (("", Fraction(1)),)

    def __add__(self, other: Width) -> Width:
        total = dict(self.terms)
        for name, factor in other.terms:
            total[name] = total.get(name, Fraction(0)) + factor
        return _collect(total)

    def __sub__(self, other: Width) -> Width:
        return self + other.scaled(Fraction(-1))

    def scaled(self, factor: Fraction | int) -> Width:
        """This width times ``factor``."""
        return _collect({name: value * factor for name, value in self.terms})

    def bind(self, sizes: Mapping[str, int]) -> int:
        """The number of features once the named sizes are known.

        Raises:
            InputError: a size is missing, or does not divide as the width asks.
        """
        plain = self.__dict__["_plain"]
        if plain is not None and plain in sizes:
            return sizes[plain]
        missing = sorted(self.names - sizes.keys())
        if missing:
            raise InputError(f"the size {missing[0]!r} is not known; give it by name, as {missing[0]}=...")
        total = sum((factor * (sizes[name] if name else 1) for name, factor in self.terms), Fraction(0))
        if total.denominator != 1 or total < 0:
            given = ", ".join(f"{name}={sizes[name]}" for name in sorted(self.names))
            raise InputError(f"the width {self} is not a whole number of features for {given}; choose a size that divides")
        return int(total)

    def __str__(self) -> str:
        text = " + ".join(_spell(name, factor) for name, factor in reversed(self.terms)) or "0"
        return text.replace("+ -", "- ")


def _spell(name: str, factor: Fraction) -> str:
    if not name:
        return str(factor)
    head = {1: "", -1: "-"}.get(factor.numerator, f"{factor.numerator}*")
    tail = "" if factor.denominator == 1 else f"/{factor.denominator}"
    return f"{head}{name}{tail}"


def _collect(terms: Mapping[str, Fraction]) -> Width:
    return Width(tuple(sorted((name, factor) for name, factor in terms.items() if factor)))


def _parse(text: str) -> dict[str, Fraction]:
    total: dict[str, Fraction] = {}
    for sign, part in _SIGNED.findall(text if text.lstrip()[:1] == "-" else f"+{text}"):
        match = _TERM.fullmatch(part.strip())
        if match is None:
            raise CellError(
                f"{text[:80]!r} is not a width; write a size as 'hidden', '2*hidden', 'hidden/4', '3', or a sum of those"
            )
        times, name, over, number = match.groups()
        if over and not int(over):
            raise CellError(f"the width {text!r} divides by zero")
        factor = Fraction(int(number)) if number else Fraction(int(times or 1), int(over or 1))
        total[name or ""] = total.get(name or "", Fraction(0)) + (-factor if sign == "-" else factor)
    return total


ONE = Width.of(1)
