"""The record of a run: rows of figures, kept as JSON lines. All that prints, plots, stops and saves reads it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from rondeau.errors import RunError
from rondeau.train.files import os_errors

Row = dict[str, Any]


class Record:
    """Rows in the order of their steps; with a path, each is also written as a line of JSON.

    A row of training holds ``step``, ``epoch``, ``seconds``, ``loss`` (nats), ``bits``, ``gradient_norm``,
    ``learning_rate`` and ``tokens_per_second``; a row of evaluation holds ``step`` and ``held_out`` (nats).
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.rows: list[Row] = []

    def add(self, **row: Any) -> Row:
        """Appends a row.

        Raises:
            RunError: it cannot be written.
        """
        self.rows.append(row)
        if self.path is not None:
            with os_errors(self.path), self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        return row

    def column(self, name: str) -> list[Any]:
        """The values under one name, of the rows that have it."""
        return [row[name] for row in self.rows if name in row]

    def rewind(self, step: int) -> None:
        """Forgets the rows after ``step``, as a run that goes on from there must."""
        self.rows = [row for row in self.rows if row["step"] <= step]
        if self.path is not None:
            text = "".join(json.dumps(row) + "\n" for row in self.rows)
            with os_errors(self.path):
                self.path.write_text(text, encoding="utf-8")

    @staticmethod
    def read(path: Path) -> Record:
        """The record in a file; a last line that was cut off is left out.

        Raises:
            RunError: a line before the last is damaged.
        """
        record = Record(path)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for number, line in enumerate(lines, 1):
            try:
                record.rows.append(json.loads(line))
            except ValueError as error:
                if number < len(lines):
                    raise RunError(f"{path}, line {number} is damaged; delete that line to go on") from error
        return record


def bits(nats: float) -> float:
    """Nats in bits."""
    return nats / math.log(2)
