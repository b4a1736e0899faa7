"""`Settings`: all that decides a training run, as one value, and its TOML."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rondeau.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Settings:
    """What to learn, with what, and how long. One of ``minutes``, ``epochs`` and ``steps`` says when to end.

    ``sizes`` are those of the cell beside ``input`` and ``hidden``, such as ``{"projection": 64}``.
    ``corpus`` is what `load_text` takes; for a text given in Python its name in angle brackets. ``save_every`` is the longest
    time between two checkpoints, in seconds.
    """

    corpus: str = "shakespeare"
    encoding: str = "utf-8"
    tokenizer: str = "characters"
    vocabulary: int | None = None
    held_out: float = 0.05
    cell: str = "lstm"
    hidden: int = 320
    sizes: Mapping[str, int] = field(default_factory=dict)
    layers: int = 1
    embedding: int = 64
    dropout: float = 0.0
    tied: bool = False
    window: int = 80
    batch: int = 16
    minutes: float | None = None
    epochs: float | None = None
    steps: int | None = None
    learning_rate: float = 0.004
    schedule: str = "cosine"
    warmup: float = 0.02
    weight_decay: float = 0.01
    clip_norm: float | None = 0.5
    clip_value: float | None = None
    clip_step: float | None = None
    patience: int | None = None
    seed: int = 1
    threads: int | None = None
    save_every: float = 60.0
    backend: str = "auto"

    def checked(self) -> Settings:
        """These settings, once every number is in range; three minutes if no end is given.

        Raises:
            InputError: one is not.
        """
        for name, (low, inclusive) in _BOUNDS.items():
            value = getattr(self, name)
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"{name} is a finite number, not {value!r}")
            if value is not None and not (value >= low if inclusive else value > low):
                raise InputError(f"{name} is {'at least' if inclusive else 'above'} {low:g}, not {value!r}")
            if value is not None and value > (most := _MOST.get(name, LARGEST)):
                raise InputError(f"{name} is at most {most:,}, not {_short(value)}")
        for name in ("dropout", "held_out"):
            if not getattr(self, name) < 1:
                raise InputError(f"{name} lies below 1, not {getattr(self, name)!r}")
        for name, size in self.sizes.items():
            if not 1 <= size <= LARGEST:
                raise InputError(f"sizes are positive whole numbers, not {name}={_short(size)}")
        if self.schedule not in ("cosine", "linear", "constant"):
            raise InputError(f"schedule is cosine, linear or constant, not {self.schedule!r}")
        ends = [name for name in ("minutes", "epochs", "steps") if getattr(self, name) is not None]
        if len(ends) > 1:
            raise InputError(f"give one of minutes, epochs and steps, not {' and '.join(ends)}")
        return self if ends else replace(self, minutes=3.0)

    def to_toml(self) -> str:
        """The settings as TOML; what is None or empty is left out."""
        given = [(item.name, getattr(self, item.name)) for item in fields(self)]
        return "".join(f"{name} = {_toml(value)}\n" for name, value in given if value not in (None, {}))

    @staticmethod
    def of(values: Mapping[str, Any]) -> Settings:
        """Settings from names and values; the rest at their defaults.

        Raises:
            InputError: a name that does not exist, or a value of the wrong type.
        """
        known = {item.name: str(item.type) for item in fields(Settings)}
        for name, value in values.items():
            if name not in known:
                raise InputError(f"there is no setting {name!r}; the settings are {', '.join(known)}")
            if not _fits(value, known[name]):
                raise InputError(f"the setting {name} is {_kind(known[name])}, not {value!r}")
        return Settings(**dict(values))

    @staticmethod
    def toml(text: str, where: str = "the configuration") -> dict[str, Any]:
        """The names and values of a TOML text.

        Raises:
            InputError: it is not TOML.
        """
        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where} is not TOML: {error}") from error


LARGEST = 1 << 50
THREADS = max(64, 4 * (os.cpu_count() or 1))
_MOST: dict[str, int] = {"seed": 1 << 1024, "layers": 10_000, "threads": THREADS, "learning_rate": 1 << 120}
_BOUNDS: dict[str, tuple[float, bool]] = {
    "hidden": (1, True), "layers": (1, True), "embedding": (0, True), "dropout": (0, True), "window": (1, True),
    "batch": (1, True), "minutes": (0, False), "epochs": (0, False), "steps": (1, True), "learning_rate": (0, False),
    "warmup": (0, True), "weight_decay": (0, True), "clip_norm": (0, False), "clip_value": (0, False),
    "clip_step": (0, False), "patience": (1, True), "seed": (0, True), "threads": (1, True), "held_out": (0, False),
    "vocabulary": (2, True), "save_every": (0, False),
}  # fmt: skip


def _kind(kind: str) -> str:
    return "a table of whole numbers" if kind.startswith("Mapping") else kind.replace(" | None", "")


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(item)}" for name, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def _short(value: float) -> str:
    return f"{value!r}" if isinstance(value, float) or value < 10**20 else f"a number of {int(math.log10(value)) + 1} digits"


def _fits(value: Any, kind: str) -> bool:
    if kind.startswith("Mapping"):
        return isinstance(value, Mapping) and all(_fits(name, "str") and _fits(item, "int") for name, item in value.items())
    kinds = {"int": int, "float": (int, float), "str": str, "bool": bool}
    name = kind.replace(" | None", "")
    if value is None:
        return "None" in kind
    return isinstance(value, kinds[name]) and (name == "bool" or not isinstance(value, bool))  # type: ignore[arg-type]
