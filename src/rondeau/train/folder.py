"""Run folders: what a training run leaves behind, written so that a crash at any moment loses nothing.

``model.json`` names the kind of run; ``config.toml`` and the texts of that kind say what was built; ``metrics.jsonl`` is the
record. A checkpoint is a file of weights and one of everything else that going on takes; both are named by their content.
``manifest.json`` names the two of the newest checkpoint and holds a SHA-256 of every tensor and text; it is replaced by one
rename, so whoever reads it gets one checkpoint and not a mixture. A new run is first written whole into ``.staging/``, its
manifest last; then its files move up, the manifest last again. Whoever reads takes a file from there while there is a manifest.
``lock`` keeps a second writer out.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from rondeau.errors import RunError
from rondeau.train import record
from rondeau.train.checkpoint import MANIFEST, PENDING, STAGING, Checkpoint, newest, read
from rondeau.train.files import exists, flush_folder, is_folder, os_errors, read_plain, write
from rondeau.train.lock import NAME as LOCK
from rondeau.train.lock import Lock
from rondeau.train.manifest import NAME as PART
from rondeau.train.manifest import OLD, PARTS, TEXT, TEXTS, Facts, Manifest, longest, sha256
from rondeau.train.tensors import digest, packed

OLD_PARTS = tuple(f"{part}.safetensors" for part in PARTS)
_TEMPORARY = re.compile(r"\.[A-Za-z0-9.-]+\.\d+\.tmp\Z")
_WHOLE = "the run in it is whole, and the next command goes on with it"


class RunFolder:
    """A folder with a run in it. Make one with `RunFolder.create` or `RunFolder.open`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = Lock(path)
        self._last: bytes | None = None  # the manifest that was last read or written here

    # making one

    @staticmethod
    def vacant(path: str | Path, overwrite: bool = False) -> None:
        """Checks that a run may be made there.

        Raises:
            RunError: something is there already and ``overwrite`` is off, or it is not a run.
        """
        place = Path(path)
        with os_errors(place):
            if not os.path.lexists(place):
                return
            names = os.listdir(place) if place.is_dir() else None
        rest = None if names is None else [name for name in names if name != LOCK and not _TEMPORARY.match(name)]
        if rest is not None and (not rest or (rest == [STAGING] and not exists(place / STAGING / MANIFEST))):
            return
        if not overwrite:
            raise RunError(f"{place} exists already; choose another folder, or overwrite it")
        if rest is None or not (MANIFEST in rest or "config.toml" in rest or all(map(_ours, rest))):
            raise RunError(f"{place} exists and is not a run folder, so it is not overwritten; choose another folder")

    @staticmethod
    def create(
        path: str | Path,
        texts: Mapping[str, str],
        parts: Mapping[str, Mapping[str, Tensor]],
        facts: Facts,
        overwrite: bool = False,
    ) -> RunFolder:
        """A new run folder with its descriptions and first checkpoint, all or nothing; its lock is held.

        Raises:
            RunError: something is there already and ``overwrite`` is off, it is in use, or it cannot be written; a run that
                was there is then as it was.
        """
        RunFolder.vacant(path, overwrite)
        folder = RunFolder(Path(path))
        with os_errors(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
        folder.lock.acquire()
        try:
            before = _described(folder.path)
            folder._stage(texts, parts, facts)
        except BaseException:
            folder._abandon()
            raise
        folder.settle()
        folder._sweep(old=True, texts=before - set(texts))
        return folder

    def _stage(
        self, texts: Mapping[str, str], parts: Mapping[str, Mapping[str, Tensor]], facts: Facts, rows: bytes = b""
    ) -> None:
        """Writes a run whole beside the one that is there."""
        self.settle()
        for name, text in texts.items():
            if len(text.encode()) > longest(name):
                raise RunError(f"{name} would have more than {longest(name):,} bytes; choose a smaller vocabulary")
        staging = self.path / STAGING
        with os_errors(staging):
            staging.mkdir(exist_ok=True)
        for name, text in texts.items():
            write(staging / name, text.encode())
        write(staging / record.NAME, rows)
        manifest = self._written(staging, {name: sha256(text.encode()) for name, text in texts.items()}, parts, facts, set())
        write(staging / MANIFEST, manifest)
        with os_errors(self.path):
            flush_folder(self.path)
        self._last = manifest

    def _abandon(self) -> None:
        """Takes back what a failed `create` has made, as far as that goes."""
        with suppress(OSError, RunError):
            if not exists(self.path / STAGING / MANIFEST):
                self._clear(STAGING)
        self.lock.release()
        with suppress(OSError):
            if os.listdir(self.path) == [LOCK]:
                os.unlink(self.path / LOCK)
                os.rmdir(self.path)

    # reading

    @staticmethod
    def open(path: str | Path) -> RunFolder:
        """An existing run folder.

        Raises:
            RunError: it is missing, not a run, or from a newer version.
        """
        folder = RunFolder(Path(path))
        with os_errors(folder.path, "give the folder of a run"):
            there = "\0" not in str(path) and folder.path.is_dir()
        if not there:
            raise RunError(f"there is no run folder {str(path)!r}; give the folder of a run")
        folder.read(()).manifest  # noqa: B018
        return folder

    def read(self, parts: tuple[str, ...] = ("model",)) -> Checkpoint:
        """The newest whole checkpoint; see `checkpoint.read`.

        Raises:
            RunError: something is missing or damaged.
        """
        found = read(self.path, parts)
        self._last = found.raw
        return found

    # writing

    def claim(self) -> None:
        """Takes the lock, once and until `release`.

        Raises:
            RunError: another run holds it, or has gone on with this folder since it was read here.
        """
        if self.lock.held:
            return
        self.lock.acquire()
        if self._last is not None and newest(self.path)[1] != self._last:
            self.lock.release()
            raise RunError(f"{self.path} has been written by another run meanwhile; go on with resume({str(self.path)!r})")

    def release(self) -> None:
        """Gives the lock back."""
        self.lock.release()

    def save(self, model: Mapping[str, Tensor], state: Mapping[str, Tensor], facts: Facts) -> None:
        """Replaces the checkpoint by a new one, all or nothing.

        Raises:
            RunError: it cannot be written; the old checkpoint then stands.
        """
        self.claim()
        self.settle()
        before = Manifest.of(newest(self.path)[1], MANIFEST)
        parts = {"model": model, "state": state}
        manifest = self._written(self.path, before.texts, parts, facts, set(before.files.values()))
        if manifest != self._last:
            write(self.path / MANIFEST, manifest)
            self._last = manifest
        self._sweep(old=before.format == OLD)

    def rewrite(self, texts: Mapping[str, str], parts: Mapping[str, Mapping[str, Tensor]], facts: Facts) -> None:
        """Replaces the checkpoint and the descriptions by new ones, all or nothing; the record stays.

        Raises:
            RunError: it cannot be written; what was there then stands.
        """
        self.claim()
        rows = read_plain(self.path / record.NAME, record.LONGEST)
        try:
            self._stage(texts, parts, facts, rows)
        except BaseException:
            self._abandon()
            raise
        self.settle()
        self._sweep(old=True)

    def _written(
        self,
        place: Path,
        texts: Mapping[str, str],
        parts: Mapping[str, Mapping[str, Tensor]],
        facts: Facts,
        there: set[str],
    ) -> bytes:
        """Writes the tensors under names of their content, and gives the manifest that names them."""
        hashes = {part: {name: digest(value) for name, value in tensors.items()} for part, tensors in parts.items()}
        files = {part: f"{part}-{sha256(json.dumps(hashes[part]).encode())[:16]}.safetensors" for part in parts}
        for part, tensors in parts.items():
            if files[part] not in there:
                write(place / files[part], packed(tensors))
        return Manifest(facts, texts, files, hashes).to_json().encode()

    def settle(self) -> None:
        """Finishes a new run that was whole but had not moved up, and drops one that was not whole.

        Raises:
            RunError: the files cannot be moved.
        """
        staging = self.path / STAGING
        if not is_folder(staging):
            return
        if exists(staging / MANIFEST):
            with os_errors(self.path, _WHOLE):
                names = [name for name in os.listdir(staging) if _inside(name) and name != MANIFEST]
                for step in (names, [MANIFEST]):
                    for name in step:
                        os.replace(staging / name, self.path / name)
                    flush_folder(self.path)
        with suppress(OSError):
            self._clear(STAGING)

    def _clear(self, name: str) -> None:
        """Removes a folder of ours, if nothing is in it but files of ours."""
        place = self.path / name
        if is_folder(place):
            for item in filter(_inside, os.listdir(place)):
                os.unlink(place / item)
            os.rmdir(place)

    def _sweep(self, old: bool, texts: Collection[str] = ()) -> None:
        """Removes what the newest checkpoint does not name, and ``texts``; what cannot be removed now, the next time."""
        keep = set(Manifest.of(newest(self.path)[1], MANIFEST).files.values())
        with suppress(OSError):
            for name in os.listdir(self.path):
                left = _TEMPORARY.match(name) or PART.match(name) or (old and name in OLD_PARTS) or name in texts
                if left and name not in keep:
                    with suppress(OSError):
                        os.unlink(self.path / name)
            self._clear(PENDING)


def _described(path: Path) -> set[str]:
    """The texts of the run that is in a folder, if one is."""
    with suppress(RunError):
        return set(Manifest.of(newest(path)[1], MANIFEST).texts)
    return set()


def _ours(name: str) -> bool:
    """Whether a name is one that a run folder of any version may hold."""
    known = (*TEXTS, *OLD_PARTS, MANIFEST, STAGING, PENDING, record.NAME, LOCK)
    return name in known or bool(PART.match(name) or _TEMPORARY.match(name))


def _inside(name: str) -> bool:
    """Whether a name is one that a folder of ours inside a run folder may hold, where every kind has texts of its own."""
    return _ours(name) or bool(TEXT.match(name))
