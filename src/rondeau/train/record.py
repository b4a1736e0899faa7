"""The record of a run: rows of figures, kept as JSON lines. All that prints, plots, stops and saves reads it."""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

from rondeau.errors import RunError
from rondeau.train.files import open_plain, os_errors, read_plain, write, write_all
from rondeau.train.manifest import Prefix

Row = dict[str, Any]
NAME = "metrics.jsonl"
LONGEST = 1 << 24


class Record:
    """Rows in the order of their steps; with a path, each is also written as a line of JSON.

    A row of training holds ``step``, ``steps`` (how many steps it covers, ``step`` the last of them), ``epoch``, ``seconds``,
    their mean ``loss`` (nats) and ``bits``, the last one's ``gradient_norm`` and ``learning_rate``, and their
    ``tokens_per_second``; a row of evaluation holds ``step``, ``held_out`` (nats) and ``held_out_bits``. ``note`` is a
    sentence about what was lost when it was read, or None.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.rows: list[Row] = []
        self.note: str | None = None
        self._written = b""

    def add(self, **row: Any) -> Row:
        """Appends a row.

        Raises:
            RunError: it cannot be written.
        """
        self.rows.append(row)
        if self.path is not None:
            line = _line(row)
            with os_errors(self.path):
                handle = open_plain(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                try:
                    write_all(handle, line)
                finally:
                    os.close(handle)
            self._written += line
        return row

    def column(self, name: str) -> list[Any]:
        """The values under one name, of the rows that have it."""
        return [row[name] for row in self.rows if name in row]

    def mark(self) -> Prefix:
        """What is in the file now, once the disk has it."""
        if self.path is not None and self._written:
            with os_errors(self.path):
                handle = open_plain(self.path, os.O_RDWR)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
        return Prefix(len(self._written), hashlib.sha256(self._written).hexdigest())

    def rewind(self, step: int) -> None:
        """Forgets the rows after ``step``, as a run that goes on from there must.

        Raises:
            RunError: the file cannot be written.
        """
        self.rows = [row for row in self.rows if row["step"] <= step]
        written = b"".join(map(_line, self.rows))
        if self.path is not None and (written != self._written or self._shared()):
            write(self.path, written)
        self._written = written

    def _shared(self) -> bool:
        """Whether the file has another name too, perhaps outside the folder."""
        assert self.path is not None
        return self.path.exists() and os.lstat(self.path).st_nlink > 1

    @staticmethod
    def read(path: Path, mark: Prefix | None = None) -> Record:
        """The record in a file. A damaged one stops nothing: what can be read is kept, and ``note`` says what is lost.

        Args:
            path: the file.
            mark: what was in it when the checkpoint was made; what comes after belongs to steps that are lost.

        Raises:
            RunError: the system does not let it be read.
        """
        record = Record(path)
        try:
            record._written = read_plain(path, LONGEST)
        except FileNotFoundError:
            record.note = f"{path} is missing; the record begins anew" if mark and mark.bytes else None
            return record
        except RunError as error:
            if isinstance(error.__cause__, OSError):
                raise  # the disk fails, which damages nothing
            record.note = f"{error}; the record begins anew, and what is there is kept as {_aside(path).name}"
            return record
        whole = record._written
        sound = mark is not None and hashlib.sha256(whole[: mark.bytes]).hexdigest() == mark.sha256
        lines = (whole[: mark.bytes] if sound and mark else whole).splitlines(keepends=True)
        rows = [_row(line) for line in lines]
        record.rows = [row for row in rows if row is not None]
        lost = [number for number, row in enumerate(rows, 1) if row is None]
        if lost or not (sound or mark is None):
            record.note = _note(path, lost, len(record.rows), _copied_aside(path, whole))
        return record


def _note(path: Path, lost: list[int], kept: int, copy: str) -> str:
    numbers = ", ".join(map(str, lost[:5])) + (", ..." if len(lost) > 5 else "")
    what = f"{len(lost)} of its lines are left out (line {numbers})" if lost else "its lines can be read, but may not be all"
    return f"{path} is damaged or was changed: {what}, {kept} rows are kept{copy}"


def _aside(path: Path) -> Path:
    """Renames what is there, whatever it is, and says to what."""
    free = _free(path)
    with os_errors(path):
        os.rename(path, free)
    return free


def _copied_aside(path: Path, data: bytes) -> str:
    """Keeps a copy of a damaged record where there is none yet."""
    free = _free(path)
    write(free, data)
    return f", and a copy of what was there is {free.name}"


def _free(path: Path) -> Path:
    names = (path.with_name(f"{path.stem}.damaged-{number}{path.suffix}") for number in range(1, 1 << 20))
    return next(name for name in names if not os.path.lexists(name))


def _line(row: Row) -> bytes:
    return (json.dumps(row) + "\n").encode()


def _row(line: bytes) -> Row | None:
    """A whole line as a row of numbers with a step; None for anything else."""
    try:
        row = json.loads(line.decode("utf-8")) if line.endswith(b"\n") and len(line) < 1 << 16 else None
        sound = isinstance(row, dict) and type(row.get("step")) is int and all(map(_number, row.values()))
        return row if sound else None
    except (ValueError, RecursionError):
        return None


def _number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 1 << 53)


def bits(nats: float) -> float:
    """Nats in bits."""
    return nats / math.log(2)
