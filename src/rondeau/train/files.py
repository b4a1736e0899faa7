"""Writing files so that a crash leaves the old one or the new one, never half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rondeau.errors import RunError


@contextmanager
def os_errors(what: Path) -> Iterator[None]:
    """Turns a full disk, a missing permission and the like into one sentence."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{what} cannot be written: {error.strerror or error}; what was saved before is intact") from error


def write(path: Path, data: bytes) -> None:
    """Writes ``data`` under a temporary name, flushes it to the disk, and renames it.

    Raises:
        RunError: the disk is full or read-only; the file is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with os_errors(path):
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Flushes a folder's entries to the disk, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
