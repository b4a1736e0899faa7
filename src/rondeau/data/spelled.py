"""How words are written, as numbers: what a word that was never seen has in common with others."""

from __future__ import annotations

import zlib
from functools import lru_cache

LONGEST = 5  # letters of a beginning or an end
BUCKETS = 1 << 15
PIECES = 2 * (LONGEST - 1) + 2
"""How many numbers there are to a word."""


@lru_cache(maxsize=1 << 17)
def spelling(word: str, buckets: int = BUCKETS) -> tuple[int, ...]:
    """What a word begins and ends with, and which kinds of characters it has, as `PIECES` numbers from 0 to ``buckets``.

    Of the word in small letters with marks around it, ``<word>``, the first and the last two to five characters; and the kinds
    of its characters, runs of a kind as one, at the beginning and all along. Each is hashed by CRC-32, the same on every
    machine; numbers of different texts may be equal.

    Example:
        >>> len(spelling("Tokenised")) == PIECES
        True
        >>> len(set(spelling("tokenised")) & set(spelling("realised")))
        6
    """
    marked, kinds = f"<{word.lower()}>", _kinds(word)
    starts = [f"start {marked[:n]}" for n in range(2, LONGEST + 1)]
    ends = [f"end {marked[-n:]}" for n in range(2, LONGEST + 1)]
    texts = [*starts, *ends, f"first kind {kinds[:1]}", f"kinds {kinds}"]
    return tuple(zlib.crc32(text.encode("utf-8", "surrogatepass")) % buckets for text in texts)


def _kinds(word: str) -> str:
    """The kinds of a word's characters, runs of a kind as one: ``Mid-1990s`` is ``Xx-9x``."""
    found = ""
    for character in word:
        kind = "X" if character.isupper() else "9" if character.isdigit() else "x" if character.isalpha() else character
        found += "" if found.endswith(kind) else kind
    return found
