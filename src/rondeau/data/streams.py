"""Streams: a text as ``batch`` contiguous streams, along which windows walk."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from rondeau.errors import DataError, InputError


@dataclass(frozen=True)
class Window:
    """Inputs and targets (batch, window), the targets one step ahead; ``start``: the streams begin, so carry no state."""

    inputs: Tensor
    targets: Tensor
    start: bool


class Streams:
    """Windows over contiguous streams of tokens, round and round.

    The text is cut into ``batch`` streams of equal length, whose ends that do not fill a window are read as a shorter one,
    so that every token of a stream but its first is a target once an epoch.

    Args:
        tokens: (tokens,), int64.
        batch: the number of streams.
        window: the number of steps of a window.

    Raises:
        InputError: batch or window is not positive.
        DataError: the text is too short for them.
    """

    def __init__(self, tokens: Tensor, batch: int, window: int) -> None:
        for name, value in (("batch", batch), ("window", window)):
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} is a positive whole number, not {value!r}")
        length = len(tokens) // batch
        if length < window + 1:
            fits = len(tokens) // (window + 1)
            hint = f"a batch of at most {fits}" if fits else f"a window of at most {max(len(tokens) - 1, 1)} and a batch of 1"
            raise DataError(
                f"the text has {len(tokens)} tokens, too few for {batch} streams of at least {window + 1}; "
                f"give {hint}, or more text"
            )
        self.tokens = tokens[: batch * length].view(batch, length)
        self.batch, self.window = batch, window
        self.epoch = self.position = 0

    @property
    def count(self) -> int:
        """Windows in an epoch."""
        return -(-(self.tokens.shape[1] - 1) // self.window)

    @property
    def passed(self) -> float:
        """Epochs behind, with the part of this one."""
        return (self.epoch * self.count + self.position // self.window) / self.count

    def steps(self, epochs: float) -> int:
        """Windows in so many epochs from the beginning; a part of a window counts as one."""
        return math.ceil(epochs * self.count - 1e-6)

    def next(self) -> Window:
        """The next window; after the last one of an epoch, the first again."""
        start = self.position
        stop = min(start + self.window, self.tokens.shape[1] - 1)
        window = Window(self.tokens[:, start:stop], self.tokens[:, start + 1 : stop + 1], start == 0)
        self.position = stop
        if stop == self.tokens.shape[1] - 1:
            self.position = 0
            self.epoch += 1
        return window

    def state_dict(self) -> dict[str, int]:
        """Where the streams stand."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes where `state_dict` stood.

        Raises:
            InputError: a place where no window of these streams begins.
        """
        epoch, position = int(state["epoch"]), int(state["position"])
        if epoch < 0 or position % self.window or not 0 <= position < self.tokens.shape[1] - 1:
            raise InputError(f"no window of these streams begins at {position} of epoch {epoch}; is it another text?")
        self.epoch, self.position = epoch, position


def hold_out(tokens: Tensor, fraction: float = 0.05) -> tuple[Tensor, Tensor]:
    """The tokens to learn from and the last ``fraction`` of them, held out.

    Raises:
        InputError: the fraction does not lie between 0 and 1.
        DataError: one of the parts would be empty.
    """
    if not 0 < fraction < 1:
        raise InputError(f"the held-out fraction lies between 0 and 1, not {fraction!r}")
    cut = len(tokens) - int(len(tokens) * fraction)
    if cut < 2 or len(tokens) - cut < 2:
        raise DataError(f"the text has {len(tokens)} tokens, too few to hold out {fraction:.0%} of it; give more text")
    return tokens[:cut], tokens[cut:]
