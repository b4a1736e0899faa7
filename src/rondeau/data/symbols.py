"""`Symbols`: the tokens of texts that are read and written, as numbers and back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rondeau.data.tokenizers import split_words
from rondeau.errors import DataError, InputError

UNKNOWN, END = 0, 1
FIRST = 2
"""The number of the first token; those before it stand for what is unknown, and for where a sequence ends and begins."""
UNITS = ("characters", "words", "tokens")
UNKNOWN_TEXT = "<unk>"


@dataclass(frozen=True, eq=False)
class Symbols:
    """The tokens of texts or of lists of tokens: numbers from 2 on; 0 stands for all others, 1 for the end.

    Words keep the space before them, so that tokens joined are the text again.

    Args:
        unit: what a token is: "characters", "words" or "tokens".
        tokens: those that are known.

    Raises:
        InputError: there is no such unit, or two tokens are equal.

    Example:
        >>> symbols = Symbols.of(["to be, or not to be"], "words")
        >>> symbols.encode("to see").tolist(), symbols.decode(symbols.encode("to be"))
        ([7, 0], 'to be')
    """

    unit: str
    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise InputError(f"the unit of tokens is {', '.join(UNITS[:-1])} or {UNITS[-1]}, not {self.unit!r}")
        numbers = {token: number for number, token in enumerate(self.tokens, FIRST)}
        if len(numbers) < len(self.tokens) or not all(isinstance(token, str) for token in self.tokens):
            raise InputError("the tokens of symbols are different texts; leave out those that come twice")
        object.__setattr__(self, "_numbers", numbers)

    @staticmethod
    def of(items: Sequence[Any], unit: str = "auto", *, most: int = 50_000, least: int = 1) -> Symbols:
        """The most frequent tokens of texts or of lists of tokens.

        Args:
            items: texts, or lists of tokens.
            unit: what a token is; "auto": characters of texts, and tokens of lists.
            most: how many at most.
            least: how often a token must occur.

        Raises:
            InputError: there is no such unit, or it is for other items.
        """
        texts = isinstance(items[0], str)
        if unit == "auto":
            unit = "characters" if texts else "tokens"
        if unit in UNITS and texts is (unit == "tokens"):
            have, fits = ("texts", "characters or words") if texts else ("lists of tokens", "tokens")
            raise InputError(f"the unit is {unit!r}, and the sequences are {have}; choose {fits}, or auto")
        empty = Symbols(unit, ())
        counts = Counter(token for item in items for token in empty.pieces(item))
        ranked = sorted((token for token in counts if counts[token] >= least), key=lambda token: (-counts[token], token))
        return Symbols(unit, tuple(ranked[:most]))

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return FIRST + len(self.tokens)

    def pieces(self, item: Any) -> list[str]:
        """A text or a list of tokens as tokens."""
        return split_words(item) if self.unit == "words" else list(item)

    def encode(self, item: Any) -> Tensor:
        """A text or a list of tokens as numbers (tokens,), without the end."""
        numbers: dict[str, int] = self._numbers  # type: ignore[attr-defined]
        return torch.tensor([numbers.get(token, UNKNOWN) for token in self.pieces(item)], dtype=torch.int64)

    def decode(self, numbers: Iterable[int] | Tensor, instead: Sequence[str] = ()) -> Any:
        """The text, or the list of tokens, of numbers without the end.

        Args:
            numbers: (tokens,).
            instead: for each the token to write where it is unknown; a mark, if there are none.
        """
        return self.joined(self.each(numbers, instead))

    def each(self, numbers: Iterable[int] | Tensor, instead: Sequence[str] = ()) -> list[str]:
        """The token of each number, as for `decode`."""
        listed = numbers.tolist() if isinstance(numbers, Tensor) else list(numbers)
        return [
            self.tokens[number - FIRST] if number >= FIRST else instead[i] if instead else UNKNOWN_TEXT
            for i, number in enumerate(listed)
        ]

    def joined(self, tokens: list[str]) -> Any:
        """The text of tokens, or the list itself where sequences are such."""
        return tokens if self.unit == "tokens" else "".join(tokens)

    def to_json(self) -> str:
        """The symbols as JSON text."""
        return json.dumps({"unit": self.unit, "tokens": self.tokens})

    @staticmethod
    def from_json(text: str) -> Symbols:
        """The symbols that `to_json` wrote.

        Raises:
            DataError: the text is not such.
        """
        try:
            body = json.loads(text)
            return Symbols(body["unit"], tuple(body["tokens"]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError("this text is not symbols in JSON; write some with symbols.to_json()") from error
