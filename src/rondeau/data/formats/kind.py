"""What kind of file something is, from its name or from its first lines."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal, get_args

from rondeau.data.formats.lines import Lines
from rondeau.data.formats.table import delimiter_of
from rondeau.errors import DataError

FileKind = Literal["csv", "tsv", "jsonl", "ts", "conll"]

ENDINGS: dict[str, FileKind] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".ts": "ts",
    ".conll": "conll",
    ".conllu": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".iob2": "conll",
}
"""Endings of files' names, and what such files are."""


def recognised(lines: Lines, kind: str = "") -> FileKind:
    """The kind of a file: as somebody said, as its name ends, or as it begins.

    Args:
        lines: those of the file; none are taken.
        kind: what somebody said, or empty.

    Raises:
        DataError: there is no such kind, the file is empty, or it is none of those that are read.
    """
    if kind:
        known = next((each for each in get_args(FileKind) if each == kind), None)
        if known is None:
            raise DataError(f"the kind of a file is one of {', '.join(get_args(FileKind))}, not {kind!r}")
        return known
    first = [line.strip() for line in lines.head() if line.strip()]
    if not first:
        raise DataError(f"{lines.name} is empty; give a file with data in it")
    return ENDINGS.get(PurePath(lines.name).suffix.lower()) or _by_content(first, lines)


def _by_content(first: list[str], lines: Lines) -> FileKind:
    if first[0].startswith("{"):
        return "jsonl"
    if first[0].startswith("["):
        raise DataError(f"{lines.name} is one JSON list; write one object a line instead")
    if next((line for line in first if line[0] not in "#%"), "").startswith("@"):
        return "ts"
    if "\t" in first[0] and all(line.count("\t") == first[0].count("\t") for line in first):
        return "tsv" if all(line.strip() for line in lines.head()) else "conll"
    if delimiter_of(first[0]) in first[0]:
        return "csv"
    words = [len(line.split()) for line in first if line[0] not in "#-"]
    if len(set(words)) == 1 and words[0] > 1:
        return "conll"
    raise DataError(
        f"{lines.name} is no kind of file that is recognised; name it .csv, .tsv, .jsonl, .ts or .conll, or say which of "
        f"{', '.join(get_args(FileKind))} it is"
    )
