"""`EncoderDecoder`: a sequence read to its end, and then another written, step by step. Many to many, of different lengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rondeau.engine import BackendChoice
from rondeau.errors import InputError
from rondeau.ir import Cell
from rondeau.models.encoder import SequenceEncoder
from rondeau.models.layers import recurrent_layers
from rondeau.nn.attention import Attention, Memory
from rondeau.nn.layer import Lengths


class Encoded(NamedTuple):
    """Sources that were read: what attention looks at (None without attention), and the state that the decoder starts from."""

    memory: Memory | None
    state: tuple[tuple[Tensor, ...], ...]


class EncoderDecoder(nn.Module):
    """An encoder of any sequences, and a decoder that starts from the encoder's state and looks back at its outputs.

    With d the decoder's output, c the context that `Attention` makes of the encoder's outputs for it, and e the embedding of
    the token before::

        state_0 = tanh(B @ encoder's last state + b)        for each layer
        d = decoder(e)                                      or decoder(concat(e, a of the step before)), with input_feeding
        a = tanh(C @ concat(c, d))                          without attention a = d
        logits = V @ a + v

    In training the decoder runs over all steps in one scan and attention looks for all of them at once; with ``input_feeding``
    each step waits for the attention of the one before. `rondeau.models.decode` writes with it.

    Args:
        encoder: reads the sources, whatever they are.
        vocabulary: the number of different tokens that it writes.
        cell: the decoder's cell, or a name of the zoo.
        hidden: units of each of the decoder's layers.
        layers: of the decoder.
        embedding: features of a written token.
        attention: "dot", "general" or "additive"; None: the encoder's state alone tells the decoder of the source.
        input_feeding: whether the decoder also reads what the step before made of its attention.
        dropout: the rate on embeddings, between layers and before the softmax, while training.
        clip: bounds each element of the gradient that flows back through the decoder's states, at every step.
        backend: as for `rondeau.scan`.
        sizes: the cell's sizes beside ``input`` and ``hidden``.

    Raises:
        InputError: a size does not fit, or there is input feeding without attention.

    Source:
        Sutskever et al. 2014, arXiv:1409.3215; attention behind the decoder and input feeding as in Luong et al. 2015,
        arXiv:1508.04025, sections 3 and 3.3.

    Example:
        >>> from rondeau.models import Tokens
        >>> encoder = SequenceEncoder(Tokens(50, 8), recurrent_layers("gru", 8, 16, bidirectional=True))
        >>> model = EncoderDecoder(encoder, 30, hidden=16)
        >>> logits = model(torch.zeros(2, 7, dtype=torch.int64), torch.zeros(2, 5, dtype=torch.int64), lengths=[7, 3])
        >>> logits.shape
        torch.Size([2, 5, 30])
    """

    def __init__(
        self,
        encoder: SequenceEncoder,
        vocabulary: int,
        cell: Cell | str = "gru",
        *,
        hidden: int = 256,
        layers: int = 1,
        embedding: int = 64,
        attention: str | None = "general",
        input_feeding: bool = False,
        dropout: float = 0.0,
        clip: float | None = None,
        backend: BackendChoice = "auto",
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        if min(vocabulary, embedding) < 1:
            raise InputError(f"vocabulary and embedding are positive whole numbers, not {vocabulary} and {embedding}")
        if input_feeding and attention is None:
            raise InputError("input feeding hands on what attention made; give an attention, or leave input_feeding out")
        self.encoder, self.vocabulary, self.input_feeding = encoder, vocabulary, input_feeding
        self.embedding, self.dropout = nn.Embedding(vocabulary, embedding), nn.Dropout(dropout)
        read = embedding + hidden * input_feeding
        options: dict[str, Any] = {"dropout": dropout, "clip": clip, "backend": backend, "sizes": sizes}
        self.decoder = recurrent_layers(cell, read, hidden, layers=layers, **options)
        width = self.decoder.output_size
        self.bridge = Bridge(encoder.initial_state(1), self.decoder.initial_state(1))
        self.attention = None if attention is None else Attention(width, encoder.output_size, attention)
        self.combine = None if attention is None else nn.Linear(encoder.output_size + width, hidden)
        self.head = nn.Linear(width if attention is None else hidden, vocabulary)

    def encode(self, source: Tensor, lengths: Lengths = None) -> Encoded:
        """Reads sources (batch, time, ...), as the encoder takes them.

        Raises:
            InputError: lengths do not fit, or a source has no step.
        """
        y, state = self.encoder(source, lengths=lengths)
        memory = None if self.attention is None else self.attention.memory(y, lengths)
        return Encoded(memory, self.bridge(state))

    def forward(self, source: Tensor, inputs: Tensor, *, lengths: Lengths = None, target_lengths: Lengths = None) -> Tensor:
        """Logits (batch, steps, vocabulary) of the token after each of ``inputs``.

        Args:
            source: (batch, time, ...), as the encoder takes it.
            inputs: the tokens before those that are to be written (batch, steps): the first begins a sequence.
            lengths: the number of steps of each source (batch,); all if not given.
            target_lengths: of each row of inputs (batch,); all if not given. Past a length the logits mean nothing.

        Raises:
            InputError: lengths do not fit.
        """
        memory, state = self.encode(source, lengths)
        x = self.dropout(self.embedding(inputs))
        if not self.input_feeding:
            y, _ = self.decoder(x, state, lengths=target_lengths)
            return self.logits(self.attend(y, memory)[0])
        features, fed = [], self.nothing_fed(len(x))
        for step in range(x.shape[1]):
            y, state = self.decoder(self.read(x[:, step : step + 1], fed[:, None]), state)
            attended, _ = self.attend(y, memory)
            features.append(attended)
            fed = attended[:, 0]
        return self.logits(torch.cat(features, 1))

    def attend(self, y: Tensor, memory: Memory | None) -> tuple[Tensor, Tensor | None]:
        """What the softmax reads of the decoder's outputs (batch, steps, features), and the weights (batch, steps, time)."""
        if self.attention is None or self.combine is None or memory is None:
            return y, None
        context, weights = self.attention(y, memory)
        return torch.tanh(self.combine(torch.cat([context, y], -1))), weights

    def logits(self, features: Tensor) -> Tensor:
        """Logits (..., vocabulary) of what `attend` gives."""
        return self.head(self.dropout(features))

    def read(self, x: Tensor, fed: Tensor) -> Tensor:
        """What the decoder reads: embeddings, and beside them with input feeding what the step before made."""
        return torch.cat([x, fed], -1) if self.input_feeding else x

    def nothing_fed(self, batch: int) -> Tensor:
        """What is fed to the first step (batch, hidden)."""
        return self.head.weight.new_zeros(batch, self.head.in_features)


class Bridge(nn.Module):
    """The last state of an encoder as the first of a decoder: ``tanh(B @ state + b)``, layer by layer.

    A layer's states, of both directions, are one vector; a decoder with more layers than the encoder has the last one's for
    those above.

    Args:
        before: a state of the encoder.
        after: a state of the decoder, whose form it is to have.
    """

    def __init__(self, before: tuple[tuple[Tensor, ...], ...], after: tuple[tuple[Tensor, ...], ...]) -> None:
        super().__init__()
        sizes = [_flat(layer).shape[1] for layer in before]
        self.widths = [[value.shape[-1] for value in layer] for layer in after]
        self.maps = nn.ModuleList(nn.Linear(sizes[min(i, len(sizes) - 1)], sum(widths)) for i, widths in enumerate(self.widths))

    def forward(self, state: tuple[tuple[Tensor, ...], ...]) -> tuple[tuple[Tensor, ...], ...]:
        """The decoder's state."""
        made = (torch.tanh(each(_flat(state[min(i, len(state) - 1)]))) for i, each in enumerate(self.maps))
        return tuple(values.split(widths, -1) for values, widths in zip(made, self.widths))


def _flat(layer: tuple[Tensor, ...]) -> Tensor:
    """The states of a layer, each (batch, width) or (directions, batch, width), as one (batch, features)."""
    return torch.cat([value.movedim(-2, 0).flatten(1) for value in layer], 1)
