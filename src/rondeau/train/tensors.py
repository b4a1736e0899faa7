"""Tensors in a safetensors file: described by its header, checked, and only then read."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from rondeau.data.memory import memory
from rondeau.errors import RunError
from rondeau.train.files import close, open_plain

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
LONGEST = 1 << 22  # bytes of a header


@dataclass(frozen=True)
class Entry:
    """A tensor in a file: its type, its shape, and where its bytes lie."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


class TensorFile:
    """An open file of tensors. ``entries`` is what its header says; nothing else has been read.

    Raises:
        FileNotFoundError: nothing is there.
        RunError: it is no plain file, or no safetensors file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None
        self._handle = open_plain(path)
        try:
            self.entries = _entries(self._handle)
        except (OSError, ValueError, RecursionError) as error:
            self.close()
            raise RunError(f"{path} is cut off or damaged ({error}); restore it from a copy") from error

    @property
    def numel(self) -> int:
        """How many elements its tensors hold together."""
        return sum(math.prod(entry.shape) for entry in self.entries.values())

    def load(self, digests: Mapping[str, str]) -> dict[str, Tensor]:
        """The tensors, each compared with its hash.

        Raises:
            RunError: there are others than ``digests`` names, or one differs from what was written.
        """
        if set(digests) != set(self.entries):
            raise RunError(f"{self.path} holds other tensors than its manifest says; restore it from a copy")
        size, there = sum(entry.stop - entry.start for entry in self.entries.values()), memory()
        if there is not None and size > there:
            raise RunError(f"{self.path} takes {size / 1e9:,.0f} GB, this machine has {there / 1e9:,.0f}; use a larger one")
        tensors = {name: self._tensor(entry) for name, entry in self.entries.items()}
        for name, tensor in tensors.items():
            if digest(tensor) != digests[name]:
                raise RunError(
                    f"{self.path}: the tensor {name} is damaged, its hash differs from the manifest's; restore it from a copy"
                )
        return tensors

    def _tensor(self, entry: Entry) -> Tensor:
        assert self._handle is not None
        flat = torch.empty(entry.stop - entry.start, dtype=torch.uint8)
        try:
            _fill(self._handle, entry.start, flat.numpy().data)
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path} is cut off or damaged ({error}); restore it from a copy") from error
        return flat.view(entry.dtype).view(entry.shape) if len(flat) else torch.empty(entry.shape, dtype=entry.dtype)

    def close(self) -> None:
        """Closes the file."""
        if self._handle is not None:
            close(self._handle)
            self._handle = None

    def __del__(self) -> None:
        self.close()


def _fill(handle: int, start: int, view: memoryview) -> None:
    """Reads bytes from ``start`` on until ``view`` is full."""
    os.lseek(handle, start, os.SEEK_SET)
    while len(view):
        part = os.read(handle, min(len(view), 1 << 22))
        if not part:
            raise ValueError("it ends too early")
        view[: len(part)] = part
        view = view[len(part) :]


def _entries(handle: int) -> dict[str, Entry]:
    size = os.fstat(handle).st_size
    head = bytearray(8)
    _fill(handle, 0, memoryview(head))
    length = int.from_bytes(head, "little")
    if length > min(LONGEST, size - 8):
        raise ValueError(f"a header of {length} bytes")
    text = bytearray(length)
    _fill(handle, 8, memoryview(text))
    body = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    if not isinstance(body, dict):
        raise ValueError("its header is no table")
    body.pop("__metadata__", None)
    entries = {name: _entry(item, 8 + length) for name, item in body.items()}
    place = 8 + length
    for entry in sorted(entries.values(), key=lambda e: (e.start, e.stop)):
        if entry.start != place:
            raise ValueError("its tensors overlap or leave gaps")
        place = entry.stop
    if place != size:
        raise ValueError(f"it has {size} bytes where its header speaks of {place}")
    return entries


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name comes twice")
    return dict(pairs)


def _entry(item: Any, base: int) -> Entry:
    if not isinstance(item, dict) or set(item) != {"dtype", "shape", "data_offsets"} or item["dtype"] not in list(DTYPES):
        raise ValueError("a tensor of an unknown kind")
    shape, offsets = item["shape"], item["data_offsets"]
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or len(numbers) > 8 or not all(type(n) is int and 0 <= n < 1 << 48 for n in numbers):
            raise ValueError("a shape or a place that is none")
    dtype = DTYPES[item["dtype"]]
    if len(offsets) != 2 or offsets[1] - offsets[0] != math.prod(shape) * dtype.itemsize:
        raise ValueError("a shape that does not fit its bytes")
    return Entry(dtype, tuple(shape), base + offsets[0], base + offsets[1])


def packed(tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of a safetensors file."""
    return save({name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()})


def digest(tensor: Tensor) -> str:
    """SHA-256 of a tensor: type, shape and bytes."""
    value = tensor.detach().cpu().contiguous()
    made = hashlib.sha256(f"{value.dtype} {tuple(value.shape)} ".encode())
    if value.numel():
        made.update(value.flatten().view(torch.uint8).numpy().data)
    return made.hexdigest()
