"""Reading a run folder: one read is of one checkpoint, whatever is written meanwhile."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from rondeau.errors import RunError
from rondeau.train.files import exists, is_folder, read_plain
from rondeau.train.manifest import LONGEST, OLD, Manifest, longest, sha256
from rondeau.train.tensors import TensorFile

MANIFEST, STAGING, PENDING = "manifest.json", ".staging", "pending"
ATTEMPTS = 50


@dataclass(frozen=True)
class Checkpoint:
    """One read of a run folder; all in it belongs together. ``raw`` is the manifest as it is on the disk."""

    raw: bytes
    manifest: Manifest
    texts: Mapping[str, str]
    parts: Mapping[str, TensorFile]

    def tensors(self, part: str) -> dict[str, Tensor]:
        """The tensors of ``model`` or ``state``, each compared with its hash.

        Raises:
            RunError: the file is cut off, or a tensor differs from what was written.
        """
        return self.parts[part].load(self.manifest.sha256[part])


def read(folder: Path, parts: tuple[str, ...]) -> Checkpoint:
    """The newest whole checkpoint, with open files of the ``parts``; while it is replaced, the old one or the new one.

    Raises:
        RunError: something is missing or damaged.
    """
    for attempt in range(ATTEMPTS):
        before = newest(folder)
        try:
            return _read(folder, *before, parts)
        except (RunError, FileNotFoundError) as error:
            if attempt == ATTEMPTS - 1 or newest(folder) == before:
                if isinstance(error, RunError):
                    raise
                name = Path(error.filename).name
                raise RunError(f"{folder} is not a whole run folder: {name} is missing; restore it from a copy") from error
            time.sleep(0.001 * attempt)
    raise AssertionError


def newest(folder: Path) -> tuple[Path, bytes]:
    """The manifest of the newest whole checkpoint: the folder in which it lies, and its bytes.

    Raises:
        RunError: there is none.
    """
    for place in (folder / STAGING, folder / PENDING, folder):
        if place != folder and not is_folder(place):
            continue
        try:
            raw = read_plain(place / MANIFEST, LONGEST)
        except FileNotFoundError:
            continue
        if place.name != PENDING or not exists(folder / MANIFEST) or _old(folder):
            return place, raw
    missing = "config.toml" if not exists(folder / "config.toml") else MANIFEST
    raise RunError(f"{folder} is not a run folder: {missing} is missing; give the folder of a run")


def _old(folder: Path) -> bool:
    """Whether the manifest above is of the format that knew ``pending/``."""
    try:
        return Manifest.of(read_plain(folder / MANIFEST, LONGEST), MANIFEST).format == OLD
    except (RunError, FileNotFoundError):
        return True


def _read(folder: Path, place: Path, raw: bytes, parts: tuple[str, ...]) -> Checkpoint:
    manifest = Manifest.of(raw, str(place / MANIFEST))
    texts = {name: _text(_locate(folder, place, name), name, wanted) for name, wanted in manifest.texts.items()}
    files = {part: TensorFile(_locate(folder, place, manifest.files[part])) for part in parts}
    return Checkpoint(raw, manifest, texts, files)


def _text(path: Path, name: str, wanted: str) -> str:
    raw = read_plain(path, longest(name))
    if sha256(raw) != wanted:
        raise RunError(f"{path} was changed or damaged since it was written; restore it from a copy")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RunError(f"{path} cannot be read: {error}; restore it from a copy") from error


def _locate(folder: Path, place: Path, name: str) -> Path:
    """Where a file lies: beside its manifest, or above, where it has moved already."""
    return place / name if exists(place / name) else folder / name
