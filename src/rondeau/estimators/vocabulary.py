"""`Vocabulary`: the tokens that a model knows, and how a text falls into tokens."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rondeau.errors import InputError

UNITS = ("characters", "words", "tokens")
WORDS_FROM = 4  # words that the middle one of the texts must have for words to be read rather than characters
_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


def pieces(item: Any, unit: str) -> Sequence[str]:
    """A sequence as tokens: a text as characters, or as words and marks in lower case; a list of tokens as it is.

    Example:
        >>> pieces("Don't go, Ada!", "words")
        ["don't", 'go', ',', 'ada', '!']
    """
    if unit == "words":
        return _WORD.findall(item.lower()) or [item.strip()]
    return item


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The tokens that a model knows, by number from 1 on; 0 stands for all others.

    Args:
        unit: what a token is: "characters", "words" or "tokens".
        tokens: those that are known.
    """

    unit: str
    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "_numbers", {token: number for number, token in enumerate(self.tokens, 1)})

    @staticmethod
    def of(items: Sequence[Any], unit: str, most: int = 50_000, least: int = 1) -> Vocabulary:
        """The most frequent tokens of sequences.

        Args:
            items: texts, or lists of tokens.
            unit: what a token is; "auto": for texts words, where half of the texts have some, else characters.
            most: how many at most.
            least: how often a token must occur.

        Raises:
            InputError: there is no such unit, or it is for other sequences.
        """
        if unit not in ("auto", *UNITS):
            raise InputError(f"tokens is auto, characters, words or tokens, not {unit!r}")
        texts = isinstance(items[0], str)
        if unit == "auto":
            unit = _unit(items) if texts else "tokens"
        if texts is (unit == "tokens"):
            have, fits = ("texts", "characters or words") if texts else ("lists of tokens", "tokens")
            raise InputError(f"tokens is {unit!r}, and the sequences are {have}; choose {fits}, or auto")
        counts = Counter(token for item in items for token in pieces(item, unit))
        ranked = sorted((token for token in counts if counts[token] >= least), key=lambda token: (-counts[token], token))
        return Vocabulary(unit, tuple(ranked[:most]))

    @property
    def size(self) -> int:
        """How many numbers there are, with that for unknown tokens."""
        return len(self.tokens) + 1

    def encode(self, item: Any) -> Tensor:
        """A sequence as numbers (tokens,)."""
        numbers: dict[str, int] = self._numbers  # type: ignore[attr-defined]
        return torch.tensor([numbers.get(token, 0) for token in pieces(item, self.unit)], dtype=torch.int64)


def _unit(texts: Iterable[str]) -> str:
    return "words" if np.median([len(pieces(text, "words")) for text in texts]) >= WORDS_FROM else "characters"
