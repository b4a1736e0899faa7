"""Text, token after token, from a language model: one compiled step a token where the model is made of plain layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rondeau.cells import chain
from rondeau.data import Tokenizer
from rondeau.engine import Stepper
from rondeau.errors import InputError
from rondeau.models.language_model import LanguageModel
from rondeau.nn import Recurrent

BLOCK = 64
LARGEST = 1 << 27  # elements of the table of what each token brings to the first layer

Advance = Callable[[int], np.ndarray]


class Choice:
    """Draws one token from logits.

    Args:
        temperature: divides the logits; 0 takes the most likely token always.
        top_k: only the k most likely tokens take part.
        top_p: only the most likely tokens that together have at least this probability take part.
        generator: the source of randomness.

    Raises:
        InputError: a setting out of range.

    Example:
        >>> Choice(temperature=0)(np.array([0.1, 2.0, 0.3]))
        1
    """

    def __init__(
        self,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        if not 0 <= temperature < float("inf"):
            raise InputError(f"temperature is 0 (always the most likely) or a positive number, not {temperature}")
        if top_k is not None and top_k < 1:
            raise InputError(f"top-k is at least 1, not {top_k}")
        if top_p is not None and not 0 < top_p <= 1:
            raise InputError(f"top-p lies above 0 and up to 1, not {top_p}")
        self.temperature, self.top_k, self.top_p, self.generator = temperature, top_k, top_p, generator
        self._numbers: list[float] = []

    def __call__(self, logits: np.ndarray) -> int:
        """A token from logits (vocabulary,).

        Raises:
            InputError: the logits are not finite.
        """
        best = int(logits.argmax())
        if not np.isfinite(logits[best]):
            raise InputError("the model's output is not finite, so nothing can be drawn from it; was its training sound?")
        if self.temperature == 0:
            return best
        p = np.exp((logits - logits[best]) / np.float64(self.temperature))
        if self.top_k is not None and self.top_k < len(p):
            p[p < np.partition(p, -self.top_k)[-self.top_k]] = 0.0
        if self.top_p is not None:
            order = np.argsort(-p, kind="stable")
            ranked = p[order]
            p[order[ranked.cumsum() - ranked >= self.top_p * ranked.sum()]] = 0.0
        total = p.cumsum()
        return int(total.searchsorted(self._number() * total[-1], side="right"))

    def _number(self) -> float:
        """The next random number in [0, 1); drawn in blocks, since a draw costs as much as a step."""
        if not self._numbers:
            self._numbers = torch.rand(BLOCK, dtype=torch.float64, generator=self.generator).tolist()
        return self._numbers.pop()


def generate(
    model: LanguageModel,
    prompt: Tensor,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[int]:
    """Tokens that the model writes after ``prompt`` (tokens,), one after another.

    Args:
        model: a trained model.
        prompt: at least one token.
        length: how many tokens to write.
        temperature, top_k, top_p, generator: as for `Choice`.

    Raises:
        InputError: a setting out of range.
    """
    if length < 1:
        raise InputError(f"length is the number of tokens to write, at least 1, not {length}")
    if prompt.dim() != 1 or not len(prompt):
        raise InputError("the prompt is a row of at least one token")
    return _written(model, prompt, length, Choice(temperature, top_k, top_p, generator))


def _written(model: LanguageModel, prompt: Tensor, length: int, choice: Choice) -> Iterator[int]:
    logits, state = _read(model, prompt, None)
    token = choice(logits)
    yield token
    advance = _compiled(model, state) or _module(model, state)
    for _ in range(length - 1):
        token = choice(advance(token))
        yield token


def beginning(tokenizer: Tokenizer) -> Tensor:
    """What to begin with when there is no prompt: a new line, or the first token where the text had no lines."""
    return torch.zeros(1, dtype=torch.int64) if tokenizer.unknowns("\n") else tokenizer.encode("\n")


def _read(model: LanguageModel, tokens: Tensor, state: Any) -> tuple[np.ndarray, Any]:
    """The logits after the last of ``tokens``, and the state."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            logits, state = model(tokens[None].to(next(model.parameters()).device), state)
    finally:
        model.train(training)
    return logits[0, -1].float().cpu().numpy(), state


def _module(model: LanguageModel, state: Any) -> Advance:
    """One step after another through the modules."""

    def advance(token: int) -> np.ndarray:
        nonlocal state
        logits, state = _read(model, torch.tensor([token]), state)
        return logits

    return advance


def _plain(layer: Recurrent) -> bool:
    """Whether a layer is one run forward of a cell without contexts, on a backend that a kernel may stand for."""
    single = layer.num_layers == 1 and not layer.bidirectional and not layer.reverse
    return single and not layer.cell.contexts and layer.backend in ("auto", "compiled")


def _compiled(model: LanguageModel, state: Any) -> Advance | None:
    """The whole model as one cell, stepped by a kernel; None where it is not made of plain layers or no kernel can run it."""
    layers: list[Any] = [layer for layer in model.body if not isinstance(layer, (nn.Dropout, nn.Identity))]
    head, table = model.head, _table(model)
    if (
        table is None
        or not isinstance(head, nn.Linear)
        or not all(type(layer) is Recurrent and _plain(layer) for layer in layers)
    ):
        return None
    cell = chain([(layer.cell, layer.sizes) for layer in layers], model.vocabulary)
    params = {f"{name}{i}": value for i, layer in enumerate(layers) for name, value in layer.params.items()}
    params |= {"V": head.weight, "v": head.weight.new_zeros(model.vocabulary) if head.bias is None else head.bias}
    if model.vocabulary * sum(p.shape(layers[0].sizes)[0] for p in layers[0].cell.parameters) > LARGEST:
        return None
    try:
        stepper = Stepper(cell, params, table.detach(), tuple(value for layer in state for value in layer))
    except InputError:
        return None
    return stepper.step


def _table(model: LanguageModel) -> Tensor | None:
    """The features of every token, (vocabulary, features), on the processor; None for an embedding of one's own."""
    first = next(model.parameters())
    if first.device.type != "cpu":
        return None
    if model.embedding is None:
        return torch.eye(model.vocabulary, dtype=first.dtype)
    return model.embedding.weight if type(model.embedding) is nn.Embedding else None
