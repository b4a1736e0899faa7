"""`Store`: built kernels on disk, in a folder that is the user's alone.

Machine code from disk is run, so nothing is read that another user could have written. The folder belongs to the user and is
open to nobody else (mode 0700), or there is no cache on disk; it is opened once for each access and everything in it is reached
through that descriptor, so it does not matter who may write to the folders above it. Each file begins with a digest of its key
and content, keyed by a secret that lies in the folder (mode 0600): a file that is damaged, cut short, or lies under another key
is none. What is no plain file of the user's own is never read, and no opening waits. Where a system knows no owners and modes,
the user's own folder and the digest have to do.
"""

from __future__ import annotations

import hmac
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LIMIT = 1 << 28  # bytes of kernels kept on disk; those read least recently go first
STALE = 600.0  # seconds after which a file being written must be what a killed process left
SWEEP = 64  # files written between looks at all of them
LARGEST = 1 << 26  # bytes of one kernel
FOLDER, SECRET = "kernels", "secret"
DIGEST = "sha256"
BYTES = 32  # of the digest, and of the secret

_GUARDED = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
_BY_DESCRIPTOR = {os.open, os.unlink, os.stat, os.rename, os.utime} <= os.supports_dir_fd and os.listdir in os.supports_fd


def cache_folder() -> Path | None:
    """Where built kernels lie: ``kernels`` in ``RONDEAU_CACHE``, or in the user's cache folder; None if there is neither."""
    chosen = os.environ.get("RONDEAU_CACHE")
    if chosen:
        return Path(chosen).absolute() / FOLDER
    base = _users_folder()
    return None if base is None else base / "rondeau" / FOLDER


def _users_folder() -> Path | None:
    if sys.platform == "win32":
        return _absolute(os.environ.get("LOCALAPPDATA"))
    given = _absolute(os.environ.get("XDG_CACHE_HOME"))
    if given is not None:
        return given
    try:
        home = _absolute(os.environ["HOME"]) if "HOME" in os.environ else Path.home()
    except (RuntimeError, KeyError):
        return None
    return home and home / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def _absolute(path: str | None) -> Path | None:
    """A path from the environment; none if it is missing, empty or relative."""
    return Path(path) if path and os.path.isabs(path) else None


def read(key: str) -> bytes | None:
    """The kernel of a key, or None."""
    with suppress(OSError), _opened(create=False) as folder:
        secret = folder.secret()
        data = folder.read(f"{key}.o", LARGEST) if secret is not None else None
        if secret is not None and data is not None and hmac.compare_digest(_digest(secret, key, data[BYTES:]), data[:BYTES]):
            folder.touch(f"{key}.o")
            return data[BYTES:]
    return None


def write(key: str, code: bytes) -> None:
    """Keeps a kernel, if that can be done."""
    if len(code) + BYTES > LARGEST:
        return
    with suppress(OSError), _opened(create=True) as folder:
        secret = folder.secret() or folder.new_secret()
        folder.write(f"{key}.o", _digest(secret, key, code) + code)
        if _due():
            folder.sweep(time.time())


def _digest(secret: bytes, key: str, code: bytes) -> bytes:
    return hmac.digest(secret, key.encode() + b"\0" + code, DIGEST)


_written = 0


def _due() -> bool:
    """Whether it is time to look at all files: with the first that a process writes, then now and then."""
    global _written
    _written += 1
    return _written % SWEEP == 1


@contextmanager
def _opened(create: bool) -> Iterator[Folder]:
    """The folder of the cache.

    Raises:
        OSError: there is none that is the user's alone.
    """
    path = cache_folder()
    if path is None:
        raise FileNotFoundError("there is no folder for the user")
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
    if not _BY_DESCRIPTOR:
        yield Folder(path, None)
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _GUARDED)
    try:
        if not _own(os.fstat(descriptor)):
            raise PermissionError(f"{path} is not the user's alone")
        yield Folder(path, descriptor)
    finally:
        os.close(descriptor)


def _own(status: os.stat_result) -> bool:
    """Whether it belongs to the user and nobody else may use it; true where a system knows nothing of the kind."""
    if not hasattr(os, "geteuid"):
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & 0o077


class Folder:
    """An open folder: by its descriptor where the system can, else by its path."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self.path, self.descriptor = path, descriptor

    def read(self, name: str, most: int) -> bytes | None:
        """The content of a plain file that is the user's alone, or None."""
        try:
            file = self._open(name, os.O_RDONLY)
        except OSError:
            return None
        with os.fdopen(file, "rb") as opened:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode) or not _own(status) or status.st_nlink > 1 or status.st_size > most:
                return None
            return opened.read(most)

    def write(self, name: str, data: bytes) -> None:
        """A file, whole or not at all."""
        temporary = f"{name}.{os.getpid()}.{os.urandom(6).hex()}.tmp"
        file = self._open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            with os.fdopen(file, "wb") as opened:
                opened.write(data)
            os.replace(self._at(temporary), self._at(name), src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        except BaseException:
            self._remove(temporary)
            raise

    def secret(self) -> bytes | None:
        """The key of the digests, or None if there is no sound one."""
        found = self.read(SECRET, BYTES + 1)
        return found if found is not None and len(found) == BYTES else None

    def new_secret(self) -> bytes:
        """A new key of the digests; of several that are made at a time one stays."""
        self.write(SECRET, os.urandom(BYTES))
        found = self.secret()
        if found is None:
            raise PermissionError("the folder does not keep what is written to it")
        return found

    def touch(self, name: str) -> None:
        """Notes that a file was read."""
        with suppress(OSError):
            os.utime(self._at(name), dir_fd=self.descriptor, follow_symlinks=self.descriptor is None)

    def sweep(self, now: float) -> None:
        """Removes what killed processes left, and the kernels read least recently where there are too many."""
        kernels, total = [], 0
        for name in os.listdir(self.path if self.descriptor is None else self.descriptor):
            with suppress(OSError):
                status = os.stat(self._at(name), dir_fd=self.descriptor, follow_symlinks=False)
                if name.endswith(".tmp") and now - status.st_mtime > STALE:
                    self._remove(name)
                elif name.endswith(".o"):
                    kernels.append((status.st_mtime, status.st_size, name))
                    total += status.st_size
        for _, size, name in sorted(kernels):
            if total <= LIMIT:
                break
            self._remove(name)
            total -= size

    def _open(self, name: str, flags: int) -> int:
        return os.open(self._at(name), flags | _GUARDED, 0o600, dir_fd=self.descriptor)

    def _remove(self, name: str) -> None:
        with suppress(OSError):
            os.unlink(self._at(name), dir_fd=self.descriptor)

    def _at(self, name: str) -> str:
        return name if self.descriptor is not None else str(self.path / name)
