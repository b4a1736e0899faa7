"""Files of a run: written so that a crash leaves the old one or the new one, read only where they are plain files."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rondeau.errors import RunError

INTACT = "what was saved before is intact"
_CAREFUL = (  # no links are followed, no FIFO is waited for, no text is translated
    getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
)


@contextmanager
def os_errors(what: Path, kept: str = INTACT) -> Iterator[None]:
    """Turns a full disk, a missing permission and the like into one sentence, which ends with what is ``kept``."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{what} cannot be written: {error.strerror or error}; {kept}") from error


def exists(path: Path) -> bool:
    """Whether anything has this name, a link to nowhere too."""
    return os.path.lexists(path)


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder itself, and not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def open_plain(path: Path, flags: int = os.O_RDONLY) -> int:
    """The handle of a plain file; links, FIFOs, devices and folders are refused without being opened.

    Raises:
        FileNotFoundError: nothing is there.
        RunError: it is no plain file, or it cannot be opened.
    """
    try:
        if not flags & os.O_CREAT or os.path.lexists(path):
            _plain(path, os.lstat(path))
        handle = os.open(path, flags | _CAREFUL, 0o666)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RunError(f"{path} cannot be opened: {error.strerror or error}; check its permissions") from error
    try:
        _plain(path, os.fstat(handle))
    except RunError:
        close(handle)
        raise
    return handle


def close(handle: int) -> None:
    """Closes a file of which nothing more is wanted, so that a failure means nothing."""
    with suppress(OSError):
        os.close(handle)


def _plain(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise RunError(f"{path} is not a plain file but a link, a folder, a FIFO or a device; put the file itself there")


def read_plain(path: Path, most: int) -> bytes:
    """All of a plain file of at most ``most`` bytes.

    Raises:
        FileNotFoundError: nothing is there.
        RunError: it is no plain file, too long, or cannot be read.
    """
    handle = open_plain(path)
    try:
        size = os.fstat(handle).st_size
        if size > most:
            raise RunError(f"{path} has {size:,} bytes, more than the {most:,} that it may have; restore it from a copy")
        parts, left = [], most
        while left > 0 and (part := os.read(handle, min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}; restore it from a copy") from error
    finally:
        close(handle)


def write(path: Path, data: bytes) -> None:
    """Writes ``data`` under a temporary name, flushes it to the disk, and renames it.

    Raises:
        RunError: the disk is full or read-only; the file is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with os_errors(path):
        try:
            _write_new(temporary, data)
            _replace(temporary, path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        flush_folder(path.parent)


def _replace(source: Path, target: Path) -> None:
    """Renames; on Windows again for half a second, since nobody may be reading the target there."""
    for _ in range(50 if os.name == "nt" else 0):
        with suppress(PermissionError):
            os.replace(source, target)
            return
        time.sleep(0.01)
    os.replace(source, target)


def _write_new(path: Path, data: bytes) -> None:
    """A file that was not there; whatever has its name, a link too, is removed and not followed."""
    if os.path.lexists(path):
        os.unlink(path)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFUL, 0o666)
    try:
        write_all(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes) -> None:
    """Writes all of ``data``, however little the system takes at a time."""
    view = memoryview(data)
    while len(view):
        view = view[os.write(handle, view) :]


def flush_folder(folder: Path) -> None:
    """Flushes a folder's entries to the disk, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
