"""Tables as they come: CSV, TSV and JSON lines, in chunks of columns, each row with its line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Union

from rondeau.data.formats.lines import Lines
from rondeau.errors import DataError

Cell = Union[str, int, float, "list[Any]"]
"""What a table holds in a place: text as it was written; from JSON a number or a list, and "" for null."""

ROWS = 50_000
"""Rows in a chunk."""

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table: for each name its cells, and for each row the line in the file where it begins."""

    columns: dict[str, Any]
    lines: Sequence[int]

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True)
class Table:
    """A table that is read as it is asked for: its columns' names, its chunks, what it was understood to be, and what its rows
    are called by their numbers."""

    source: str
    names: tuple[str, ...]
    chunks: Iterator[Chunk]
    note: str = ""
    row: str = "line"

    def place(self, line: int, column: str = "") -> str:
        """How a message names a row or a cell."""
        return f"{self.source}, {self.row} {line}" + (f", column {column!r}" if column else "")


def delimiter_of(header: str) -> str:
    """The delimiter of a header: the one of `DELIMITERS` that it holds most of outside quotes, a comma if none.

    Example:
        >>> delimiter_of('"a,b";c;d')
        ';'
    """
    bare = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=bare.count)


def read_csv(lines: Lines, delimiter: str = "", rows: int = ROWS) -> Table:
    """A table of which the first line names the columns.

    Args:
        lines: those of the file.
        delimiter: between cells; empty to take what the header suggests.
        rows: at most so many in a chunk.

    Raises:
        DataError: the header is missing or names a column twice, a row has more or fewer cells, or a quote is never closed.
    """
    delimiter = delimiter or delimiter_of(next(iter(lines.head(1)), ""))
    parsed = _parsed(lines, delimiter)
    _, header = next(parsed, (0, []))
    names = tuple(name.strip() for name in header)
    _check_header(names, lines.name)
    note = f"{lines.name}: {'TSV' if delimiter == chr(9) else 'CSV'}, cells between {DELIMITERS[delimiter]}"
    return Table(lines.name, names, _csv_chunks(parsed, names, lines.name, rows), note)


def _parsed(lines: Lines, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line where it begins."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    begin = 1
    try:
        for row in reader:
            if row and (len(row) > 1 or row[0].strip()):
                yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        hint = (
            "is a quote never closed" if "field larger" in str(error) or "unexpected end" in str(error) else "how is it quoted"
        )
        raise DataError(f"{lines.name}, line {begin}: {error}; {hint}?") from error


def _check_header(names: Sequence[str], source: str) -> None:
    if not names:
        raise DataError(f"{source} is empty; a table begins with a line that names its columns")
    for number, name in enumerate(names):
        if not name:
            raise DataError(f"{source}, line 1: column {number + 1} has no name; name every column in the first line")
        if name in names[:number]:
            raise DataError(f"{source}, line 1: two columns are called {name!r}; give each a name of its own")
    if all(map(_is_number, names)) and any(float(name) % 1 for name in names):
        raise DataError(f"{source}, line 1 holds numbers; a table begins with a line that names its columns")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _csv_chunks(parsed: Iterator[tuple[int, list[str]]], names: Sequence[str], source: str, most: int) -> Iterator[Chunk]:
    width, lines, rows = len(names), [], []
    for line, row in parsed:
        if len(row) != width:
            raise DataError(
                f"{source}, line {line} has {len(row)} cells and the header has {width}; "
                "give each row as many, and quote a cell that holds the delimiter"
            )
        lines.append(line)
        rows.append(row)
        if len(rows) == most:
            yield Chunk(dict(zip(names, zip(*rows))), lines)
            lines, rows = [], []
    if rows:
        yield Chunk(dict(zip(names, zip(*rows))), lines)


def read_json_lines(lines: Lines, rows: int = ROWS) -> Table:
    """A table of which each line is an object; the first object names the columns.

    Args:
        lines: those of the file.
        rows: at most so many in a chunk.

    Raises:
        DataError: a line is no object, lacks a key that the first one has, or holds an object in one.
    """
    first = next((line for line in lines.head() if line.strip()), "")
    names = tuple(_object(first, lines.name, 1)) if first else ()
    if not names:
        raise DataError(f'{lines.name} is empty; each line holds an object such as {{"text": "...", "label": "..."}}')
    return Table(lines.name, names, _json_chunks(lines, names, rows), f"{lines.name}: JSON lines")


def _json_chunks(lines: Lines, names: Sequence[str], most: int) -> Iterator[Chunk]:
    numbers: list[int] = []
    rows: list[list[Cell]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        found = _object(line, lines.name, number)
        rows.append([_cell(found, name, lines.name, number) for name in names])
        numbers.append(number)
        if len(rows) == most:
            yield Chunk(dict(zip(names, zip(*rows))), numbers)
            numbers, rows = [], []
    if rows:
        yield Chunk(dict(zip(names, zip(*rows))), numbers)


def _object(line: str, source: str, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "it cannot be read"
        raise DataError(f"{source}, line {number} is no JSON: {reason}; give one object a line") from error
    if not isinstance(found, dict):
        raise DataError(f"{source}, line {number} holds {_named(found)}, not an object; give one object a line")
    return found


def _cell(found: dict[str, Any], name: str, source: str, number: int) -> Any:
    if name not in found:
        raise DataError(f"{source}, line {number} has no {name!r}, and the first line has; give every object the same keys")
    value = found[name]
    if value is None:
        return ""
    if isinstance(value, dict):
        raise DataError(f"{source}, line {number}, {name!r} is {_named(value)}; give text, a number or a list")
    return value


def _named(value: object) -> str:
    names = {dict: "an object", bool: "true or false", list: "a list", str: "a text"}
    return names.get(type(value), "a number")
