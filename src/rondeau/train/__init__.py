"""Training: the loop, its record, run folders and resuming."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rondeau.errors import RunWarning
from rondeau.train.settings import Settings

if TYPE_CHECKING:
    from rondeau.train.folder import RunFolder
    from rondeau.train.loop import Progress, Training, evaluate
    from rondeau.train.record import Record, bits
    from rondeau.train.run import Run, load, resume, start
    from rondeau.train.tensors import digest

_LATE = {
    "RunFolder": "folder",
    "digest": "tensors",
    "Progress": "loop",
    "Training": "loop",
    "evaluate": "loop",
    "Record": "record",
    "bits": "record",
    "Run": "run",
    "load": "run",
    "resume": "run",
    "start": "run",
}
"""What needs torch, which takes a second to import: it comes when it is first asked for; `Settings` come without."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'rondeau.train' has no attribute {name!r}")
    return getattr(import_module(f"rondeau.train.{_LATE[name]}"), name)


__all__ = [
    "Progress",
    "Record",
    "Run",
    "RunFolder",
    "RunWarning",
    "Settings",
    "Training",
    "bits",
    "digest",
    "evaluate",
    "load",
    "resume",
    "start",
]
