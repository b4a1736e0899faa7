"""Writing rows of a table, all or nothing: whatever goes wrong on the way, no half of a file is left."""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from rondeau.errors import InputError

Row = dict[str, Any]
ENDINGS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def check(out: Path | None, overwrite: bool, sources: Iterable[object], endings: Collection[str] = ENDINGS) -> None:
    """Refuses a file that cannot be written, before any work is done.

    Raises:
        InputError: its name says no kind of file, something is there already, or it is what is read.
    """
    if out is None:
        return
    if out.suffix.lower() not in endings:
        raise InputError(f"--out {out} says no kind of file by its ending; let it end in {_either(endings)}")
    if any(out.resolve() == Path(str(source)).resolve() for source in sources):
        raise InputError(f"--out {out} is the file that is read; choose another")
    if os.path.lexists(out) and not (overwrite and out.is_file()):
        raise InputError(f"--out {out} exists already; choose another file, or add --overwrite")
    if not out.parent.is_dir():
        raise InputError(f"--out {out} lies in a folder that is not there; make {out.parent}, or choose another")


def _either(names: Collection[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"


def write_rows(rows: Iterable[Row], out: Path | None) -> int:
    """Writes rows to a file, or as CSV to the standard output; how many there were.

    They wait in a temporary file until the last one is there.

    Raises:
        InputError: the file cannot be written.
    """
    if out is None:
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as waiting:
            count = _write(rows, "csv", waiting)
            waiting.seek(0)
            for line in waiting:
                print(line, end="")
        return count
    try:
        handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.", suffix=".tmp")
    except OSError as error:
        raise InputError(f"--out {out} cannot be written: {error.strerror}; choose another file") from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as waiting:
            count = _write(rows, ENDINGS[out.suffix.lower()], waiting)
        os.chmod(name, 0o666 & ~_mask())
        os.replace(name, out)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError) and error.filename is None:
            raise InputError(f"--out {out} cannot be written: {error.strerror}; choose another file") from error
        raise
    return count


def _mask() -> int:
    """The permissions that new files do not get here."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write(rows: Iterable[Row], kind: str, file: TextIO) -> int:
    put: Callable[[Row], object] | None = None
    count = 0
    for row in rows:
        if put is None:
            put = _writer(kind, file, row)
        put(row)
        count += 1
    return count


def _writer(kind: str, file: TextIO, first: Row) -> Callable[[Row], object]:
    """What writes a row; the head, which the first row decides, is written at once."""
    if kind == "jsonl":
        return lambda row: file.write(json.dumps(row, ensure_ascii=False) + "\n")
    table = csv.DictWriter(file, list(first), delimiter="\t" if kind == "tsv" else ",", lineterminator="\n")
    table.writeheader()
    return table.writerow


def say(text: str) -> None:
    """Prints what a person should know beside the table, where it does not disturb it."""
    print(text, file=sys.stderr, flush=True)
