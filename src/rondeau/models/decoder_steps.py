"""`DecoderSteps`: the decoder of an `EncoderDecoder` a token at a time, many hypotheses of many sources side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rondeau.errors import InputError
from rondeau.models.encoder_decoder import Encoded, EncoderDecoder

State = tuple[tuple[Tensor, ...], ...]


class DecoderSteps:
    """Hypotheses of sources, ``each`` of every one: rows (sources * each,), those of a source side by side.

    The decoder runs on one compiled step where a kernel can run it, and attention looks for all hypotheses of a source at once.

    Args:
        model: what writes; after ``eval()``.
        encoded: the sources.
        each: hypotheses of a source.

    Example:
        >>> from rondeau.models import SequenceEncoder, Tokens, recurrent_layers
        >>> model = EncoderDecoder(SequenceEncoder(Tokens(9, 4), recurrent_layers("gru", 4, 8)), 7, hidden=8).eval()
        >>> with torch.no_grad():
        ...     steps = DecoderSteps(model, model.encode(torch.zeros(2, 5, dtype=torch.int64)), each=3)
        ...     logits, weights = steps(torch.zeros(6, dtype=torch.int64))
        >>> logits.shape, weights.shape
        (torch.Size([6, 7]), torch.Size([6, 5]))
    """

    def __init__(self, model: EncoderDecoder, encoded: Encoded, each: int) -> None:
        self.model, self.each, self.memory = model, each, encoded.memory
        state = _mapped(encoded.state, lambda value: value.repeat_interleave(each, 0))
        self.rows = len(state[0][0])
        self._fed = model.nothing_fed(self.rows)
        self._run = _running(model, state)

    def __call__(self, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits (rows, vocabulary) of the token after ``tokens`` (rows,), and where attention looked (rows, time), if there is
        any."""
        y = self._run.step(self.model.read(self.model.embedding(tokens), self._fed))
        features, weights = self.model.attend(y.unflatten(0, (-1, self.each)), self.memory)
        features = features.flatten(0, 1)
        self._fed = features
        return self.model.head(features), None if weights is None else weights.flatten(0, 1)

    def take(self, rows: Tensor) -> None:
        """Every hypothesis goes on from where that of ``rows`` (rows,) stands, which is one of the same source."""
        self._run.take(rows)
        if self.model.input_feeding:
            self._fed = self._fed[rows]

    def keep(self, sources: Tensor) -> None:
        """Goes on with these ``sources`` alone."""
        rows = (sources[:, None] * self.each + torch.arange(self.each, device=sources.device)).flatten()
        state = _mapped(self._run.state, lambda value: value[rows])
        self.rows, self._fed = len(rows), self._fed[rows]
        self.memory = None if self.memory is None else self.memory.take(sources)
        self._run = _running(self.model, state)


class _Kernel:
    """The decoder's layers as one compiled step."""

    def __init__(self, model: EncoderDecoder, state: State) -> None:
        self.stepper = model.decoder.stepper(len(state[0][0]))
        self.stepper.load_state(state)
        self.step, self.take = self.stepper.step, self.stepper.take

    @property
    def state(self) -> State:
        return self.stepper.state


class _Modules:
    """The decoder's layers called one after another, for what no kernel can run."""

    def __init__(self, model: EncoderDecoder, state: State) -> None:
        self.decoder, self.state = model.decoder, state

    def step(self, x: Tensor) -> Tensor:
        y, self.state = self.decoder(x[:, None], self.state)
        return y[:, 0]

    def take(self, rows: Tensor) -> None:
        self.state = _mapped(self.state, lambda value: value[rows])


def _running(model: EncoderDecoder, state: State) -> _Kernel | _Modules:
    try:
        return _Kernel(model, state)
    except InputError:
        return _Modules(model, state)


def _mapped(state: Any, function: Callable[[Tensor], Tensor]) -> Any:
    return function(state) if isinstance(state, Tensor) else tuple(_mapped(each, function) for each in state)
