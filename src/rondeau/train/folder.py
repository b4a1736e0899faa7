"""Run folders: what a training run leaves behind, written so that a crash at any moment loses nothing.

``config.toml``, ``cell.json`` and ``tokenizer.json`` say what was built; ``metrics.jsonl`` is the record. A checkpoint is
``model.safetensors``, ``state.safetensors`` and ``manifest.json``, which holds a SHA-256 of every tensor. A new checkpoint is
first written whole into ``pending/``, its manifest last; then its files move up, the manifest last again. Whoever reads takes
a file from ``pending/`` when there is a manifest there. So the three always belong together.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from rondeau.errors import RunError
from rondeau.train.files import flush_folder, os_errors, write

FORMAT = 1
PARTS = ("model.safetensors", "state.safetensors", "manifest.json")
TEXTS = ("config.toml", "cell.json", "tokenizer.json")


class RunFolder:
    """A folder with a run in it. Make one with `RunFolder.create` or `RunFolder.open`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def create(path: str | Path, texts: Mapping[str, str], overwrite: bool = False) -> RunFolder:
        """A new run folder with its descriptions.

        Raises:
            RunError: something is there already and ``overwrite`` is off, or it cannot be written.
        """
        folder = RunFolder(Path(path))
        if folder.path.exists() and (not folder.path.is_dir() or any(folder.path.iterdir())):
            if not overwrite:
                raise RunError(f"{folder.path} exists already; give another --run, or --overwrite to replace it")
            folder._clear()
        with os_errors(folder.path):
            folder.path.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write(folder.path / name, text.encode())
        return folder

    def _clear(self) -> None:
        """Removes a run, and nothing that is not one."""
        if not (self.path / "config.toml").is_file():
            raise RunError(f"{self.path} exists and is not a run folder, so it is not overwritten; give another --run")
        with os_errors(self.path):
            shutil.rmtree(self.path)

    @staticmethod
    def open(path: str | Path) -> RunFolder:
        """An existing run folder.

        Raises:
            RunError: it is missing, not a run, or from a newer version.
        """
        folder = RunFolder(Path(path))
        if not folder.path.is_dir():
            raise RunError(f"there is no run folder {folder.path}; `rondeau train CORPUS --run {folder.path}` makes one")
        for name in (*TEXTS, "manifest.json"):
            if not folder.locate(name).is_file():
                raise RunError(f"{folder.path} is not a run folder: {name} is missing; train one with `rondeau train`")
        version = folder.manifest().get("format")
        if version != FORMAT:
            raise RunError(f"{folder.path} has format {version!r}, this version reads format {FORMAT}; update rondeau")
        for name, digest in folder.manifest().get("texts", {}).items():
            if _digest(folder.text(name).encode()) != digest:
                raise RunError(f"{folder.path / name} was changed or damaged since it was written; restore it from a copy")
        return folder

    def locate(self, name: str) -> Path:
        """Where a file of the newest whole checkpoint lies."""
        pending = self.path / "pending"
        waiting = pending / name
        return waiting if (pending / "manifest.json").is_file() and waiting.is_file() else self.path / name

    def text(self, name: str) -> str:
        """One of the descriptions.

        Raises:
            RunError: it cannot be read.
        """
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"{self.path / name} cannot be read: {error}; restore it from a copy") from error

    def manifest(self) -> dict[str, Any]:
        """The manifest of the newest whole checkpoint.

        Raises:
            RunError: it is damaged.
        """
        path = self.locate("manifest.json")
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(body, dict):
                return body
        except (OSError, ValueError) as error:
            raise RunError(f"{path} is damaged ({error}); restore it from a copy") from error
        raise RunError(f"{path} is damaged; restore it from a copy")

    def save(self, model: Mapping[str, Tensor], state: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Replaces the checkpoint by a new one, all or nothing.

        Raises:
            RunError: it cannot be written; the old checkpoint then stands.
        """
        self.settle()
        pending = self.path / "pending"
        parts = {"model": dict(model), "state": dict(state)}
        manifest = {
            "format": FORMAT,
            **facts,
            "texts": {name: _digest(self.text(name).encode()) for name in TEXTS},
            "sha256": {part: {name: digest(t) for name, t in tensors.items()} for part, tensors in parts.items()},
        }
        with os_errors(pending):
            pending.mkdir(exist_ok=True)
        for part, tensors in parts.items():
            write(pending / f"{part}.safetensors", save({name: t.detach().contiguous() for name, t in tensors.items()}))
        write(pending / "manifest.json", json.dumps(manifest, indent=1).encode())
        self.settle()

    def settle(self) -> None:
        """Finishes a checkpoint that was whole but had not moved up, and drops one that was not whole.

        Raises:
            RunError: the files cannot be moved.
        """
        pending = self.path / "pending"
        if not pending.is_dir():
            return
        with os_errors(pending):
            if (pending / "manifest.json").is_file():
                for name in PARTS:
                    if (pending / name).is_file():
                        os.replace(pending / name, self.path / name)
                        flush_folder(self.path)
            shutil.rmtree(pending)

    def load(self, part: str) -> dict[str, Tensor]:
        """The tensors of ``model`` or ``state``, each held against its hash.

        Raises:
            RunError: the file is missing, cut off, or a tensor differs from what was written.
        """
        path = self.locate(f"{part}.safetensors")
        try:
            tensors = load(path.read_bytes())
        except (OSError, SafetensorError, ValueError) as error:
            raise RunError(f"{path} is cut off or damaged ({error}); restore it from a copy") from error
        wanted = self.manifest()["sha256"][part]
        if set(wanted) != set(tensors):
            raise RunError(f"{path} holds other tensors than its manifest says; restore it from a copy")
        for name, tensor in tensors.items():
            if digest(tensor) != wanted[name]:
                raise RunError(
                    f"{path}: the tensor {name} is damaged, its hash differs from the manifest's; restore it from a copy"
                )
        return tensors


def digest(tensor: Tensor) -> str:
    """SHA-256 of a tensor: type, shape and bytes."""
    value = tensor.detach().cpu().contiguous()
    head = f"{value.dtype} {tuple(value.shape)} ".encode()
    return _digest(head + value.flatten().view(torch.uint8).numpy().tobytes() if value.numel() else head)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
