"""Tables as they come: CSV, TSV and JSON lines, in chunks of columns, each row with its line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any, Union

from rondeau.data.formats.lines import Lines
from rondeau.errors import DataError

Cell = Union[str, int, float, "list[Any]"]
"""What a table holds in a place: text as it was written; from JSON a number or a list, and "" for null."""

ROWS = 500
"""Rows in a chunk; with more of them Python's collector looks at rows again and again, which takes longer than reading them."""

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
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] = []
    while not any(header) and (row := _rows(reader, 1, lines.name, reader.line_num + 1)):
        header = row[0]
    names = tuple(name.strip() for name in header)
    _check_header(names, lines.name)
    note = f"{lines.name}: {'TSV' if delimiter == chr(9) else 'CSV'}, cells between {DELIMITERS[delimiter]}"
    return Table(lines.name, names, _csv_chunks(reader, names, lines.name, rows), note)


def _rows(reader: Any, most: int, source: str, begin: int) -> list[list[str]]:
    """The next rows, of which the first begins on the line ``begin``."""
    rows: list[list[str]] = []
    try:
        rows.extend(islice(reader, most))
    except csv.Error as error:
        line = begin + sum(map(_span, rows))
        hint = "a cell that begins with a quote ends with one, and a quote inside it is written twice"
        raise DataError(f"{source}, line {line}: {error}; {hint}") from error
    return rows


def _span(row: list[str]) -> int:
    """How many lines a row takes."""
    return 1 + sum(cell.count("\n") for cell in row)


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


def _csv_chunks(reader: Any, names: Sequence[str], source: str, most: int) -> Iterator[Chunk]:
    begin = reader.line_num + 1
    while rows := _rows(reader, most, source, begin):
        lines: Sequence[int] = range(begin, begin + len(rows))
        if reader.line_num + 1 != begin + len(rows):  # cells with line ends
            lines = list(accumulate(map(_span, rows[:-1]), initial=begin))
        begin = reader.line_num + 1
        if len(names) == 1 or set(map(len, rows)) != {len(names)}:
            rows, lines = _without_blanks(rows, lines)
            _check_widths(rows, lines, names, source)
        if rows:
            yield Chunk(dict(zip(names, zip(*rows))), lines)


def _without_blanks(rows: list[list[str]], lines: Sequence[int]) -> tuple[list[list[str]], list[int]]:
    places = [index for index, row in enumerate(rows) if len(row) > 1 or (row and row[0].strip())]
    return [rows[place] for place in places], [lines[place] for place in places]


def _check_widths(rows: list[list[str]], lines: Sequence[int], names: Sequence[str], source: str) -> None:
    for row, line in zip(rows, lines):
        if len(row) != len(names):
            raise DataError(
                f"{source}, line {line} has {len(row)} cells and the header has {len(names)}; "
                "give each row as many, and quote a cell that holds the delimiter"
            )


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
    there = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    while some := list(islice(there, most)):
        rows = [_cells(line, names, lines.name, number) for number, line in some]
        yield Chunk(dict(zip(names, zip(*rows))), [number for number, _ in some])


def _cells(line: str, names: Sequence[str], source: str, number: int) -> list[Cell]:
    found = _object(line, source, number)
    return [_cell(found, name, source, number) for name in names]


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
