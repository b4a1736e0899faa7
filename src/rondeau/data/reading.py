"""Files of labelled sequences and of series: from a path to checked values, or to one line that says what is wrong where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from rondeau.data.columns import SHAPES, Columns, quoted
from rondeau.data.formats.conll import read_conll
from rondeau.data.formats.kind import FileKind, recognised
from rondeau.data.formats.lines import Lines, Source
from rondeau.data.formats.table import Table, read_csv, read_json_lines
from rondeau.data.formats.ts import read_ts
from rondeau.data.guessing import GoalName, Head, guess
from rondeau.data.long import long_parts
from rondeau.data.memory import memory
from rondeau.data.parts import Reading
from rondeau.data.sequences import ItemKind, Sequences
from rondeau.data.series import SeriesSet
from rondeau.data.series_table import guess_series, series_of_table
from rondeau.data.shapes import kind_of, text_parts, wide_features, wide_parts
from rondeau.errors import DataError, InputError

GB = 10**9
IN_MEMORY = 6
"""The memory that a table takes while it is read whole, over the size of its file; measured with rows of short numbers."""

FIRST = 100
"""Rows that a guess is made from."""


def read_sequences(
    source: Source,
    columns: Columns | None = None,
    *,
    goal: GoalName = "",
    per_step: bool = False,
    kind: str = "",
    classes: Sequence[object] | None = None,
) -> Sequences:
    """The sequences of a file, whole.

    Args:
        source: a CSV, TSV, JSON lines, ``.ts`` or CoNLL file, or a stream of its bytes.
        columns: which column plays which part; what it leaves empty is guessed where one guess is reasonable.
        goal: what is to be learned: "label" for classes, "target" for numbers, "" for nothing.
        per_step: whether that is one of each step.
        kind: "csv", "tsv", "jsonl", "ts" or "conll", where neither name nor beginning of the file tell.
        classes: those that labels may name, if they are known; else the labels that come are the classes.

    Raises:
        DataError: the file is not sound; the message says in one sentence where, what is wrong and what to do.
    """
    _check_room(source)
    return _reading(source, columns or Columns(), goal, per_step, kind).whole(classes, per_step)


def read_parts(source: Source, columns: Columns | None = None, *, size: int = 1000, kind: str = "") -> Iterator[Sequences]:
    """The sequences of a file, without goals, at most ``size`` at a time, in memory that does not grow with the file.

    A table with a step in each row is held whole, since rows of a sequence may stand anywhere in it.

    Args:
        source: as for `read_sequences`.
        columns: as for `read_sequences`.
        size: sequences in a part at most.
        kind: as for `read_sequences`.

    Raises:
        DataError: the file is not sound, said when its place is reached.
        InputError: the size is none.
    """
    if size < 1:
        raise InputError(f"size is a positive whole number, not {size!r}")
    yield from _reading(source, columns or Columns(), "", False, kind).in_parts(size)


def read_series(source: Source, columns: Columns | None = None, *, kind: str = "") -> SeriesSet:
    """The series of a table, for forecasts: rows at times, of one series or of many.

    Args:
        source: a CSV, TSV or JSON lines file, or a stream of its bytes.
        columns: which column plays which part; what it leaves empty is guessed where one guess is reasonable.
        kind: "csv", "tsv" or "jsonl", where neither name nor beginning of the file tell.

    Raises:
        DataError: the file is not sound; the message says in one sentence where, what is wrong and what to do.
    """
    _check_room(source)
    lines = Lines(source)
    found = recognised(lines, kind)
    if found not in ("csv", "tsv", "jsonl"):
        raise DataError(f"{lines.name} is of the kind {found}, which holds no series at times; give CSV, TSV or JSON lines")
    table, head = peeked(_table(lines, found))
    return series_of_table(table, guess_series(columns or Columns(), head))


def _check_room(source: Source) -> None:
    """Refuses a file that this machine cannot hold."""
    there = memory()
    path = Path(source) if isinstance(source, (str, Path)) else None
    if there is None or path is None or not path.is_file():  # what is no file is refused where it is opened
        return
    size = path.stat().st_size
    if IN_MEMORY * size > there:
        raise DataError(
            f"{path} has {size / GB:,.1f} GB and read whole takes about {IN_MEMORY * size / GB:,.1f}, and this machine has "
            f"{there / GB:,.1f} GB of memory; learn from a part of its rows"
        )


def _reading(source: Source, columns: Columns, goal: GoalName, per_step: bool, kind: str) -> Reading:
    if goal not in ("", "label", "target"):
        raise InputError(f'goal is "label", "target" or "" for nothing, not {goal!r}')
    lines = Lines(source)
    found = recognised(lines, kind)
    if found == "conll":
        return _conll(lines, columns, goal, per_step)
    if found == "ts":
        return _ts(lines, goal, per_step)
    return of_table(_table(lines, found), columns, goal, per_step)


def _conll(lines: Lines, columns: Columns, goal: GoalName, per_step: bool) -> Reading:
    if goal and not (goal == "label" and per_step):
        raise DataError(
            f"{lines.name} has a label for each token, and one of each sentence is needed; give another kind of file"
        )
    return read_conll(lines, columns, bool(goal))


def _ts(lines: Lines, goal: GoalName, per_step: bool) -> Reading:
    if per_step:
        raise DataError(f"{lines.name} has at most one label for each sequence, and one of each step is needed; give a table")
    return read_ts(lines, goal)


def _table(lines: Lines, kind: FileKind) -> Table:
    return read_json_lines(lines) if kind == "jsonl" else read_csv(lines, "\t" if kind == "tsv" else "")


def peeked(table: Table) -> tuple[Table, Head]:
    """A table and its first rows.

    Raises:
        DataError: there are no rows.
    """
    first = next(table.chunks, None)
    if first is None:
        raise DataError(f"{table.source} has no rows below its head; give at least one")
    head = Head(table.source, table.names, {name: cells[:FIRST] for name, cells in first.columns.items()})
    return Table(table.source, table.names, chain([first], table.chunks), table.note, table.row), head


def of_table(table: Table, columns: Columns, goal: GoalName, per_step: bool) -> Reading:
    """The sequences of a table.

    Raises:
        DataError: see `read_sequences`.
    """
    table, head = peeked(table)
    found = guess(columns, head, goal, per_step)
    if found.shape == "wide" and goal and per_step:
        raise DataError(f"{table.source} has one {goal} in each row, and one of each step is needed; give a step in each row")
    notes = (_understood(table, found),)
    if found.shape == "wide":  # another table may have more steps, or fewer
        features = wide_features(found)
        return Reading(
            table.source, wide_parts(table, found), "numbers", notes, features, replace(found, features=columns.features)
        )
    if found.shape == "long":
        kind: ItemKind = "tokens" if found.text else "numbers"
        return Reading(table.source, long_parts(table, found, per_step), kind, notes, found.features, found)
    kind = kind_of(head.cells[found.text][0])
    return Reading(table.source, text_parts(table, found, kind, per_step), kind, notes, (), found)


def _understood(table: Table, columns: Columns) -> str:
    """What was understood of a table and its columns."""
    parts = {"sequence": [columns.text], "label": [columns.label], "target": columns.targets, "id": [columns.id]}
    parts["time"] = [columns.time]
    said = [f"{part} in {quoted([name for name in names if name])}" for part, names in parts.items() if any(names)]
    return "; ".join([*filter(None, [table.note]), SHAPES[columns.shape], *said])
