"""Optimizers and schedules by name, with the settings that each has of its own. Nothing here needs torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rondeau.errors import InputError


@dataclass(frozen=True)
class Option:
    """A number that a method takes: its default, the least that it may be, and a bound that it stays below."""

    default: float
    least: float = 0.0
    below: float = math.inf

    def check(self, what: str, value: float) -> None:
        """Refuses a value out of range.

        Raises:
            InputError: it is.
        """
        if not self.least <= value < self.below:
            bound = f" and below {self.below:g}" if self.below < math.inf else ""
            raise InputError(f"{what} is a number of at least {self.least:g}{bound}, not {value!r}")


PART = Option(0.0, below=1.0)
_ADAM = {"beta1": Option(0.9, below=1.0), "beta2": Option(0.99, below=1.0), "eps": Option(1e-8)}
OPTIMIZERS: dict[str, dict[str, Option]] = {
    "adamw": _ADAM,
    "adam": _ADAM,
    "sgd": {"momentum": Option(0.9, below=1.0), "dampening": PART},
    "rmsprop": {"alpha": Option(0.99, below=1.0), "momentum": PART, "eps": Option(1e-8)},
    "adagrad": {"lr_decay": Option(0.0), "eps": Option(1e-10)},
}
"""As in torch.optim, where these numbers have the same names; beta2 is 0.99, which suits short runs."""

SCHEDULES: dict[str, dict[str, Option]] = {
    "cosine": {"floor": Option(0.01, below=1.0)},
    "linear": {"floor": Option(0.01, below=1.0)},
    "plateau": {"factor": Option(0.5, below=1.0), "patience": Option(0.0), "floor": Option(0.01, below=1.0)},
    "constant": {},
}
"""``floor`` is the least part of the learning rate that is left. ``plateau`` multiplies the rate by ``factor`` after an
evaluation that is not the best so far, when ``patience`` others before it were not either."""


def options(name: str, table: Mapping[str, Mapping[str, Option]], given: Mapping[str, float]) -> dict[str, float]:
    """All the settings of a method: as given, the others at their defaults.

    Raises:
        InputError: it has no setting of a name that is given, or the number is out of range.
    """
    own = table[name]
    for option, value in given.items():
        if option not in own:
            has = f"it has {', '.join(own)}" if own else "it has none"
            raise InputError(f"{name} has no setting {option!r} of its own; {has}")
        own[option].check(f"{option} of {name}", value)
    return {**{option: item.default for option, item in own.items()}, **given}


def described(table: Mapping[str, Mapping[str, Option]]) -> str:
    """What every method has of its own, with the defaults, in a line."""
    parts = ((name, ", ".join(f"{option} {item.default:g}" for option, item in own.items())) for name, own in table.items())
    return "; ".join(f"{name}: {own}" for name, own in parts if own)
