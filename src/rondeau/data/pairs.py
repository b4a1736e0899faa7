"""Pairs of sequences, a source and what is to be made of it: from lists, or from two columns of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rondeau.data.arrays import sequences_of
from rondeau.data.columns import quoted
from rondeau.data.formats.kind import recognised
from rondeau.data.formats.lines import Lines, Source
from rondeau.data.formats.table import Table, read_csv, read_json_lines
from rondeau.data.reading import peeked
from rondeau.data.sequences import ItemKind, Sequences, lengths_line, plural
from rondeau.data.shapes import MAKE, kind_of, placed
from rondeau.errors import DataError, InputError


@dataclass(frozen=True, eq=False)
class Pairs:
    """Sources and targets that passed every check, in the order in which they came.

    Args:
        sources: texts, or lists of tokens.
        targets: the same or the other.
        notes: what was understood of a file, a sentence each.

    Raises:
        InputError: there are not as many targets as sources.
    """

    sources: Sequences
    targets: Sequences
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.sources) != len(self.targets):
            raise InputError(f"there are {len(self.targets):,} targets for {len(self.sources):,} sources; give one for each")

    def __len__(self) -> int:
        return len(self.sources)

    def take(self, places: Sequence[int] | np.ndarray) -> Pairs:
        """The pairs at ``places``."""
        return Pairs(self.sources.take(places), self.targets.take(places), self.notes)

    def describe(self) -> str:
        """A few lines: what was understood, pairs, lengths."""
        sides = (
            f"{name}: {lengths_line(side.lengths)}" for name, side in (("sources", self.sources), ("targets", self.targets))
        )
        return "\n".join([*self.notes, plural(len(self), "pair"), *sides])


def pairs_of(sources: Any, targets: Any) -> Pairs:
    """Pairs from lists of texts or of lists of tokens.

    Raises:
        InputError: one side has more entries than the other, one is empty, or something is neither text nor tokens.

    Example:
        >>> print(pairs_of(["two", "three"], ["2", "3"]).describe())
        2 pairs
        sources: lengths from 3 to 5, median 4
        targets: length 1
    """
    return Pairs(side(sources, "the sources"), side(targets, "the targets"))


def side(items: Any, name: str) -> Sequences:
    """Texts or lists of tokens, checked; ``name`` is what an error calls them.

    Raises:
        InputError: one is empty, or neither.
    """
    empty = next((i for i, item in enumerate(items) if isinstance(item, (str, list, tuple)) and not len(item)), None)
    if empty is not None:
        raise InputError(f"{name}: the one at {empty} is empty; leave it out")
    try:
        found = sequences_of(items)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    if found.kind == "numbers":
        raise InputError(f"{name} are numbers, and texts or lists of tokens are expected; write numbers as text")
    return found


def read_pairs(file: Source, source: str = "", target: str = "", *, kind: str = "") -> Pairs:
    """The pairs of a table: in each row a source and its target, texts or, in JSON lines, lists of tokens.

    Args:
        file: a CSV, TSV or JSON lines file, or a stream of its bytes.
        source: the column with the sources; if not given the one of that name, or the first of two.
        target: the column with the targets; if not given the one of that name, or the second of two.
        kind: "csv", "tsv" or "jsonl", where neither name nor beginning of the file tell.

    Raises:
        DataError: the file is not sound; the message says in one sentence where, what is wrong and what to do.

    Example:
        >>> from io import BytesIO
        >>> pairs = read_pairs(BytesIO(b"english,spanish\\nthe house,la casa\\n"))
        >>> pairs.sources.items, pairs.targets.items
        (['the house'], ['la casa'])
    """
    lines = Lines(file)
    found = recognised(lines, kind)
    if found not in ("csv", "tsv", "jsonl"):
        raise DataError(f"{lines.name} is of the kind {found}, which holds no pairs; give CSV, TSV or JSON lines")
    table = read_json_lines(lines) if found == "jsonl" else read_csv(lines, "\t" if found == "tsv" else "")
    names = _columns(table, source, target)
    table, head = peeked(table)
    kinds: list[ItemKind] = [kind_of(head.cells[name][0]) for name in names]
    if "numbers" in kinds:
        raise DataError(
            f"{table.source}: column {names[kinds.index('numbers')]!r} holds numbers; give texts or lists of tokens"
        )
    items: tuple[list[Any], list[Any]] = [], []
    for chunk in table.chunks:
        for name, own, side in zip(names, kinds, items):
            place = placed(table, chunk, name)
            side += [MAKE[own](cell, place, index) for index, cell in enumerate(chunk.columns[name])]
    note = f"{table.note}; source in {names[0]!r}; target in {names[1]!r}"
    return Pairs(Sequences(items[0], kinds[0]), Sequences(items[1], kinds[1]), (note,))


def _columns(table: Table, source: str, target: str) -> tuple[str, str]:
    """Which columns the sources and the targets are in."""
    for name in filter(None, (source, target)):
        if name not in table.names:
            raise DataError(f"{table.source} has no column {name!r}; its columns are {quoted(table.names)}")
    if source and source == target:
        raise DataError(f"{table.source}: source and target are both {source!r}; name two columns")
    pair = table.names if len(table.names) == 2 else ("source", "target")
    if source in pair[1:] or target in pair[:1]:
        pair = pair[::-1]
    found = source or pair[0], target or pair[1]
    if not set(found) <= set(table.names):
        raise DataError(f"{table.source} has the columns {quoted(table.names)}; say which are source and target")
    return found
