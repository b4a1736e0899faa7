"""The lock of a run folder: one process at a time may write there, and a process that dies lets go by dying."""

from __future__ import annotations

import errno
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from rondeau.errors import RunError
from rondeau.train.files import close, open_plain, os_errors, write_all

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

NAME = "lock"
LONGEST = 300  # bytes of the line that says who holds it
BEYOND = 1 << 30  # on Windows a locked byte cannot be read, so one behind the line is locked
TAKEN = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}


class Lock:
    """The lock of ``folder``: a file ``lock``, locked by the system for as long as its holder lives."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._handle: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._handle is not None

    def acquire(self) -> None:
        """Takes the lock; nothing happens if it is held already.

        Raises:
            RunError: another run holds it; the message says which. Or the file cannot be made.
        """
        if self._handle is not None:
            return
        with os_errors(self.path):
            handle = open_plain(self.path, os.O_RDWR | os.O_CREAT)
            try:
                self._take(handle)
                os.ftruncate(handle, 0)
                write_all(handle, f"process {os.getpid()} on {socket.gethostname()[:100]}\n".encode())
            except BaseException:
                close(handle)
                raise
        self._handle = handle

    def _take(self, handle: int) -> None:
        status = os.fstat(handle)
        if status.st_size > LONGEST or status.st_nlink > 1:
            raise RunError(f"{self.path} is not a lock that rondeau made; delete it to go on")
        try:
            _lock(handle)
        except OSError as error:
            if error.errno not in TAKEN:
                return  # a file system without locks: then there is none
            who = os.read(handle, LONGEST).decode("utf-8", "replace").strip() or "another process"
            where = " (this very one: close the other run first, with its close())" if f" {os.getpid()} " in who else ""
            raise RunError(
                f"{self.path.parent} is in use by {who}{where}; wait for its end, or stop it, and try again"
            ) from error

    def release(self) -> None:
        """Lets go; nothing happens if it is not held."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            with suppress(OSError):
                os.ftruncate(handle, 0)
            close(handle)

    def __del__(self) -> None:
        self.release()


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        os.lseek(handle, BEYOND, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
