"""Tokenizers: characters, bytes, words."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rondeau.errors import DataError, InputError

UNKNOWN = "<unk>"
_WORD = re.compile(r" ?[^\W_]+(?:'[^\W_]+)*|[^\S\n]+(?=\S)|\n| ?[^\w\s]|\s|_")


class Tokenizer:
    """Text to the numbers of tokens and back.

    ``kind`` says how; ``size`` is the number of different tokens. Make one with `tokenizer`, or read one with
    `Tokenizer.from_json`.
    """

    kind = ""

    @property
    def size(self) -> int:
        """How many different tokens there are."""
        raise TypeError("make a tokenizer with rondeau.data.tokenizer(kind, text)")

    def encode(self, text: str) -> Tensor:
        """``text`` as tokens (tokens,), int64.

        Raises:
            DataError: a character was never seen, and the kind has no token for unknowns.
        """
        raise TypeError("make a tokenizer with rondeau.data.tokenizer(kind, text)")

    def decode(self, tokens: Tensor) -> str:
        """The text of tokens (tokens,)."""
        raise TypeError("make a tokenizer with rondeau.data.tokenizer(kind, text)")

    def unknowns(self, text: str) -> int:
        """How many tokens of ``text`` are unknown."""
        return 0

    def encodable(self, text: str) -> str:
        """``text`` without what `encode` refuses: the characters outside an alphabet."""
        return text

    def settings(self) -> dict[str, Any]:
        """What, beside the kind, makes an equal tokenizer again."""
        return {}

    def checked(self) -> Tokenizer:
        """The tokenizer itself, once it is known to tell all its tokens apart.

        Raises:
            ValueError: there are none, two are equal, or one is no text.
        """
        tokens = next(iter(self.settings().values()), "any")
        if not len(tokens) or len(set(tokens)) < len(tokens) or not all(isinstance(token, str) for token in tokens):
            raise ValueError("its tokens are not different texts")
        return self

    def to_json(self) -> str:
        """The tokenizer as JSON text."""
        return json.dumps({"kind": self.kind, **self.settings()})

    @staticmethod
    def from_json(text: str) -> Tokenizer:
        """The tokenizer that `to_json` wrote.

        Raises:
            DataError: the text is not one.
        """
        try:
            body = json.loads(text)
            kind = KINDS[body.pop("kind")]
            return kind(**body).checked()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DataError("this text is not a tokenizer in JSON; write one with tokenizer.to_json()") from error


class Characters(Tokenizer):
    """One token a character of the alphabet, in the order of their code points."""

    kind = "characters"

    def __init__(self, alphabet: str) -> None:
        self.alphabet = alphabet
        codes = np.array([ord(c) for c in alphabet], dtype=np.int64)
        self._table = np.full(int(codes.max(initial=0)) + 2, -1, dtype=np.int64)
        self._table[codes] = np.arange(len(codes))

    @property
    def size(self) -> int:
        """The size of the alphabet."""
        return len(self.alphabet)

    def encode(self, text: str) -> Tensor:
        """See `Tokenizer.encode`."""
        codes = _code_points(text)
        ids = self._table[np.minimum(codes, len(self._table) - 1)]
        missing = np.flatnonzero(ids < 0)
        if len(missing):
            where = int(missing[0])
            raise DataError(
                f"the character {text[where]!r} at position {where} does not occur in the text that was learned; "
                "leave it out, or train with --tokenizer bytes, which knows every character"
            )
        return torch.from_numpy(ids)

    def unknowns(self, text: str) -> int:
        """How many characters are not in the alphabet."""
        codes = _code_points(text)
        return int((self._table[np.minimum(codes, len(self._table) - 1)] < 0).sum())

    def encodable(self, text: str) -> str:
        """See `Tokenizer.encodable`."""
        return "".join(filter(set(self.alphabet).__contains__, text))

    def decode(self, tokens: Tensor) -> str:
        """See `Tokenizer.decode`."""
        return "".join(map(self.alphabet.__getitem__, tokens.tolist()))

    def settings(self) -> dict[str, Any]:
        """The alphabet."""
        return {"alphabet": self.alphabet}


class Bytes(Tokenizer):
    """The 256 bytes of UTF-8: every text can be encoded."""

    kind = "bytes"

    @property
    def size(self) -> int:
        """256."""
        return 256

    def encode(self, text: str) -> Tensor:
        """See `Tokenizer.encode`."""
        raw = np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8)
        return torch.from_numpy(raw.astype(np.int64))

    def decode(self, tokens: Tensor) -> str:
        """The text; bytes that make no character become the replacement character."""
        return bytes(tokens.tolist()).decode("utf-8", "replace")


class Words(Tokenizer):
    """Words with the space before them, punctuation, and line ends; rare ones become unknown."""

    kind = "words"

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self._index = {word: i for i, word in enumerate(words)}

    @property
    def size(self) -> int:
        """The vocabulary, with the token for unknowns."""
        return len(self.words)

    def encode(self, text: str) -> Tensor:
        """See `Tokenizer.encode`; words outside the vocabulary get the token 0."""
        return torch.tensor([self._index.get(word, 0) for word in split_words(text)], dtype=torch.int64)

    def unknowns(self, text: str) -> int:
        """How many words are outside the vocabulary."""
        return sum(word not in self._index for word in split_words(text))

    def decode(self, tokens: Tensor) -> str:
        """See `Tokenizer.decode`."""
        return "".join(f" {UNKNOWN}" if i == 0 else self.words[i] for i in tokens.tolist())

    def settings(self) -> dict[str, Any]:
        """The vocabulary."""
        return {"words": self.words}


KINDS: dict[str, type[Any]] = {"characters": Characters, "bytes": Bytes, "words": Words}
"""The kinds by name."""


def split_words(text: str) -> list[str]:
    """``text`` in words, each with the one space before it, punctuation marks and white space; joined they are the text.

    Example:
        >>> split_words("To be, or not")
        ['To', ' be', ',', ' or', ' not']
    """
    return _WORD.findall(text)


def tokenizer(kind: str, text: str, limit: int | None = None) -> Tokenizer:
    """The tokenizer of that kind for ``text``.

    Args:
        kind: ``characters``, ``bytes`` or ``words``.
        text: what is to be learned.
        limit: for words: the size of the vocabulary, the most frequent ones (20,000 if not given).

    Raises:
        InputError: no such kind, or a limit below 2.
    """
    if kind not in KINDS:
        raise InputError(f"the tokenizer is one of {', '.join(KINDS)}, not {kind!r}")
    if limit is not None and (kind != "words" or limit < 2):
        raise InputError(f"a vocabulary limit is for words, and at least 2; got {limit} for {kind}")
    if kind == "characters":
        return Characters("".join(sorted(set(text))))
    if kind == "bytes":
        return Bytes()
    counts = Counter(split_words(text))
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return Words([UNKNOWN, *ranked[: (limit or 20_000) - 1]])


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.int64)
