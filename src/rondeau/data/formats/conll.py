"""Files of tagged sentences: a token a line with columns behind it, a blank line between sentences, as CoNLL has them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rondeau.data.columns import Columns
from rondeau.data.formats.lines import Lines
from rondeau.data.numeric import shown
from rondeau.data.parts import Part, Reading
from rondeau.errors import DataError

_MOST = 1000
"""Sentences in a part."""
_CONLL_U = 10
"""The columns of CoNLL-U, of which the second is the word and the fourth its universal part of speech."""
_NOT_A_WORD = re.compile(r"\d+[-.]\d+")
"""The first column where CoNLL-U has several words in one, or a word that is not written."""


def read_conll(lines: Lines, columns: Columns, goals: bool = True) -> Reading:
    """The sentences of a file, as lists of tokens, with a label for each token.

    Lines before a sentence that begin with ``# ``, and ``-DOCSTART-``, are not read; of CoNLL-U neither are ranges such as 1-2.

    Args:
        lines: those of the file.
        columns: ``text`` and ``label`` as numbers from 1 on; not needed where there are two columns or the ten of CoNLL-U.
        goals: whether to take the labels.

    Raises:
        DataError: a line has more or fewer columns than the first, or it is not clear which column is which.
    """
    first = next(((number, line) for number, line in enumerate(lines.head(), 1) if _is_token(line)), None)
    if first is None:
        raise DataError(f"{lines.name} holds no token in its first lines; give a token a line and its label behind it")
    separator = "\t" if "\t" in first[1].strip() else None
    width = len(_split(first[1], separator))
    token, tag = _chosen(columns, width, first, lines.name, goals)
    what = f"{lines.name}: CoNLL columns, token in column {token + 1}" + (f", label in column {tag + 1}" if goals else "")
    return Reading(lines.name, _parts(lines, separator, width, (token, tag if goals else -1)), "tokens", (what,))


def _is_token(line: str, inside: bool = False) -> bool:
    """Whether a line holds a token; inside a sentence # is one, before it a comment."""
    comment = line.startswith(("# ", "#\t")) or line.strip() == "#"
    return bool(line.strip()) and not line.startswith("-DOCSTART-") and (inside or not comment)


def _split(line: str, separator: str | None) -> list[str]:
    return line.strip("\r\n").split(separator) if separator else line.split()


def _chosen(columns: Columns, width: int, first: tuple[int, str], source: str, goals: bool) -> tuple[int, int]:
    """The places of token and label."""
    usual = {1: ("1", ""), 2: ("1", "2"), _CONLL_U: ("2", "4")}.get(width, ("", ""))
    token, tag = columns.text or usual[0], columns.label or usual[1]
    names = {"text": token, "label": tag} if goals else {"text": token}
    for part, number in names.items():
        if not number.isdecimal() or not 1 <= int(number) <= width:
            said = f"{part} is {number!r}" if number else f"it is not clear which is the {part}"
            raise DataError(
                f"{source}, line {first[0]} has {width} columns, such as {shown(first[1].strip(), 60)}, and {said}; "
                f"give the number of a column from 1 to {width}"
            )
    return int(token) - 1, int(tag) - 1 if goals else -1


def _parts(lines: Lines, separator: str | None, width: int, chosen: tuple[int, int]) -> Iterator[Part]:
    part, begin = Part([], []), 0
    tokens: list[str] = []
    tags: list[str | None] = []
    for number, line in enumerate(lines, 1):
        if _is_token(line, bool(tokens)):
            cells = _split(line, separator)
            _check_width(cells, width, lines.name, number)
            if width != _CONLL_U or not _NOT_A_WORD.fullmatch(cells[0]):
                begin = begin if tokens else number
                tokens.append(cells[chosen[0]])
                tags.append(cells[chosen[1]])
        elif not line.strip() and tokens:
            _end(part, begin, tokens, tags, chosen[1] >= 0)
            tokens, tags = [], []
            if len(part.items) == _MOST:
                yield part
                part = Part([], [])
    if tokens:
        _end(part, begin, tokens, tags, chosen[1] >= 0)
    if part.items:
        yield part


def _check_width(cells: list[str], width: int, source: str, number: int) -> None:
    if len(cells) != width:
        raise DataError(
            f"{source}, line {number} has {len(cells)} columns and the first has {width}; "
            "give each token as many, and a blank line between sentences"
        )


def _end(part: Part, begin: int, tokens: list[str], tags: list[str | None], goals: bool) -> None:
    part.items.append(tokens)
    part.lines.append(begin)
    if goals:
        part.labels.append(tags)
