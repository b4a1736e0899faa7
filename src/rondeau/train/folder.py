"""Run folders: what a training run leaves behind, written so that a crash at any moment loses nothing.

``config.toml``, ``cell.json`` and ``tokenizer.json`` say what was built; ``metrics.jsonl`` is the record. A checkpoint is a
file of weights and one of everything else that going on takes; both are named by their content. ``manifest.json`` names the
two of the newest checkpoint and holds a SHA-256 of every tensor and text; it is replaced by one rename, so whoever reads it
gets one checkpoint and not a mixture. A new run is first written whole into ``.staging/``, its manifest last; then its files
move up, the manifest last again. Whoever reads takes a file from there while there is a manifest. ``lock`` keeps a second
writer out.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from rondeau.errors import RunError
from rondeau.train import record
from rondeau.train.files import flush_folder, is_folder, os_errors, read_plain, write
from rondeau.train.lock import NAME as LOCK
from rondeau.train.lock import Lock
from rondeau.train.manifest import LONGEST, OLD, PARTS, TEXTS, Facts, Manifest, sha256
from rondeau.train.manifest import NAME as PART
from rondeau.train.tensors import TensorFile, digest, packed

MANIFEST, STAGING, PENDING = "manifest.json", ".staging", "pending"
OLD_PARTS = tuple(f"{part}.safetensors" for part in PARTS)
ATTEMPTS = 50
_TEMPORARY = re.compile(r"\.[A-Za-z0-9.-]+\.\d+\.tmp\Z")
_WHOLE = "the run in it is whole, and the next command goes on with it"


@dataclass(frozen=True)
class Checkpoint:
    """One read of a run folder; all in it belongs together."""

    manifest: Manifest
    texts: Mapping[str, str]
    parts: Mapping[str, TensorFile]

    def tensors(self, part: str) -> dict[str, Tensor]:
        """The tensors of ``model`` or ``state``, each held against its hash.

        Raises:
            RunError: the file is cut off, or a tensor differs from what was written.
        """
        return self.parts[part].load(self.manifest.sha256[part])


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
        if rest is not None and (not rest or (rest == [STAGING] and not _exists(place / STAGING / MANIFEST))):
            return
        if not overwrite:
            raise RunError(f"{place} exists already; give another --run, or --overwrite to replace it")
        if rest is None or not (MANIFEST in rest or "config.toml" in rest or all(map(_ours, rest))):
            raise RunError(f"{place} exists and is not a run folder, so it is not overwritten; give another --run")

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
            folder._stage(texts, parts, facts)
        except BaseException:
            folder._abandon()
            raise
        folder.settle()
        folder._sweep(old=True)
        return folder

    def _stage(self, texts: Mapping[str, str], parts: Mapping[str, Mapping[str, Tensor]], facts: Facts) -> None:
        """Writes a run whole beside the one that is there."""
        self.settle()
        for name, text in texts.items():
            if len(text.encode()) > TEXTS[name]:
                raise RunError(f"{name} would have more than {TEXTS[name]:,} bytes; is there a smaller --vocabulary?")
        staging = self.path / STAGING
        with os_errors(staging):
            staging.mkdir(exist_ok=True)
        for name, text in texts.items():
            write(staging / name, text.encode())
        write(staging / record.NAME, b"")
        manifest = self._written(staging, {name: sha256(text.encode()) for name, text in texts.items()}, parts, facts, set())
        write(staging / MANIFEST, manifest)
        with os_errors(self.path):
            flush_folder(self.path)
        self._last = manifest

    def _abandon(self) -> None:
        """Takes back what a failed `create` has made, as far as that goes."""
        with suppress(OSError, RunError):
            if not _exists(self.path / STAGING / MANIFEST):
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
            raise RunError(f"there is no run folder {str(path)!r}; `rondeau train CORPUS --run FOLDER` makes one")
        folder.read(()).manifest  # noqa: B018
        return folder

    def read(self, parts: tuple[str, ...] = ("model",)) -> Checkpoint:
        """The newest whole checkpoint, with open files of the ``parts``; while it is replaced, the old one or the new one.

        Raises:
            RunError: something is missing or damaged.
        """
        for attempt in range(ATTEMPTS):
            before = self._newest()
            try:
                found = self._read(before, parts)
                self._last = before[1]
                return found
            except (RunError, FileNotFoundError) as error:
                if attempt == ATTEMPTS - 1 or self._newest() == before:
                    if isinstance(error, RunError):
                        raise
                    name = Path(error.filename).name
                    raise RunError(
                        f"{self.path} is not a whole run folder: {name} is missing; restore it from a copy"
                    ) from error
                time.sleep(0.001 * attempt)
        raise AssertionError

    def _newest(self) -> tuple[Path, bytes]:
        """The manifest of the newest whole checkpoint, and the folder in which it lies."""
        for place in (self.path / STAGING, self.path / PENDING, self.path):
            if place != self.path and not is_folder(place):
                continue
            try:
                raw = read_plain(place / MANIFEST, LONGEST)
            except FileNotFoundError:
                continue
            if place.name != PENDING or not _exists(self.path / MANIFEST) or self._old():
                return place, raw
        missing = "config.toml" if not _exists(self.path / "config.toml") else MANIFEST
        raise RunError(f"{self.path} is not a run folder: {missing} is missing; train one with `rondeau train`")

    def _old(self) -> bool:
        """Whether the manifest above is of the format that knew ``pending/``."""
        try:
            return Manifest.of(read_plain(self.path / MANIFEST, LONGEST), MANIFEST).format == OLD
        except (RunError, FileNotFoundError):
            return True

    def _read(self, newest: tuple[Path, bytes], parts: tuple[str, ...]) -> Checkpoint:
        place, raw = newest
        manifest = Manifest.of(raw, str(place / MANIFEST))
        texts = {}
        for name, wanted in manifest.texts.items():
            path = self._locate(place, name)
            text = read_plain(path, TEXTS[name])
            if sha256(text) != wanted:
                raise RunError(f"{path} was changed or damaged since it was written; restore it from a copy")
            texts[name] = _decoded(path, text)
        return Checkpoint(manifest, texts, {part: TensorFile(self._locate(place, manifest.files[part])) for part in parts})

    def _locate(self, place: Path, name: str) -> Path:
        """Where a file lies: beside its manifest, or above, where it has moved already."""
        return place / name if _exists(place / name) else self.path / name

    # writing

    def claim(self) -> None:
        """Takes the lock, once and until `release`.

        Raises:
            RunError: another run holds it, or has gone on with this folder since it was read here.
        """
        if self.lock.held:
            return
        self.lock.acquire()
        if self._last is not None and self._newest()[1] != self._last:
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
        before = Manifest.of(self._newest()[1], MANIFEST)
        parts = {"model": model, "state": state}
        manifest = self._written(self.path, before.texts, parts, facts, set(before.files.values()))
        if manifest != self._last:
            write(self.path / MANIFEST, manifest)
            self._last = manifest
        self._sweep(old=before.format == OLD)

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
        if _exists(staging / MANIFEST):
            with os_errors(self.path, _WHOLE):
                names = [name for name in os.listdir(staging) if _ours(name) and name != MANIFEST]
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
            for item in filter(_ours, os.listdir(place)):
                os.unlink(place / item)
            os.rmdir(place)

    def _sweep(self, old: bool) -> None:
        """Removes what the newest checkpoint does not name; what cannot be removed now, the next time."""
        keep = set(Manifest.of(self._newest()[1], MANIFEST).files.values())
        with suppress(OSError):
            for name in os.listdir(self.path):
                left = _TEMPORARY.match(name) or PART.match(name) or (old and name in OLD_PARTS)
                if left and name not in keep:
                    with suppress(OSError):
                        os.unlink(self.path / name)
            self._clear(PENDING)


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _ours(name: str) -> bool:
    """Whether a name is one that a run folder of any version may hold."""
    known = (*TEXTS, *OLD_PARTS, MANIFEST, STAGING, PENDING, record.NAME, LOCK)
    return name in known or bool(PART.match(name) or _TEMPORARY.match(name))


def _decoded(path: Path, raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RunError(f"{path} cannot be read: {error}; restore it from a copy") from error
