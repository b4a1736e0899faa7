"""`LanguageModel`: what comes next, given what came before. One output a step, many to many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rondeau.engine import BackendChoice
from rondeau.errors import InputError
from rondeau.ir import Cell
from rondeau.models.layers import other_sizes, recurrent_layers
from rondeau.nn import Composed, Given, Layer, Recurrent, Stack
from rondeau.nn.layer import Traces
from rondeau.nn.linear import Linear

SCORED = 256  # tokens that are scored at a time


class LanguageModel(Composed[tuple[Any, ...]]):
    """Embedding (or one-hot input), a stack of recurrent layers, and a softmax over the vocabulary.

    It is called as any `rondeau.nn.Layer`, but reads tokens (batch, time) and outputs logits (batch, time, vocabulary) of the
    token after each; what is traced is that of its ``body``, as ``"body.0.f"``.

    Args:
        vocabulary: the number of different tokens.
        cell: the recurrent cell, or a name of the zoo; or a `rondeau.nn.Layer`, such as a whole stack.
        hidden: units of each layer.
        layers: the number of layers.
        embedding: features of a token's embedding; 0 for one-hot input; or a module from tokens (batch, time) to features
            (batch, time, features).
        head: a module from what the last layer outputs, (batch, time, features), to logits (batch, time, vocabulary); a linear
            layer if not given.
        dropout: the rate after the embedding, between layers and before the softmax.
        tied: whether the softmax uses the embedding's weights, as in Press & Wolf 2017 (arXiv:1608.05859); needs as many
            features in the embedding as the last layer outputs, and no modules of one's own.
        clip: bounds each element of the gradient that flows back through the states, at every step.
        backend: as for `rondeau.scan`.
        sizes: the cell's sizes beside ``input`` and ``hidden``, such as ``{"projection": 64}``; as ``hidden`` if not given.

    Raises:
        InputError: sizes that do not fit, or a layer that runs in reverse or both ways.

    Example:
        >>> import torch
        >>> model = LanguageModel(50, "gru", hidden=16, embedding=8)
        >>> logits, state = model(torch.zeros(2, 7, dtype=torch.int64))
        >>> logits.shape
        torch.Size([2, 7, 50])
    """

    def __init__(
        self,
        vocabulary: int,
        cell: Cell | str | Layer[Any] = "lstm",
        *,
        hidden: int = 256,
        layers: int = 1,
        embedding: int | nn.Module = 64,
        head: nn.Module | None = None,
        dropout: float = 0.0,
        tied: bool = False,
        clip: float | None = None,
        backend: BackendChoice = "auto",
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        features = 0 if isinstance(embedding, nn.Module) else embedding
        _check(vocabulary, layers, features, dropout, tied and (head is not None or embedding is not features))
        self.vocabulary = vocabulary
        self.dropout = nn.Dropout(dropout)
        if isinstance(embedding, nn.Module):
            self.embedding: nn.Module | None = embedding
            width = _width(embedding, torch.zeros(1, 1, dtype=torch.int64), "embedding")
        else:
            self.embedding = nn.Embedding(vocabulary, features) if features else None
            width = features or vocabulary
        if isinstance(cell, Layer):
            self.body = cell if isinstance(cell, Stack) else Stack(cell)
        else:
            self.body = recurrent_layers(
                cell, width, hidden, layers=layers, dropout=dropout, clip=clip, backend=backend, sizes=sizes
            )
        if any(isinstance(layer, Recurrent) and layer.reverse is not False for layer in self.body.modules()):
            raise InputError("a layer of the model reads a text from its end, where the answer stands; give it forward layers")
        outputs = self.body.output_size
        _tied(tied, features, outputs)
        self.head = Linear(outputs, vocabulary) if head is None else _fitting(head, outputs, vocabulary)
        if tied:
            assert self.embedding is not None
            self.head.weight = self.embedding.weight

    @property
    def size(self) -> int:
        """The number of different tokens."""
        return self.vocabulary

    @property
    def input_size(self) -> int:
        """The number of different tokens, which it reads as whole numbers."""
        return self.vocabulary

    @property
    def output_size(self) -> int:
        """The number of logits, one a token."""
        return self.vocabulary

    def initial_state(self, batch: int) -> tuple[Any, ...]:
        """The state that ``batch`` texts start with."""
        return self.body.initial_state(batch)

    def features(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """What the softmax reads, (batch, time, features), and the state."""
        return self._features(tokens, state, Given())[:2]

    def _features(self, tokens: Tensor, state: Any, given: Given) -> tuple[Tensor, tuple[Any, ...], Traces]:
        if self.embedding is not None:
            x = self.embedding(tokens)
        else:
            x = nn.functional.one_hot(tokens, self.vocabulary).to(next(self.parameters()).dtype)
        y, after, traced = self._run("body", self.dropout(x), state, given)
        return self.dropout(y), after, traced

    def _forward(self, x: Tensor, state: Any, given: Given) -> tuple[Tensor, tuple[Any, ...], Traces]:
        y, after, traced = self._features(x, state, given)
        return self.head(y), after, traced

    @torch.inference_mode()
    def log_probability(self, tokens: Tensor) -> np.ndarray:
        """The natural logarithm of each token's probability given those before it, (tokens,), float64.

        Nothing comes before the first, so each token is as likely there.

        Raises:
            InputError: a token is none of the vocabulary.
        """
        if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < self.vocabulary:
            raise InputError(f"tokens lie between 0 and {self.vocabulary - 1}, got {int(tokens.min())} to {int(tokens.max())}")
        training, state, found = self.training, None, np.full(len(tokens), -math.log(self.vocabulary))
        given = tokens.to(next(self.parameters()).device)
        self.eval()
        for start in range(0, len(tokens) - 1, SCORED):
            stop = min(start + SCORED, len(tokens) - 1)
            logits, state = self(given[None, start:stop], state)
            of_each = logits[0].cpu().double().log_softmax(-1).gather(1, tokens[start + 1 : stop + 1, None].cpu())
            found[start + 1 : stop + 1] = of_each[:, 0].numpy()
        self.train(training)
        return found


def parameter_count(
    vocabulary: int,
    cell: Cell,
    *,
    hidden: int,
    layers: int = 1,
    embedding: int = 64,
    tied: bool = False,
    sizes: Mapping[str, int] | None = None,
) -> int:
    """How many elements the parameters of a `LanguageModel` of these sizes have, found without building one.

    Raises:
        InputError: sizes that do not fit the cell.

    Example:
        >>> from rondeau.cells import get
        >>> model = LanguageModel(50, "gru", hidden=16, layers=3, embedding=8)
        >>> parameter_count(50, get("gru"), hidden=16, layers=3, embedding=8) == sum(p.numel() for p in model.parameters())
        True
    """
    first = {**other_sizes(cell, hidden, sizes or {}), "input": embedding or vocabulary, "hidden": hidden}
    features = cell.output.width.bind(first)
    _tied(tied, embedding, features)
    above = {**first, "input": features}
    body = _elements(cell, first) + (layers - 1) * (_elements(cell, above) if layers > 1 else 0)
    return vocabulary * embedding + body + (0 if tied else vocabulary * features) + vocabulary


def _check(vocabulary: int, layers: int, embedding: int, dropout: float, tied_to_own: bool) -> None:
    if vocabulary < 1 or layers < 1 or embedding < 0:
        raise InputError(
            f"vocabulary and layers are positive and embedding is not negative; got {vocabulary}, {layers}, {embedding}"
        )
    if not 0 <= dropout < 1:
        raise InputError(f"dropout is a rate from 0 up to but not including 1, not {dropout!r}")
    if tied_to_own:
        raise InputError("tied weights are those of the model's own embedding and head; leave out tied, or the modules")


def _fitting(head: nn.Module, features: int, vocabulary: int) -> nn.Module:
    """The head itself, once it is known to make logits of features."""
    got = _width(head, torch.zeros(1, 1, features), "head")
    if got != vocabulary:
        raise InputError(f"the head gives {got} logits for a vocabulary of {vocabulary}; give it one output a token")
    return head


def _width(module: nn.Module, given: Tensor, what: str) -> int:
    """How many features a module gives, found by running it on one step.

    Raises:
        InputError: it cannot read what it is given, or what it gives is not (batch, time, features).
    """
    training = module.training
    try:
        with torch.no_grad():
            got = module.eval()(given)
    except RuntimeError as error:
        reads = (
            f"{given.shape[-1]} features a step, as the last layer outputs"
            if given.is_floating_point()
            else "tokens (batch, time)"
        )
        raise InputError(f"the {what} cannot read {reads} ({str(error).splitlines()[0]}); give one that can") from error
    finally:
        module.train(training)
    if not isinstance(got, Tensor) or got.dim() != 3 or got.shape[:2] != (1, 1):
        shape = tuple(got.shape) if isinstance(got, Tensor) else type(got).__name__
        raise InputError(f"the {what} makes {shape} of one step of one text; it should make (1, 1, features)")
    return got.shape[2]


def _tied(tied: bool, embedding: int, features: int) -> None:
    if tied and features != embedding:
        raise InputError(f"tied weights need embedding={features}, the features of the last layer; got {embedding}")


def _elements(cell: Cell, sizes: dict[str, int]) -> int:
    return sum(math.prod(item.shape(sizes)) for item in cell.parameters)


def detached(state: Any) -> Any:
    """A state, whatever its nesting, cut off from the graph that made it."""
    if isinstance(state, Tensor):
        return state.detach()
    return tuple(detached(part) for part in state)
